//! The history of an environment, for a person.

use super::escape::escape_terminal;
use super::resolution::Paint;
use super::{Style, short_commit};
use crate::ops::{LogEntry, PromotionLog};

/// A block a promotion: number, time and person, then why and what.
pub fn format_promotion_log(log: &PromotionLog, style: Style) -> String {
    let paint = Paint(style);
    if log.promotions.is_empty() {
        return format!("nothing was promoted to {} yet\n", escape_terminal(&log.environment));
    }
    log.promotions.iter().map(|entry| format_entry(log, entry, &paint)).collect()
}

fn format_entry(log: &PromotionLog, entry: &LogEntry, paint: &Paint) -> String {
    let number = entry
        .number
        .map_or_else(|| "external".to_owned(), |number| format!("{}#{number}", log.environment));
    let what = match (entry.kind, entry.rollback, &entry.promoted) {
        ("external", ..) => paint.warn("moved by something else"),
        (_, Some(to), _) => paint.warn(&format!("rolled back to {to}")),
        (_, None, Some(promoted)) => format!("promoted {}", short_commit(promoted)),
        (_, None, None) => String::new(),
    };
    let mut text = format!(
        "{} {what}, {} by {} ({})\n",
        paint.strong(&escape_terminal(&number)),
        entry.time,
        escape_terminal(&entry.author),
        short_commit(&entry.commit),
    );
    if let Some(doubt) = &entry.doubt {
        text.push_str(&format!("    {}\n", paint.warn(&format!("doubtful: {doubt}"))));
    }
    if let Some(reason) = &entry.reason {
        text.push_str(&format!("    {}\n", escape_terminal(reason)));
    }
    if let Some(hold) = entry.hold.as_ref().filter(|hold| Some(*hold) != entry.reason.as_ref()) {
        text.push_str(&format!("    on hold: {}\n", escape_terminal(hold)));
    }
    if !entry.policies.is_empty() {
        text.push_str(&format!("    changes {}\n", escape_terminal(&join_few(&entry.policies))));
    }
    text
}

/// The first names, and how many more there are.
fn join_few(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
