//! Git and the work tree: where files, trees, refs and history come from, and how a ref moves.
//!
//! Owns repositories, roots, sources of files, revisions, commits, the ledger of promotions and
//! every write to a repository. Must not know what a policy means: it deals in paths and bytes, and
//! the types of git2 do not leave it.
//!
//! What on disk is read by whom: the repository and its variables by `open`, the folder of a set by
//! `root`, what must be a file by `plain`; the three sources by `work_tree` (with `ignored`),
//! `index` and `tree`; two trees by `changes`; refs and revisions by `revision`; history by
//! `commit`; when a remote was last asked by `fetched`. Promotions are data in `promotion` (their
//! trailers in `trailers`) and a chain in `ledger`. Writing is git's own: `objects` makes what no
//! ref knows yet, `transaction` moves refs, `remote` talks to others, all through `git`; only what
//! refguard keeps for itself in the git directory is written by `aside`.

mod aside;
mod changes;
mod commit;
mod commit_text;
mod config;
mod env;
mod error;
mod fault;
mod fetch;
mod fetched;
mod git;
mod hooks;
mod ids;
mod ignored;
mod import;
mod index;
mod init;
mod ledger;
mod listing;
mod objects;
mod open;
mod plain;
mod promotion;
mod remote;
mod remotes;
mod revision;
mod root;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod trailers;
mod transaction;
mod tree;
mod work_tree;

pub use aside::{AsideName, unseal_bytes, write_sealed};
pub use changes::{Change, Side, TreeDiffs};
pub use commit::{Commit, FirstParents, Link, Person, Time};
pub use env::GitEnv;
pub use error::RepoError;
pub use fault::FAULT_POINTS;
pub use fetch::{Fetched, LedgerLosses};
pub use git::Cancel;
pub use hooks::SharedHooks;
pub use ids::{BadId, BlobId, CommitId, Expected, RefName, TreeId};
pub use import::NewHistory;
pub use ledger::{HistoryEntry, Ledger, NewestPromotions, Retreat};
pub use listing::{Entry, EntryKind, Listing, Wanted};
pub use objects::NewCommit;
pub use open::Repo;
pub use promotion::{Allow, Promotion, Record, Target, is_reason};
pub use remote::{LEDGERS, Listed, Push, PushOutcome, RemoteRefs};
pub use remotes::Remote;
pub use revision::first_name;
pub use root::Root;
pub use trailers::Malformed;
pub use transaction::{Locked, Lost, Outcome, Transaction};
pub use tree::TreeItem;
