//! refguard: the guardrail policies of an LLM gateway as files in git.
//!
//! The core, `refguard-core`, turns documents into a policy set and answers from it; this crate is
//! the shell around it.
//!
//! | module | owns |
//! |---|---|
//! | [`repo`] | git and the work tree |
//! | [`ops`] | the verbs |
//! | [`output`] | findings, answers, tables → human and machine formats |
//! | `daemon` | watching, reloading, the snapshots that are served (feature `daemon`) |
//! | `pages` | what the daemon's pages look like (feature `daemon`) |
//! | `http` | the daemon's endpoints (feature `daemon`) |
//! | [`cli`] | the command line |
//!
//! A test reads the sources and keeps each of them from importing what it must not know.

pub mod cli;
#[cfg(feature = "daemon")]
pub mod daemon;
#[cfg(feature = "daemon")]
pub mod http;
pub mod ops;
pub mod output;
#[cfg(feature = "daemon")]
pub mod pages;
pub mod repo;
