//! The verbs: what refguard does, without a terminal or a socket around it.
//!
//! Here the pure core (`document`, `policy`, `resolve`) meets files and git (`repo`). Errors are for a person:
//! `anyhow` with what was tried. Must not know the terminal or HTTP.

mod import;
mod init;
mod listing;
mod load;
mod pins;
mod reader;
mod testing;
mod workspace;

use crate::document::Rule;

pub use import::{ImportReport, import_litellm};
pub use init::{Initialised, first_promotion, init};
pub use listing::{
    Listing, ShownPolicy, attachment_object, list_attachments, list_policies, policy_object, show_policy,
};
pub use load::{NoProgress, Progress};
pub use reader::{SetReader, first_settings, read_files, read_worktree, worktree_files};
pub use testing::{CaseReport, Got, TestReport, run_tests};
pub use workspace::{LoadedSet, SetOrigin, Source, Workspace};

/// Every rule there is, of form, of the set and of import, by code.
pub fn all_rules() -> Vec<&'static Rule> {
    let mut rules = crate::policy::rules::all();
    rules.extend_from_slice(crate::interop::rules::ALL);
    rules.sort_by_key(|rule| rule.code);
    rules
}
