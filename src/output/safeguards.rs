//! Safeguards that a change takes away or brings, as text: losses first, each with its place.

use refguard_core::safeguards::{SafeguardChange, SafeguardDiff};

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

    for change in diff.lost.iter().take(SHOWN) {
        let sentence = clip_text(&change.sentence(), MESSAGE).into_owned();
        let line = format!("safeguard lost: {}{sentence}", place_prefix(change));
        text.push_str(&format!("{} {}\n", paint.bad("-"), escape_terminal(&line)));
    }
    push_count_of_rest(&mut text, "  ", diff.lost.len());

    for change in diff.gained.iter().take(SHOWN) {
        let sentence = clip_text(&change.sentence(), MESSAGE).into_owned();
        let line = format!("safeguard gained: {}{sentence}", place_prefix(change));
        text.push_str(&format!("{} {}\n", paint.good("+"), escape_terminal(&line)));
    }
    push_count_of_rest(&mut text, "  ", diff.gained.len());
    text
}

/// The change for a pull request; nothing where no safeguard changes.
pub fn safeguards_markdown(diff: &SafeguardDiff) -> String {
    if diff.is_empty() {
        return String::new();
    }

    let mut text = "### Safeguards\n\n".to_owned();
    let places = PlaceLinks::default();
    for change in diff.lost.iter().take(SHOWN) {
        text.push_str(&format!(
            "- **lost** {}\n",
            safeguard_words(change, &places)
        ));
    }
    push_count_of_rest(&mut text, "- ", diff.lost.len());

    for change in diff.gained.iter().take(SHOWN) {
        text.push_str(&format!("- gained {}\n", safeguard_words(change, &places)));
    }
    push_count_of_rest(&mut text, "- ", diff.gained.len());
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

/// A sentence of markdown with its place; no markup in a name counts.
pub(super) fn safeguard_words(change: &SafeguardChange, places: &PlaceLinks) -> String {
    let name = markdown_code(&clip_text(&change.name, NAME));
    let message = markdown_words(&clip_text(&change.message, MESSAGE));
    let place = match (&change.file, change.line) {
        // What is lost stands in the set before.
        (Some(file), Some(line)) => format!(" ({})", places.before(&clip_text(file, NAME), line)),
        _ => String::new(),
    };
    format!("{} {name} {message}{place}", change.kind.word())
}
