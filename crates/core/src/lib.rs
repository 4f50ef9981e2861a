//! refguard-core: guardrail policies from YAML text to answers, without I/O.
//!
//! Knows no git, no files, no terminal, no HTTP, no async code and no clock: text and times come
//! in, values go out. The `refguard` program is one shell around it; whoever embeds it can be
//! another.
//!
//! | module | owns |
//! |---|---|
//! | [`document`] | YAML text → typed documents, places, schemas, findings as data |
//! | [`policy`] | model, patterns, the valid set, its rules |
//! | [`resolve`] | request, index, engine, explanation |
//! | `effect` | what a chain of policies gives, for which models |
//! | [`diff`] | two sets → changes by meaning |
//! | [`prove`] | what holds for every request, exactly |
//! | [`safeguards`] | two sets → which invariants, tests and settings a change takes away |
//! | [`questions`] | why a request gets something, who gets what, which change did it |
//! | [`traffic`] | requests that were made, from the lines of logs, answered by two sets |
//! | [`interop`] | LiteLLM in and out |

pub mod diff;
pub mod document;
mod effect;
#[cfg(test)]
mod growth;
pub mod interop;
pub mod policy;
pub mod prove;
pub mod questions;
pub mod resolve;
pub mod safeguards;
pub mod traffic;
