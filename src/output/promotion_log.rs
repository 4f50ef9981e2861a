//! The history of an environment, for a person.

use super::age::tell_time;
use super::csv::csv_line;
use super::escape::escape_terminal;
use super::resolution::Paint;
use super::{Style, short_commit};
use crate::ops::{LogEntry, PromotionLog};

/// A block a promotion: number, time and person, then why and what.
pub fn format_promotion_log(log: &PromotionLog, style: Style) -> String {
    let paint = Paint(style);
    if log.promotions.is_empty() {
        return format!(
            "no promotion to {} is known\n",
            escape_terminal(&log.environment)
        );
    }
    log.promotions
        .iter()
        .map(|entry| format_entry(log, entry, &paint))
        .collect()
}

fn format_entry(log: &PromotionLog, entry: &LogEntry, paint: &Paint) -> String {
    let number = entry.number.map_or_else(
        || "external".to_owned(),
        |number| format!("{}#{number}", log.environment),
    );
    let what = match (entry.kind, entry.rollback, &entry.promoted) {
        ("external", ..) => paint.warn("moved by something else"),
        (_, Some(to), _) => paint.warn(&format!("rolled back to {to}")),
        ("hold", ..) => paint.warn("put on hold"),
        ("release", ..) => "hold released".to_owned(),
        (_, None, Some(promoted)) => format!("promoted {}", short_commit(promoted)),
        (_, None, None) => String::new(),
    };
    let mut text = format!(
        "{} {what}, {} by {} ({})\n",
        paint.strong(&escape_terminal(&number)),
        tell_time(&entry.time, paint.0),
        escape_terminal(&entry.author),
        short_commit(&entry.commit),
    );
    if let Some(doubt) = &entry.doubt {
        text.push_str(&format!(
            "    {}\n",
            paint.warn(&format!("doubtful: {doubt}"))
        ));
    }
    if let Some(message) = &entry.message {
        text.push_str(&format!("    {}\n", escape_terminal(message)));
    }
    if let Some(reason) = &entry.reason {
        text.push_str(&format!("    {}\n", escape_terminal(reason)));
    }
    if let Some(hold) = entry
        .hold
        .as_ref()
        .filter(|hold| Some(*hold) != entry.reason.as_ref())
    {
        text.push_str(&format!("    on hold: {}\n", escape_terminal(hold)));
    }
    for passed in &entry.allowed {
        let (gate, reason) = (
            escape_terminal(&passed.gate),
            escape_terminal(&passed.reason),
        );
        let reason = if reason.is_empty() {
            "no reason was given"
        } else {
            &*reason
        };
        let gate = paint.warn(&format!("passed the gate {gate}"));
        text.push_str(&format!("    {gate}: {reason}\n"));
    }
    if !entry.policies.is_empty() {
        text.push_str(&format!(
            "    changes {}\n",
            escape_terminal(&join_few(&entry.policies))
        ));
    }
    text
}

/// The whole history for a spreadsheet, a line an entry.
pub fn promotion_log_csv(log: &PromotionLog) -> String {
    const COLUMNS: [&str; 12] = [
        "environment",
        "number",
        "kind",
        "time",
        "author",
        "commit",
        "promoted",
        "reason",
        "allowed",
        "message",
        "policies",
        "hold",
    ];
    let line = |entry: &LogEntry| {
        let allowed = entry
            .allowed
            .iter()
            .map(|it| format!("{}: {}", it.gate, it.reason));
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let number = entry.number.map(|number| number.to_string());
        csv_line(&[
            log.environment.clone(),
            number.unwrap_or_default(),
            entry.kind.to_owned(),
            entry.time.clone(),
            entry.author.clone(),
            entry.commit.clone(),
            text(&entry.promoted),
            text(&entry.reason),
            allowed.collect::<Vec<_>>().join("; "),
            text(&entry.message),
            entry.policies.join(", "),
            text(&entry.hold),
        ])
    };
    let head = csv_line(&COLUMNS.map(str::to_owned));
    std::iter::once(head)
        .chain(log.promotions.iter().map(line))
        .collect()
}

/// The first names, and how many more there are.
fn join_few(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
