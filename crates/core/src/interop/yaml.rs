//! YAML out: a tree of values to block YAML that every reader reads alike, line by line traceable.
//!
//! A text is written without quotes only if no version of YAML could take it for anything else.

use serde_json::{Map, Value as Json};

use crate::document::{Span, is_ambiguous};

/// A value to be written, and the place it was read at.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub value: Value,
    pub origin: Span,
}

/// What is written.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A text, quoted where it must be.
    Text(String),
    /// Written as it is: a number or `true`.
    Word(Json),
    /// A list.
    List(Vec<Tree>),
    /// A mapping, in this order.
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// A tree read at a place.
    pub(super) fn new(value: Value, origin: Span) -> Self {
        Self { value, origin }
    }

    /// The same as JSON.
    pub(super) fn to_json(&self) -> Json {
        match &self.value {
            Value::Text(text) => Json::String(text.clone()),
            Value::Word(word) => word.clone(),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => Json::Object(
                entries
                    .iter()
                    .map(|(key, value)| (key.clone(), value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

/// A file being written: its text, and for each line the place it comes from.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub text: String,
    pub origins: Vec<Span>,
}

impl Writer {
    /// Writes one document; documents after the first are set off by `---`.
    pub(super) fn write_document(&mut self, tree: &Tree) {
        if !self.text.is_empty() {
            self.write_line("---", tree.origin);
        }

        self.write_node(tree, 0, "", tree.origin);
    }

    fn write_line(&mut self, line: &str, origin: Span) {
        self.text.push_str(line);
        self.text.push('\n');
        self.origins.push(origin);
    }

    /// Writes a node whose first line begins with `lead` (a key, a dash, or both), the others at
    /// `indent`. A node without a place of its own has the one around it.
    fn write_node(&mut self, tree: &Tree, indent: usize, lead: &str, around: Span) {
        let origin = if tree.origin == Span::default() {
            around
        } else {
            tree.origin
        };

        match &tree.value {
            Value::Text(text) => self.write_line(&join_lead(lead, &scalar_text(text)), origin),
            Value::Word(word) => self.write_line(&join_lead(lead, &word.to_string()), origin),
            Value::List(items) if items.is_empty() => {
                self.write_line(&join_lead(lead, "[]"), origin)
            }
            Value::Map(entries) if entries.is_empty() => {
                self.write_line(&join_lead(lead, "{}"), origin)
            }
            Value::List(items) => {
                self.write_opening(lead, origin);
                for item in items {
                    self.write_node(item, indent + 2, &format!("{:indent$}-", ""), origin);
                }
            }
            Value::Map(entries) => {
                // A mapping in a list begins on the line of the dash.
                let mut dash = lead.ends_with('-').then(|| format!("{lead} "));
                if dash.is_none() {
                    self.write_opening(lead, origin);
                }

                for (key, value) in entries {
                    let start = dash.take().unwrap_or_else(|| " ".repeat(indent));
                    let lead = format!("{start}{}:", scalar_text(key));
                    self.write_node(value, indent + 2, &lead, origin);
                }
            }
        }
    }

    fn write_opening(&mut self, lead: &str, origin: Span) {
        if !lead.is_empty() {
            self.write_line(lead, origin);
        }
    }
}

fn join_lead(lead: &str, value: &str) -> String {
    if lead.is_empty() {
        value.to_owned()
    } else {
        format!("{lead} {value}")
    }
}

/// A text as a YAML scalar on one line.
pub(super) fn scalar_text(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else if text.contains('\\') && !text.chars().any(must_be_escaped) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        double_quoted(text)
    }
}

/// Letters first, nothing that YAML could read, and no word that some YAML takes for a value.
fn is_plain(text: &str) -> bool {
    let safe = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '_' | '-' | '.' | '/' | ' ' | ',' | '(' | ')' | ';')
    };

    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "null" | "true" | "false"
    );
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(safe)
        && !text.ends_with(' ')
        && !word
        && !is_ambiguous(text)
}

/// What YAML 1.1 or 1.2 does not allow, or folds, in a quoted scalar.
fn must_be_escaped(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if must_be_escaped(c) => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }

    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::document::{Limits, SourceFile, read_foreign};
    use crate::interop::python;

    fn read_back(text: &str) -> String {
        let file = SourceFile::new("f.yaml", format!("key: {}\n", scalar_text(text)));
        let document = read_foreign(&file, &Limits::DEFAULT)
            .into_iter()
            .next()
            .expect("a document");
        assert!(document.findings.is_empty(), "{:?}", document.findings);
        let root = document.root.expect("a tree");
        let value = root.get("key").expect("the key");
        assert!(
            matches!(python::read_scalar(value), Some(python::Scalar::Text(_))),
            "{text:?} is not text to PyYAML"
        );

        value.text().map(str::to_owned).expect("a scalar")
    }

    #[test]
    fn words_that_are_no_text_are_quoted() {
        for text in [
            "no",
            "Null",
            "TRUE",
            "012",
            "1e3",
            "",
            "~",
            "-",
            "y",
            "2026-11-22",
            "a: b",
            "a #b",
            "*",
            "x ",
            "=",
        ] {
            assert_ne!(scalar_text(text), text, "{text}");
            assert_eq!(read_back(text), text);
        }

        for text in [
            "pii_blocker",
            "gpt-4",
            "bedrock/claude-3",
            "HIPAA guardrails, all of them",
        ] {
            assert_eq!(scalar_text(text), text);
        }

        assert_eq!(scalar_text(r"claude-3\.5-.*"), r"'claude-3\.5-.*'");
    }

    proptest! {
        #[test]
        fn every_text_is_read_back(text in any::<String>()) {
            prop_assert_eq!(read_back(&text), text);
        }

        #[test]
        fn every_text_is_read_back_by_libyaml(text in "[ -~\u{a0}-\u{ff}\n\t\u{85}\u{2028}\u{1f600}]{0,20}") {
            let value: serde_yaml::Value = serde_yaml::from_str(&format!("key: {}\n", scalar_text(&text))).expect("YAML");
            prop_assert_eq!(value.get("key").and_then(|v| v.as_str()), Some(text.as_str()));
        }
    }

    #[test]
    fn every_line_knows_where_it_comes_from() {
        let leaf = |text: &str, at| Tree::new(Value::Text(text.to_owned()), Span::new(at, at + 1));
        let list = Tree::new(
            Value::List(vec![leaf("a", 5), leaf("b", 7)]),
            Span::new(4, 8),
        );
        let inner = Tree::new(
            Value::Map(vec![
                ("k".to_owned(), leaf("v", 20)),
                ("l".to_owned(), list),
            ]),
            Span::default(),
        );
        let seq = Tree::new(Value::List(vec![inner]), Span::new(15, 30));
        let root = Tree::new(
            Value::Map(vec![
                ("name".to_owned(), leaf("x", 2)),
                ("s".to_owned(), seq),
            ]),
            Span::new(1, 40),
        );
        let mut writer = Writer::default();
        writer.write_document(&root);
        writer.write_document(&root);
        let one = "name: x\ns:\n  - k: v\n    l:\n      - a\n      - b\n";
        assert_eq!(writer.text, format!("{one}---\n{one}"));
        let starts: Vec<u32> = writer.origins.iter().map(|span| span.start).collect();

        assert_eq!(starts, [2, 15, 20, 4, 5, 7, 1, 2, 15, 20, 4, 5, 7]);
    }

    #[test]
    fn a_tree_is_the_same_as_json() {
        let empty = Tree::new(Value::List(Vec::new()), Span::default());
        let tree = Tree::new(Value::Map(vec![("no".to_owned(), empty)]), Span::default());
        assert_eq!(tree.to_json(), serde_json::json!({ "no": [] }));
        let mut writer = Writer::default();
        writer.write_document(&tree);

        assert_eq!(writer.text, "\"no\": []\n");
    }
}
