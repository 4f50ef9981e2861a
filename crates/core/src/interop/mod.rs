//! LiteLLM in and out: its proxy config to a policy repository, a policy set to its config.
//!
//! Owns what LiteLLM 1.106 accepts and means, and how our documents are written as YAML. Must not
//! know files, git or HTTP: texts come in, texts and findings go out.
//!
//! In: `config` (text → documents with places) → `import` (documents → files, judged by the crate's
//! own rules, findings mapped back to the config); `database` does the same for the saved rows of a
//! LiteLLM database, with their history. Out: `export`. All write through `write`.

mod config;
mod database;
mod export;
mod import;
mod model;
mod python;
pub mod rules;
mod slug;
mod write;
mod written;
mod yaml;

pub use database::{Commit, DatabaseImport, Draft, import_database};
pub use export::{
    BeyondLitellm, Exported, attachment_for_litellm, export_json, export_litellm,
    policy_for_litellm,
};
pub use import::{Imported, import_config};
pub use slug::slug_of;
pub use write::{
    HeldCase, HeldInvariant, write_attachment, write_held_cases, write_held_invariants,
    write_policy,
};
