//! What git's hooks ask: is the set sound that this commit would make, may these refs move.
//!
//! `install` puts the hooks in place; `pre_commit` judges an index, by a fast `look` where the
//! `facts` of an earlier judgement are at hand (`staged_set`: whether there is a set at all, and
//! what its change warns of). A `push` is judged by `receive` on both of its sides; `environment`
//! works its promotions out again.

mod environment;
mod facts;
mod install;
mod look;
mod pre_commit;
mod push;
mod receive;
mod staged_set;
#[cfg(test)]
mod tests;

pub use install::{HookInstallation, InstalledHook};
pub use pre_commit::{StagedFaults, StagedVerdict};
pub use push::{PushRefusal, RefUpdate};
pub use receive::{ReceiveOptions, judge_received, judge_sent};
