//! Safeguards that a change takes away or brings, as text: losses first, each with its place.

use std::collections::HashMap;

use refguard_core::safeguards::{SafeguardChange, SafeguardDiff, SafeguardKind};

use super::escape::{clip_text, escape_terminal, markdown_code, markdown_words};
use super::links::PlaceLinks;
use super::resolution::Paint;
use super::{Style, count};

/// How many losses, and how many gains, are shown; the JSON has all.
const SHOWN: usize = 30;
/// Characters of a name that are shown.
const NAME: usize = 128;
/// Characters of a message that are shown.
const MESSAGE: usize = 256;

/// The change for a terminal; nothing where no safeguard changes.
pub fn safeguards_human(diff: &SafeguardDiff, style: Style) -> String {
    let paint = Paint(style);
    let mut text = String::new();

    let lists = [
        (paint.bad("-"), "safeguard lost", &diff.lost),
        (paint.good("+"), "safeguard gained", &diff.gained),
    ];
    for (mark, words, changes) in lists {
        let groups = group_safeguards(changes);
        for group in groups.iter().take(SHOWN) {
            let change = group.first;
            let sentence = clip_text(&change.sentence(), MESSAGE).into_owned();
            let place = place_prefix(change);
            let line = format!("{words}: {place}{sentence}{}", group.rest_words());
            text.push_str(&format!("{mark} {}\n", escape_terminal(&line)));
        }
        push_count_of_rest(&mut text, "  ", groups.len());
    }
    text
}

/// The change for a pull request; nothing where no safeguard changes.
pub fn safeguards_markdown(diff: &SafeguardDiff) -> String {
    if diff.is_empty() {
        return String::new();
    }

    let mut text = "### Safeguards\n\n".to_owned();
    let places = PlaceLinks::default();
    for (word, changes) in [("**lost**", &diff.lost), ("gained", &diff.gained)] {
        let groups = group_safeguards(changes);
        for group in groups.iter().take(SHOWN) {
            text.push_str(&format!("- {word} {}\n", safeguard_words(group, &places)));
        }
        push_count_of_rest(&mut text, "- ", groups.len());
    }
    text
}

fn push_count_of_rest(text: &mut String, indent: &str, total: usize) {
    let left_out = total.saturating_sub(SHOWN);
    if left_out > 0 {
        text.push_str(&format!(
            "{indent}and {}\n",
            count(left_out, "more", "more")
        ));
    }
}

/// `file:line: `, or nothing where the change has no place.
fn place_prefix(change: &SafeguardChange) -> String {
    match (&change.file, change.line) {
        (Some(file), Some(line)) => format!("{}:{line}: ", clip_text(file, NAME)),
        _ => String::new(),
    }
}

/// Safeguards of which the same becomes: one, or the cases of a matrix.
pub struct SafeguardGroup<'c> {
    /// The first of them.
    pub first: &'c SafeguardChange,
    /// How many they are.
    pub count: usize,
}

impl SafeguardGroup<'_> {
    /// ` (and 19 more cases of the same matrix)`, or nothing.
    pub fn rest_words(&self) -> String {
        more_cases(self.count - 1)
    }
}

/// What is said behind a case of how many others of its matrix are alike.
pub fn more_cases(more: usize) -> String {
    match more {
        0 => String::new(),
        1 => " (and 1 more case of the same matrix)".to_owned(),
        more => format!(" (and {more} more cases of the same matrix)"),
    }
}

/// Changes put together where they are of cases that stand at one place, those of a matrix, and the
/// same becomes of them.
pub fn group_safeguards(changes: &[SafeguardChange]) -> Vec<SafeguardGroup<'_>> {
    let mut groups: Vec<SafeguardGroup<'_>> = Vec::new();
    let mut known: HashMap<(&Option<String>, Option<u32>, &str), usize> = HashMap::new();
    for change in changes {
        let key = (&change.file, change.line, change.message.as_str());
        let is_case = change.kind == SafeguardKind::Test;
        let group = known.get(&key).filter(|_| is_case);
        if let Some(group) = group.and_then(|at| groups.get_mut(*at)) {
            group.count += 1;
            continue;
        }
        if is_case {
            known.insert(key, groups.len());
        }
        groups.push(SafeguardGroup {
            first: change,
            count: 1,
        });
    }
    groups
}

/// A sentence of markdown with its place; no markup in a name counts.
pub(super) fn safeguard_words(group: &SafeguardGroup<'_>, places: &PlaceLinks) -> String {
    let change = group.first;
    let name = markdown_code(&clip_text(&change.name, NAME));
    let message = markdown_words(&clip_text(&change.message, MESSAGE));
    let place = match (&change.file, change.line) {
        // What is lost stands in the set before.
        (Some(file), Some(line)) => format!(" ({})", places.before(&clip_text(file, NAME), line)),
        _ => String::new(),
    };
    let rest = group.rest_words();
    format!("{} {name} {message}{place}{rest}", change.kind.word())
}
