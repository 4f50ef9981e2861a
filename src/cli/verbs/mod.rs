//! The verbs, one a file: a doc comment (the help), the arguments, and `run`.
//! `change` has what the verbs that move an environment say.

pub(super) mod blame;
mod change;
pub(super) mod compare;
pub(super) mod completions;
pub(super) mod diff;
pub(super) mod draft;
pub(super) mod explain;
pub(super) mod export;
#[cfg(feature = "daemon")]
pub(super) mod fleet;
pub(super) mod hold;
pub(super) mod hook;
pub(super) mod impact;
pub(super) mod import;
pub(super) mod init;
pub(super) mod list;
pub(super) mod log;
pub(super) mod man;
pub(super) mod matrix;
pub(super) mod promote;
pub(super) mod prove;
pub(super) mod release;
pub(super) mod replay;
pub(super) mod resolve;
pub(super) mod review;
pub(super) mod rollback;
pub(super) mod schema;
#[cfg(feature = "daemon")]
pub(super) mod serve;
pub(super) mod show;
pub(super) mod status;
pub(super) mod test;
pub(super) mod validate;
pub(super) mod versions;
#[cfg(feature = "daemon")]
pub(super) mod wait;
pub(super) mod why;
