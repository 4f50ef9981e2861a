//! What a chain of policies gives for which class of models: the ground that `diff` and `prove`
//! stand on.
//!
//! Conditions are regular expressions, so models fall into finitely many classes that no condition
//! and no pattern at hand tells apart ([`Space`]). For one class a chain gives one list of
//! guardrails. Must not know attachments, requests or what two sets have in common.

mod automata;
mod budget;
mod chain;
mod models;
mod trie;

pub(crate) use automata::TooLarge;
pub use budget::Budget;
pub(crate) use chain::{
    GuardId, Interner, ItemId, Items, Member, ModelItem, chain_applies, condition_holds,
    guardrails_given, sort_numbers,
};
pub(crate) use models::{Class, Space, Spaces, catalog_values};
