//! What changed between two sets or two versions, as text.
//!
//! What is lost comes first and is marked, in every form. Here are the words that the forms share;
//! `human` is for a terminal, `markdown` for a comment on a pull request. Must not know how a
//! change was found.

mod human;
mod markdown;
#[cfg(test)]
mod tests;

use refguard_core::diff::{
    AttachmentEntry, Because, FieldChange, PolicyChange, PolicyEntry, SetDiff, TouchedNames,
    Touches,
};
use refguard_core::document::Dimension;
use rustc_hash::FxHashSet;
use serde_json::{Map, Value};

use super::count;
use super::escape::clip_text;

pub use human::{comparison_human, diff_human};
pub use markdown::{diff_markdown, diff_markdown_within};

/// Names of a list that are shown; the others are counted.
const NAMES: usize = 20;
/// Characters of a value that are shown.
const VALUE: usize = 160;

/// How many of what changed: `1 policy added, 2 changed; 1 attachment removed`.
fn count_changes(diff: &SetDiff) -> String {
    let (p, a) = (&diff.policies, &diff.attachments);
    let part = |one: &str, many: &str, counts: [usize; 3]| {
        let words = counts
            .into_iter()
            .zip(["removed", "changed", "added"])
            .filter(|(number, _)| *number > 0);
        let words = words.enumerate().map(|(at, (number, word))| match at {
            0 => format!("{} {word}", count(number, one, many)),
            _ => format!("{number} {word}"),
        });
        words.collect::<Vec<_>>().join(", ")
    };
    let policies = part(
        "policy",
        "policies",
        [p.removed.len(), p.changed.len(), p.added.len()],
    );
    let attachments = part(
        "attachment",
        "attachments",
        [a.removed.len(), a.changed.len(), a.added.len()],
    );
    [policies, attachments]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

/// What is touched: `2 of 40 teams (a, b), all 3 keys`. `None` where no catalog lists anything.
fn touches_words(touches: &Touches, quote: impl Fn(&str) -> String) -> Option<String> {
    let words = |(dimension, touched): (Dimension, Option<&TouchedNames>)| {
        let (one, many) = (dimension.singular(), dimension.plural());
        let touched = touched.filter(|touched| touched.of > 0)?;
        if touched.count == touched.of {
            return Some(format!("all {}", count(touched.of, one, many)));
        }
        let mut samples: Vec<String> = touched.samples.iter().map(|name| quote(name)).collect();
        if touched.count > samples.len() {
            samples.push("…".to_owned());
        }
        let samples = if samples.is_empty() {
            String::new()
        } else {
            format!(" ({})", samples.join(", "))
        };
        Some(format!(
            "{} of {}{samples}",
            touched.count,
            count(touched.of, one, many)
        ))
    };
    let parts: Vec<String> = touches.counted_dimensions().filter_map(words).collect();
    let mut counts = touches
        .counted_dimensions()
        .filter_map(|(_, touched)| Some(touched?.count));
    if !parts.is_empty() && counts.all(|count| count == 0) {
        return Some("nothing in the catalog".to_owned());
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What happened to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Removed,
    Changed,
    Added,
}

/// One policy or attachment that changed, in the words of both forms.
struct Item<'a> {
    event: Event,
    subject: Subject<'a>,
    file: &'a str,
    line: u32,
    /// Whether a request may be less protected.
    loses: bool,
    /// Guardrails lost for sure, and perhaps.
    lost: [Vec<&'a str>; 2],
    /// Guardrails gained for sure, and perhaps.
    gained: [Vec<&'a str>; 2],
    /// What else may be lost, or nothing.
    warning: Option<&'static str>,
    fields: &'a [FieldChange],
    /// Of a change that is only inherited: through whom.
    via: Vec<&'a str>,
    /// `None` where the attachments say it.
    touches: Option<&'a Touches>,
}

/// What an item is about.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Policy(&'a str),
    Attachment(&'a Map<String, Value>),
}

/// Every change, what is lost first; policies before attachments.
fn list_items(diff: &SetDiff) -> Vec<Item<'_>> {
    let (p, a) = (&diff.policies, &diff.attachments);
    let mut items: Vec<Item<'_>> = p.changed.iter().map(Item::changed_policy).collect();
    items.extend(
        p.removed
            .iter()
            .map(|entry| Item::whole_policy(Event::Removed, entry)),
    );
    items.extend(
        p.added
            .iter()
            .map(|entry| Item::whole_policy(Event::Added, entry)),
    );
    items.extend(
        a.removed
            .iter()
            .map(|entry| Item::whole_attachment(Event::Removed, entry)),
    );
    items.extend(a.changed.iter().map(|change| {
        let warning = change.may_lose.then_some("may match fewer requests");
        let item = Item::whole_attachment(Event::Changed, &change.entry);
        Item {
            fields: &change.fields,
            loses: change.may_lose,
            warning,
            ..item
        }
    }));
    items.extend(
        a.added
            .iter()
            .map(|entry| Item::whole_attachment(Event::Added, entry)),
    );
    // Stable: among equals the order is the one above.
    items.sort_by_key(|item| match item.loses {
        true if item.event == Event::Removed || !item.lost[0].is_empty() => 0,
        true => 1,
        false => 2,
    });
    items
}

impl<'a> Item<'a> {
    fn whole_policy(event: Event, entry: &'a PolicyEntry) -> Self {
        let guardrails = [as_names(&entry.guardrails), Vec::new()];
        let (lost, gained) = match event {
            Event::Added => (Default::default(), guardrails),
            _ => (guardrails, Default::default()),
        };
        Self {
            event,
            subject: Subject::Policy(&entry.name),
            file: &entry.place.file,
            line: entry.place.line,
            loses: event == Event::Removed,
            lost,
            gained,
            warning: None,
            fields: &[],
            via: Vec::new(),
            touches: None,
        }
    }

    fn changed_policy(change: &'a PolicyChange) -> Self {
        let moved = &change.guardrails;
        let pipeline = change.may_lose && moved.lost.is_empty();
        Self {
            event: Event::Changed,
            subject: Subject::Policy(&change.name),
            file: &change.place.file,
            line: change.place.line,
            loses: change.may_lose,
            lost: split_unsure(&moved.lost, &moved.unsure.lost),
            gained: split_unsure(&moved.gained, &moved.unsure.gained),
            warning: pipeline.then_some("its pipeline may block less"),
            fields: &change.fields,
            via: if change.because == Because::Inherited {
                as_names(&change.via)
            } else {
                Vec::new()
            },
            touches: Some(&change.touches),
        }
    }

    fn whole_attachment(event: Event, entry: &'a AttachmentEntry) -> Self {
        Self {
            event,
            subject: Subject::Attachment(&entry.document),
            file: &entry.place.file,
            line: entry.place.line,
            loses: event == Event::Removed,
            lost: Default::default(),
            gained: Default::default(),
            warning: None,
            fields: &[],
            via: Vec::new(),
            touches: Some(&entry.touches),
        }
    }
}

fn as_names(list: &[std::sync::Arc<str>]) -> Vec<&str> {
    list.iter().map(|name| &**name).collect()
}

/// Those that are sure, and those that are not.
fn split_unsure<'a>(
    all: &'a [std::sync::Arc<str>],
    unsure: &[std::sync::Arc<str>],
) -> [Vec<&'a str>; 2] {
    let unsure: FxHashSet<&str> = unsure.iter().map(|name| &**name).collect();
    let (unsure, sure) = all
        .iter()
        .map(|name| &**name)
        .partition(|name| unsure.contains(name));
    [sure, unsure]
}

/// Names in a row; of many only the first.
fn join_names(names: &[&str], quote: impl Fn(&str) -> String) -> String {
    let mut shown: Vec<String> = names.iter().take(NAMES).map(|name| quote(name)).collect();
    if names.len() > NAMES {
        shown.push(format!("and {} more", names.len() - NAMES));
    }
    shown.join(", ")
}

/// Which requests an attachment is for: `teams health-*; tags phi*; priority 10`.
fn target_words(document: &Map<String, Value>, quote: impl Fn(&str) -> String) -> String {
    let mut parts = Vec::new();
    if document.contains_key("scope") {
        parts.push("every request".to_owned());
    }
    for key in Dimension::WRITTEN.map(Dimension::plural) {
        if let Some(patterns) = document.get(key).and_then(Value::as_array) {
            let patterns: Vec<&str> = patterns.iter().filter_map(Value::as_str).collect();
            parts.push(format!("{key} {}", join_names(&patterns, &quote)));
        }
    }
    if let Some(priority) = document.get("priority") {
        parts.push(format!("priority {priority}"));
    }
    if document.contains_key("default") {
        parts.push("default".to_owned());
    }
    parts.join("; ")
}

fn policy_of(document: &Map<String, Value>) -> &str {
    document
        .get("policy")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A field's change: of two lists of names what went and what came, of anything else both values.
enum Change<'a> {
    Names {
        gone: Vec<&'a str>,
        come: Vec<&'a str>,
    },
    Values {
        a: String,
        b: String,
    },
}

impl<'a> Change<'a> {
    fn between_sides(field: &'a FieldChange) -> Self {
        match (name_list(&field.a), name_list(&field.b)) {
            (Some(a), Some(b)) => {
                let (in_a, in_b): (FxHashSet<&str>, FxHashSet<&str>) =
                    (a.iter().copied().collect(), b.iter().copied().collect());
                Self::Names {
                    gone: a.into_iter().filter(|name| !in_b.contains(name)).collect(),
                    come: b.into_iter().filter(|name| !in_a.contains(name)).collect(),
                }
            }
            _ => Self::Values {
                a: value_words(&field.a),
                b: value_words(&field.b),
            },
        }
    }
}

/// The names of a list; nothing at all is an empty list.
fn name_list(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(list) => list.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

fn value_words(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        value => clip_text(&value.to_string(), VALUE).into_owned(),
    }
}
