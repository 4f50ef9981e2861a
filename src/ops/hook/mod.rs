//! What git's hooks ask: is the set sound that this commit would make, may these refs move.
//!
//! `install` puts the hooks in place; `pre_commit` judges an index, by what differs from a set that
//! an earlier run kept (`staged_set`: whether there is a set at all, and
//! what its change warns of). A `push` is judged by `receive` on both of its sides; `environment`
//! works its promotions out again.

mod environment;
mod install;
mod pre_commit;
mod push;
mod receive;
mod staged_set;

pub use install::{HookInstallation, InstalledHook};
pub use pre_commit::{StagedFaults, StagedVerdict};
pub use push::{PushRefusal, RefUpdate};
pub use receive::{ReceiveOptions, judge_received, judge_sent};
