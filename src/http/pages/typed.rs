//! The request that somebody has typed into a form. Must not know which page it was.

use refguard_core::document::Dimension;
use serde::Deserialize;

/// Its values, as texts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TypedRequest {
    team: String,
    key: String,
    model: String,
    tags: String,
    user: String,
    tool: String,
}

impl TypedRequest {
    /// What was typed for a dimension.
    pub fn of(&self, dimension: Dimension) -> &str {
        match dimension {
            Dimension::Team => &self.team,
            Dimension::Key => &self.key,
            Dimension::Model => &self.model,
            Dimension::Tag => &self.tags,
            Dimension::User => &self.user,
            Dimension::Tool => &self.tool,
        }
    }

    /// All of it, as the query of an address has it.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        Dimension::WRITTEN
            .into_iter()
            .map(|of| (of.context_field(), self.of(of)))
    }
}
