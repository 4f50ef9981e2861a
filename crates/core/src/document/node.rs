//! The spanned YAML tree: what the text says, and where.

use super::work::note_steps;

/// A half-open range of bytes in a file's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// A span from byte offsets; offsets past `u32::MAX` are clamped (files are limited to 1 MiB).
    pub fn new(start: usize, end: usize) -> Self {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            start: clamp(start),
            end: clamp(end.max(start)),
        }
    }
}

/// One node of a YAML document.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where the node stands; of an expanded alias: where its anchor's node stands.
    pub span: Span,
    /// What it is.
    pub value: NodeValue,
}

/// The three shapes of a YAML node. Tags are refused before a tree exists, aliases are expanded.
#[derive(Debug, Clone)]
pub enum NodeValue {
    /// A scalar; `plain` is false for quoted and block scalars, which are always strings.
    Scalar {
        /// Its text after YAML's escapes.
        text: Box<str>,
        /// Written without quotes, so subject to YAML's guessing of types.
        plain: bool,
    },
    /// A sequence.
    Seq(Vec<Node>),
    /// A mapping with scalar keys, in the order of the file, without duplicates.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// The scalar's text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Scalar { text, .. } => Some(text),
            NodeValue::Seq(_) | NodeValue::Map(_) => None,
        }
    }

    /// The key and value nodes of `key`, if this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<(&Node, &Node)> {
        match &self.value {
            NodeValue::Map(entries) => {
                note_steps(entries.len());
                entries
                    .iter()
                    .find(|(k, _)| k.text() == Some(key))
                    .map(|(k, v)| (k, v))
            }
            NodeValue::Scalar { .. } | NodeValue::Seq(_) => None,
        }
    }

    /// The scalar that stands at a place of this tree, if one does.
    pub fn scalar_at(&self, place: Span) -> Option<&str> {
        match &self.value {
            NodeValue::Scalar { text, .. } => (self.span == place).then_some(&**text),
            NodeValue::Seq(items) => items.iter().find_map(|item| item.scalar_at(place)),
            NodeValue::Map(entries) => entries
                .iter()
                .find_map(|(key, value)| key.scalar_at(place).or_else(|| value.scalar_at(place))),
        }
    }

    /// The value of `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }
}
