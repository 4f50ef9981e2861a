//! Stories through the built program: what its users do, and what they see.
//!
//! One binary for all of them, a module a story line; `support` builds the repositories.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that meets what it does not expect has to fail; clippy.toml covers only test \
        functions"
)]

mod answers;
mod ci;
mod completion;
mod docs;
mod drafts;
mod editor;
mod expiry;
mod formats;
mod framework;
mod help;
mod home;
mod hooks;
mod import;
mod init;
mod lifecycle;
mod outputs;
mod receive;
mod replay;
mod resolve;
mod review;
mod safeguards;
mod support;
mod terminal;
mod timing;
mod trust;
mod upgrade;
mod validate;
mod versions;
