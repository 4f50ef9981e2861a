//! Reading values out of a config's tree: each fault at its place, in LiteLLM's terms.

use crate::document::rules::{bad_name, bad_value, missing_field, wrong_type};
use crate::document::{Finding, Node, NodeValue, SourceFile, Spanned};
use crate::interop::model::Text;
use crate::interop::python::{self, Scalar};
use crate::interop::rules;

/// A config's file and what has been found so far.
pub(in crate::interop) struct ConfigReader<'a> {
    pub file: &'a SourceFile,
    pub findings: &'a mut Vec<Finding>,
    /// How many errors this reader has found: a document that adds one is left out.
    pub errors: usize,
    /// Whether the file is JSON, where two escapes make one character; PyYAML leaves them apart.
    pub is_json: bool,
}

/// What a node is, for a message.
pub(in crate::interop) fn node_kind(node: &Node) -> &'static str {
    match &node.value {
        NodeValue::Seq(_) => "a list",
        NodeValue::Map(_) => "a mapping",
        NodeValue::Scalar { .. } => {
            python::read_scalar(node).map_or("text", |scalar| scalar.kind_name())
        }
    }
}

/// Whether a node is null, which LiteLLM reads like an absent key.
pub(in crate::interop) fn is_null(node: &Node) -> bool {
    python::read_scalar(node) == Some(Scalar::Null)
}

impl ConfigReader<'_> {
    pub(in crate::interop) fn push_finding(&mut self, finding: Finding) {
        self.errors += usize::from(finding.is_error());
        self.findings.push(finding);
    }

    /// A value of another type than LiteLLM takes.
    pub(in crate::interop) fn report_wrong(&mut self, node: &Node, field: &str, expected: &str) {
        let finding =
            wrong_type::report_type(self.file, node.span, field, expected, node_kind(node));
        let plain_text =
            expected == "text" && matches!(node.value, NodeValue::Scalar { plain: true, .. });
        let quote = plain_text.then(|| {
            format!(
                "quote it: `\"{}\"`",
                node.text().unwrap_or("").escape_debug()
            )
        });

        self.push_finding(finding.maybe_help(quote));
    }

    /// A mapping's entries; a key that LiteLLM does not read is an error.
    pub(in crate::interop) fn read_entries<'n>(
        &mut self,
        node: &'n Node,
        known: &[&str],
        of: &str,
    ) -> Option<impl Fn(&str) -> Option<&'n Node> + use<'n>> {
        let NodeValue::Map(entries) = &node.value else {
            self.report_wrong(node, "", "a mapping");
            return None;
        };

        for (key, _) in entries {
            let name = key.text().unwrap_or("");
            if !known.contains(&name) {
                self.push_finding(rules::unknown_key::report_key(
                    self.file, key.span, name, known, of,
                ));
            }
        }

        Some(|name: &str| node.get(name).filter(|value| !is_null(value)))
    }

    /// A text in a mapping. LiteLLM would fill `os.environ/…` from the environment there.
    pub(in crate::interop) fn read_text(&mut self, node: &Node, field: &str) -> Option<Text> {
        let text = self.read_item(node, field)?;
        if text.starts_with("os.environ/") {
            self.push_finding(rules::indirect::report_environment(
                self.file, node.span, &text,
            ));
            return None;
        }

        Some(text)
    }

    /// A text in a list.
    fn read_item(&mut self, node: &Node, field: &str) -> Option<Text> {
        match python::read_scalar(node) {
            Some(Scalar::Text(text)) => {
                if !self.is_json && self.has_split_character(node) {
                    self.push_finding(rules::split_character::report_character(
                        self.file, node.span,
                    ));
                }

                Some(Spanned {
                    value: text.to_owned(),
                    span: node.span,
                })
            }
            _ => {
                self.report_wrong(node, field, "text");
                None
            }
        }
    }

    /// Whether a quoted text is written with an escape of half a character.
    fn has_split_character(&self, node: &Node) -> bool {
        let at = node.span.start as usize..node.span.end as usize;
        let written = self
            .file
            .text()
            .get(at)
            .filter(|text| text.starts_with('"'));

        written.is_some_and(|text| {
            text.match_indices("\\u").any(|(at, _)| {
                let digits = text.get(at + 2..at + 4).unwrap_or_default();
                let before = text.get(..at).unwrap_or_default().bytes().rev();
                let is_escaped = before.take_while(|byte| *byte == b'\\').count() % 2 == 1;
                !is_escaped
                    && u8::from_str_radix(digits, 16)
                        .is_ok_and(|high| (0xd8..=0xdf).contains(&high))
            })
        })
    }

    /// A text in a list. LiteLLM does not fill `os.environ/…` there.
    fn read_listed(&mut self, node: &Node, field: &str) -> Option<Text> {
        let text = self.read_item(node, field)?;
        if !self.is_json && text.starts_with("os.environ/") {
            self.push_finding(rules::literal_environment::report_value(
                self.file, node.span, &text,
            ));
        }

        Some(text)
    }

    /// A list of texts.
    pub(in crate::interop) fn read_texts(&mut self, node: &Node, field: &str) -> Option<Vec<Text>> {
        let NodeValue::Seq(items) = &node.value else {
            self.report_wrong(node, field, "a list of texts");
            return None;
        };

        Some(
            (0..)
                .zip(items)
                .filter_map(|(i, item): (usize, _)| {
                    self.read_listed(item, &format!("{field}[{i}]"))
                })
                .collect(),
        )
    }

    /// A list of names.
    pub(in crate::interop) fn read_names(&mut self, node: &Node, field: &str) -> Option<Vec<Text>> {
        let mut names = self.read_texts(node, field)?;
        names.retain(|name| self.is_name(name));
        Some(names)
    }

    /// Whether a text can be a name here; if not, says why.
    pub(in crate::interop) fn is_name(&mut self, text: &Text) -> bool {
        match bad_name::name_fault(text) {
            None => true,
            Some(fault) => {
                self.push_finding(bad_name::report_name(self.file, text.span, text, &fault));
                false
            }
        }
    }

    /// A word of a fixed choice.
    pub(in crate::interop) fn read_choice<T: Copy>(
        &mut self,
        node: &Node,
        field: &str,
        choices: &[(&str, T)],
    ) -> Option<Spanned<T>> {
        let text = self.read_text(node, field)?;
        let found = choices
            .iter()
            .find(|(word, _)| *word == text.as_str())
            .map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.push_finding(bad_value::report_value(
                self.file, node.span, field, &text, &words,
            ));
        }

        found.map(|value| Spanned {
            value,
            span: node.span,
        })
    }

    /// A boolean, as widely as LiteLLM takes it.
    pub(in crate::interop) fn read_boolean(&mut self, node: &Node, field: &str) -> bool {
        let value = python::read_scalar(node).and_then(|scalar| python::lax_bool(&scalar));
        if value.is_none() {
            self.report_wrong(node, field, "true or false");
        }

        value.unwrap_or(false)
    }

    /// A field that must be there.
    pub(in crate::interop) fn report_missing(&mut self, node: &Node, field: &str, of: &str) {
        let first = match &node.value {
            NodeValue::Map(entries) => entries.first().map_or(node.span, |(key, _)| key.span),
            NodeValue::Scalar { .. } | NodeValue::Seq(_) => node.span,
        };

        self.push_finding(missing_field::report_field(self.file, first, field, of));
    }
}
