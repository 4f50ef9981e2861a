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
    /// Whether a limit is passed, rather than the grammar left.
    pub limit: bool,
}

impl ModelPattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, ConditionFault> {
        let literal = !text.contains(|c: char| "\\.+*?()[]{}|^$".contains(c));
        let regex = (!literal)
            .then(|| regex::Regex::new(&format!("^(?:{text})$")))
            .transpose()
            .map_err(|e| ConditionFault { range: 0..text.len(), message: e.to_string(), help: None, limit: false })?;
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

    /// Whether it matches its own text and nothing else.
    pub fn is_literal(&self) -> bool {
        self.regex.is_none()
    }

    /// Bytes of its compiled form, without what searches add.
    pub fn compiled_size(&self) -> usize {
        self.text.len()
    }

    /// The exact language of [`matches`](Self::matches), its own text included, anchored at both ends.
    pub fn language(&self) -> regex_syntax::hir::Hir {
        use regex_syntax::hir::Hir;
        let text = Hir::literal(self.text.as_bytes());
        let body = self.regex.as_ref().and_then(|r| regex_syntax::parse(r.as_str()).ok());
        Hir::alternation(body.into_iter().chain([text]).collect())
    }

    /// Whether it reads like a glob: `gpt-4*`.
    pub fn looks_like_glob(&self) -> bool {
        self.text.strip_suffix('*').and_then(|b| b.chars().last()).is_some_and(|c| !"\\.+*?()[]{}|^$".contains(c))
    }
}
