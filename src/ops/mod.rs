//! The verbs: what refguard does, without a terminal or a socket around it.
//!
//! Here the pure core (`document`, `policy`, `resolve`) meets files and git (`repo`). Errors are
//! for a person: `anyhow` with what was tried. Must not know the terminal or HTTP.

mod change;
mod history;
mod hook;
mod source;

use refguard_core::document::Rule;

pub use change::declared::PRODUCTION;
#[cfg(feature = "daemon")]
pub(crate) use change::environment::own_root;
pub use change::environment::{
    Brought, EnvironmentState, FollowedEnvironments, followed_environments,
    refuse_renamed_environments,
};
pub use change::gates::{Candidate, GateWord, Lowered, Says, SourceTip, Verdict};
pub use change::home::{Home, HomeRequest};
pub use change::partial::Selection;
pub use change::promote::{Plan, PromoteRequest};
pub use change::publish::{Lost, Published, Refused};
pub use change::reading::FetchedCopy;
pub use change::replay::replay_logs;
pub use change::review::{ComingVersion, ComingVersions, Foreseen, Owner, Review, ReviewedTests};
pub use change::rollback::{RollbackPlan, RollbackRequest};
pub use change::safeguards::safeguards_between;
#[cfg(feature = "daemon")]
pub(crate) use change::timing::latest_honest;
pub use change::weaken::{TimeBox, budget_within};
pub use history::address::{Address, Which};
pub use history::blame::{Blame, BlameEvent, BlameKind, BlameRequest, SkippedEntry};
pub use history::compare::Compared;
pub use history::draft::Draft;
pub use history::log::{LogEntry, LogPage, PassedGate, PromotionLog};
pub use history::pins::pin_version;
pub use history::status::{
    Coming, DocumentChange, EnvironmentStatus, ExpiringAttachment, HoldStatus, PolicyChanges,
    Problem, PublishedStatus, Status,
};
pub use history::version_list::{
    DocumentRow, Publication, ShownVersion, VersionList, VersionPage, VersionRow,
};
pub use history::versions::{
    Effort, Elsewhere, Keep, PublishedTip, Version, VersionDocument, VersionIndex,
};
pub use history::workspace_versions::{PolicyDocument, VersionHistory};
pub use hook::{
    HookInstallation, InstalledHook, PushRefusal, ReceiveOptions, RefUpdate, StagedFaults,
    StagedVerdict, judge_received, judge_sent,
};
pub use source::import::{Committed, ImportReport, import_litellm};
pub use source::import_database::{DatabaseReport, import_litellm_database};
pub use source::init::{Initialised, init_here, init_repository};
#[cfg(feature = "daemon")]
pub(crate) use source::judged::release_of;
pub use source::judged::{Judged, judge_nothing};
pub use source::listing::{
    Listing, ShownPolicy, attachment_object, list_attachments, list_policies, policy_object,
    show_policy,
};
pub use source::load::{
    FileStamp, NoProgress, Progress, holds_files, read_files, read_worktree, worktree_files,
};
pub use source::logs::LogSelection;
pub use source::moment::{TIME_HELP, parse_time};
pub use source::testing::{
    CaseReport, FindRequested, Got, TestOptions, TestReport, explain_failures, run_tests,
};
pub use source::tracked::{Delta, TrackedSet};
pub use source::workspace::{LoadedSet, Rules, SetOrigin, Source, Workspace};

/// Every rule there is, of form, of the set and of import, by code.
pub fn all_rules() -> Vec<&'static Rule> {
    let mut rules = refguard_core::policy::rules::all_rules();
    rules.extend_from_slice(refguard_core::interop::rules::ALL);
    rules.sort_by_key(|rule| rule.code);
    rules
}
