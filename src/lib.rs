//! refguard: the guardrail policies of an LLM gateway as files in git.
//!
//! Data flows one way: git objects or files → documents → policy set → engine → answers; shells around it.
//!
//! | module | owns |
//! |---|---|
//! | [`document`] | YAML text → typed documents, places, schemas, findings as data |
//! | [`policy`] | model, patterns, the valid set, its rules |
//! | [`resolve`] | request, index, engine, explanation |
//! | [`diff`] | two sets → changes by meaning |
//! | [`repo`] | git and the work tree |
//! | [`interop`] | LiteLLM in and out |
//! | [`ops`] | the verbs |
//! | [`output`] | findings, answers, tables → human and machine formats |
//! | [`daemon`] | watching, reloading, the snapshots that are served |
//! | [`http`] | the daemon's endpoints |
//! | [`cli`] | the command line |
//!
//! A test reads `src/` and keeps each of them from importing what it must not know.

pub mod cli;
pub mod daemon;
pub mod diff;
pub mod document;
pub mod http;
pub mod interop;
pub mod ops;
pub mod output;
pub mod policy;
pub mod prove;
pub mod repo;
pub mod resolve;
