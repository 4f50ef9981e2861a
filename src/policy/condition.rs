//! The pattern grammar of a policy's condition.

use std::ops::Range;

/// One pattern of a condition.
#[derive(Debug, Clone)]
pub struct ModelPattern {
    text: std::sync::Arc<str>,
    regex: Option<regex::Regex>,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionFault {
    /// Bytes of the pattern that are at fault.
    pub range: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl ModelPattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, ConditionFault> {
        let literal = !text.contains(|c: char| "\\.+*?()[]{}|^$".contains(c));
        let regex = (!literal)
            .then(|| regex::Regex::new(&format!("^(?:{text})$")))
            .transpose()
            .map_err(|e| ConditionFault { range: 0..text.len(), message: e.to_string(), help: None })?;
        Ok(Self { text: text.into(), regex })
    }

    /// Whether a model is the text itself or wholly matched by it.
    pub fn matches(&self, model: &str) -> bool {
        *self.text == *model || self.regex.as_ref().is_some_and(|r| r.is_match(model))
    }

    /// The pattern as written.
    pub fn text(&self) -> &str {
        &self.text
    }
}
