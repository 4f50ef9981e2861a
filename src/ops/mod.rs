//! The verbs: what refguard does, without a terminal or a socket around it.
//!
//! Here the pure core (`document`, `policy`, `resolve`) meets files and git (`repo`). Errors are for a person:
//! `anyhow` with what was tried. Must not know the terminal or HTTP.

mod address;
mod compare;
mod draft;
mod environment;
mod filter;
mod gates;
mod history;
mod hook;
mod import;
mod import_database;
mod init;
mod judged;
mod listing;
mod load;
mod log;
mod packed;
mod partial;
mod pins;
mod promote;
mod publish;
mod reader;
mod review;
mod rollback;
mod status;
mod testing;
mod version_list;
mod versions;
mod weaken;
mod workspace;

use crate::document::Rule;

pub use address::{Address, Which};
pub use compare::Compared;
pub use draft::Draft;
pub use environment::EnvironmentState;
pub use gates::{Candidate, GateWord, Lowered, Says, Verdict};
pub use history::PolicyDocument;
pub use hook::{
    InstalledHook, PushRefusal, ReceiveOptions, RefUpdate, StagedFaults, StagedVerdict, judge_received, judge_sent,
};
pub use import::{ImportReport, import_litellm};
pub use import_database::{DatabaseReport, import_litellm_database};
pub use init::{Initialised, init};
pub use judged::Judged;
pub use listing::{
    Listing, ShownPolicy, attachment_object, list_attachments, list_policies, policy_object, show_policy,
};
pub use load::{NoProgress, Progress};
pub use log::{LogEntry, PromotionLog};
pub use partial::Selection;
pub use pins::pin;
pub use promote::{Plan, PromoteRequest};
pub use publish::{Lost, Published, Refused};
pub use reader::{Delta, FileStamp, SetReader, first_settings, read_files, read_worktree, worktree_files};
pub use review::{ComingVersion, ComingVersions, Foreseen, Review, ReviewedTests};
pub use rollback::{RollbackPlan, RollbackRequest};
pub use status::{EnvironmentStatus, HoldStatus, PolicyChanges, PublishedStatus, Status};
pub use testing::{CaseReport, FindRequested, Got, TestOptions, TestReport, run_tests};
pub use version_list::{ShownVersion, VersionList, VersionRow};
pub use versions::{Effort, Elsewhere, Keep, PublishedTip, Version, VersionDocument, VersionIndex};
pub use weaken::budget_within;
pub use workspace::{LoadedSet, SetOrigin, Source, Workspace};

/// Every rule there is, of form, of the set and of import, by code.
pub fn all_rules() -> Vec<&'static Rule> {
    let mut rules = crate::policy::rules::all();
    rules.extend_from_slice(crate::interop::rules::ALL);
    rules.sort_by_key(|rule| rule.code);
    rules
}
