//! Writes documents as YAML by whim: order of keys and of lists that are sets, block or flow,
//! quotes, comments, defaults written out or left out, one file or many.

use serde_json::{Map, Value};

/// Lists whose order says nothing.
const SETS: &[&str] = &["add", "remove", "teams", "keys", "models", "tags", "model"];

/// A source of choices that gives the same ones for the same bytes.
pub(super) struct Whims<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Whims<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.at += 1;
        // Not periodic in the bytes, so that a short source does for a long text.
        let byte = usize::from(self.bytes[self.at % self.bytes.len()]);
        (byte + self.at / self.bytes.len()) % bound.max(1)
    }

    fn often(&mut self) -> bool {
        self.below(3) > 0
    }

    fn rarely(&mut self) -> bool {
        self.below(4) == 0
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// The documents as files: policies in any file and order, attachments in their own order.
pub(super) fn write(documents: &[Value], mut whims: Whims<'_>) -> Vec<(String, String)> {
    let (mut attachments, mut others): (Vec<_>, Vec<_>) = documents
        .iter()
        .partition::<Vec<&Value>, _>(|document| document["kind"] == "PolicyAttachment");
    whims.shuffle(&mut others);
    let mut files: Vec<(String, String)> = Vec::new();
    // Attachments keep their order by the names of their files; policies may stand between them.
    while !attachments.is_empty() || !others.is_empty() {
        let mut text = String::new();
        for _ in 0..=whims.below(4) {
            let next = match whims.often() {
                true if !attachments.is_empty() => attachments.remove(0),
                _ => match others.pop() {
                    Some(policy) => policy,
                    None if !attachments.is_empty() => attachments.remove(0),
                    None => break,
                },
            };
            let mark = if text.is_empty() && whims.often() {
                ""
            } else {
                "---\n"
            };
            text.push_str(mark);
            comment(&mut text, 0, &mut whims);
            mapping(
                &without_defaults(next, &mut whims),
                0,
                &mut text,
                &mut whims,
            );
        }
        files.push((format!("{:03}.yaml", files.len()), text));
    }
    files
}

/// A field that says what its absence would say may be left out.
fn without_defaults(document: &Value, whims: &mut Whims<'_>) -> Map<String, Value> {
    let mut object = document.as_object().unwrap().clone();
    if object.get("default") == Some(&Value::Bool(false)) && whims.often() {
        object.remove("default");
    }
    if let Some(guardrails) = object.get_mut("guardrails").and_then(Value::as_object_mut) {
        guardrails.retain(|_, list| {
            list.as_array().is_none_or(|list| !list.is_empty()) || whims.rarely()
        });
    }
    if let Some(steps) = object
        .get_mut("pipeline")
        .and_then(|pipeline| pipeline["steps"].as_array_mut())
    {
        for step in steps.iter_mut().filter_map(Value::as_object_mut) {
            step.retain(|key, value| {
                !(key == "pass_data" && value == false || key == "on_fail" && value == "block")
                    || whims.rarely()
            });
        }
    }
    object
}

fn comment(text: &mut String, indent: usize, whims: &mut Whims<'_>) {
    if whims.rarely() {
        text.push_str(&format!("{}# name: not this\n", " ".repeat(indent)));
    }
    if whims.rarely() {
        text.push('\n');
    }
}

fn line_end(text: &mut String, whims: &mut Whims<'_>) {
    text.push_str(["\n", " # said\n", "  \n", "\n"][whims.below(4)]);
}

/// A block mapping; the text stands at the beginning of a line, or after `- `.
fn mapping(object: &Map<String, Value>, indent: usize, text: &mut String, whims: &mut Whims<'_>) {
    let mut entries: Vec<_> = object.iter().collect();
    whims.shuffle(&mut entries);
    for (i, (key, value)) in entries.into_iter().enumerate() {
        if i > 0 {
            comment(text, indent, whims);
            text.push_str(&" ".repeat(indent));
        }
        text.push_str(&match whims.below(5) {
            0 => format!("\"{key}\":"),
            1 => format!("'{key}':"),
            _ => format!("{key}:"),
        });
        let value = &shuffled(key, value, whims);
        match value {
            Value::Object(inner) if !inner.is_empty() && whims.often() => {
                line_end(text, whims);
                let deeper = indent + 1 + whims.below(4);
                text.push_str(&" ".repeat(deeper));
                mapping(inner, deeper, text, whims);
            }
            Value::Array(items) if !items.is_empty() && whims.often() => {
                line_end(text, whims);
                sequence(items, indent + whims.below(3), text, whims);
            }
            Value::String(value) if value.ends_with('\n') && whims.often() => {
                literal(value, indent + 2, text)
            }
            other => {
                text.push(' ');
                flow(other, text, whims);
                line_end(text, whims);
            }
        }
    }
}

fn sequence(items: &[Value], indent: usize, text: &mut String, whims: &mut Whims<'_>) {
    for item in items {
        text.push_str(&format!("{}- ", " ".repeat(indent)));
        match item {
            Value::Object(inner) if whims.often() => mapping(inner, indent + 2, text, whims),
            other => {
                flow(other, text, whims);
                line_end(text, whims);
            }
        }
    }
}

/// A block scalar that keeps its last line break.
fn literal(value: &str, indent: usize, text: &mut String) {
    text.push_str(" |\n");
    for line in value.lines() {
        text.push_str(&format!("{}{line}\n", " ".repeat(indent)));
    }
}

fn shuffled(key: &str, value: &Value, whims: &mut Whims<'_>) -> Value {
    let mut value = value.clone();
    if let Some(items) = value.as_array_mut().filter(|_| SETS.contains(&key)) {
        whims.shuffle(items);
        if let Some(first) = items.first().cloned().filter(|_| whims.rarely()) {
            items.push(first);
        }
        if key == "model" && items.len() == 1 && whims.often() {
            return items.remove(0);
        }
    }
    value
}

fn flow(value: &Value, text: &mut String, whims: &mut Whims<'_>) {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            whims.shuffle(&mut entries);
            text.push('{');
            for (i, (key, value)) in entries.into_iter().enumerate() {
                text.push_str(&format!("{}{key}: ", if i > 0 { ", " } else { "" }));
                flow(&shuffled(key, value, whims), text, whims);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                text.push_str(if i > 0 { ", " } else { "" });
                flow(item, text, whims);
            }
            text.push(']');
        }
        Value::String(value) => scalar(value, text, whims),
        other => text.push_str(&other.to_string()),
    }
}

fn scalar(value: &str, text: &mut String, whims: &mut Whims<'_>) {
    let bare = value.starts_with(|c: char| c.is_ascii_lowercase())
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.'))
        && !matches!(value, "no" | "y" | "yes" | "off" | "null");
    match whims.below(3) {
        0 if bare => text.push_str(value),
        1 if !value.contains('\n') => text.push_str(&format!("'{}'", value.replace('\'', "''"))),
        // JSON's escapes are YAML's.
        _ => text.push_str(&Value::from(value).to_string()),
    }
}
