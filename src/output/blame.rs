//! Which promotions gave a request its guardrails or took them away, for a person.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::age::tell_time;
use super::escape::escape_terminal;
use super::resolution::Paint;
use super::{Style, count, short_commit};
use crate::ops::{Blame, BlameEvent, BlameKind, SkippedEntry};

/// Documents that are named of one event.
const CAUSES: usize = 5;
/// Guardrails that are named of a request for which nothing changed.
const GUARDRAILS: usize = 10;

/// A block a promotion: what came and went, then who, why and what did it.
pub fn format_blame(blame: &Blame, style: Style) -> String {
    let paint = Paint(style);
    let request = escape_terminal(&blame.context.describe_values()).into_owned();
    let looked = format!(
        "{} looked at",
        count(
            blame.looked_at,
            "promotion or other move",
            "promotions and other moves"
        )
    );
    let environment = escape_terminal(&blame.environment);
    let mut text = match blame.events.is_empty() {
        true => format!("{request} {} ({looked})\n", tell_nothing(blame, &paint)),
        false => format!(
            "{request}, in {environment}: {} ({looked})\n",
            tell_times(blame)
        ),
    };

    let mut events = blame.events.iter().peekable();
    while let Some(event) = events.next() {
        push_heading(&mut text, blame, event, &paint);
        push_event(&mut text, event, &paint);
        while let Some(same) =
            events.next_if(|next| next.commit == event.commit && next.time == event.time)
        {
            push_event(&mut text, same, &paint);
        }
    }
    for skipped in &blame.skipped {
        push_skipped(&mut text, blame, skipped, &paint);
    }
    text
}

/// What there is to say of a request that gained and lost nothing. Only a search back to the first
/// promotion tells that it never had something.
fn tell_nothing(blame: &Blame, paint: &Paint) -> String {
    let environment = escape_terminal(&blame.environment);
    let until = match &blame.at {
        Some(at) => format!(" up to {}", escape_terminal(at)),
        None => String::new(),
    };
    let asked = blame.guardrail.as_deref().map(|name| {
        let has = blame.has.iter().any(|other| other == name);
        (paint.strong(&escape_terminal(name)), has)
    });
    let Some(since) = &blame.since else {
        let what = asked.map_or_else(|| "any guardrail".to_owned(), |(name, _)| name);
        return format!("never had {what} in {environment}{until}");
    };

    let when = format!("since {}{until}", escape_terminal(since));
    match asked {
        Some((name, true)) => format!("has {name} in {environment}, unchanged {when}"),
        Some((name, false)) => format!("has no {name} in {environment}, unchanged {when}"),
        None if blame.has.is_empty() => {
            format!("has no guardrail in {environment}, unchanged {when}")
        }
        None => {
            let has: Vec<String> = blame
                .has
                .iter()
                .take(GUARDRAILS)
                .map(|name| escape_terminal(name).into_owned())
                .collect();
            let more = match blame.has.len() - has.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!(
                "has {}{more} in {environment}, unchanged {when}",
                has.join(", ")
            )
        }
    }
}

/// How many events there are, and of how many promotions.
fn tell_times(blame: &Blame) -> String {
    let moves: BTreeSet<(&str, &str)> = blame
        .events
        .iter()
        .map(|event| (event.commit.as_str(), event.time.as_str()))
        .collect();
    let lost = blame
        .events
        .iter()
        .filter(|event| event.kind == BlameKind::Lost)
        .count();
    let gained = blame.events.len() - lost;
    let times = |number: usize, what: &str| match number {
        0 => None,
        number => Some(format!("{number} {what}")),
    };
    let events: Vec<String> = [times(gained, "gained"), times(lost, "lost")]
        .into_iter()
        .flatten()
        .collect();
    format!(
        "{}, on {}",
        events.join(" and "),
        count(moves.len(), "occasion", "occasions")
    )
}

fn entry_name(blame: &Blame, number: Option<u64>) -> String {
    let name = match number {
        Some(number) => format!("{}#{number}", blame.environment),
        None => "moved by something else".to_owned(),
    };
    escape_terminal(&name).into_owned()
}

fn push_heading(text: &mut String, blame: &Blame, event: &BlameEvent, paint: &Paint) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{} {} by {} ({})",
        paint.strong(&entry_name(blame, event.promotion)),
        tell_time(&event.time, paint.0),
        escape_terminal(&event.author),
        short_commit(&event.commit)
    );
    if let Some(reason) = &event.reason {
        let _ = writeln!(text, "    {}", escape_terminal(reason));
    }
    for allowed in &event.allowed {
        let (gate, reason) = (
            escape_terminal(&allowed.gate),
            escape_terminal(&allowed.reason),
        );
        let _ = writeln!(
            text,
            "    {}: {reason}",
            paint.warn(&format!("passed the gate {gate}"))
        );
    }
}

fn push_event(text: &mut String, event: &BlameEvent, paint: &Paint) {
    let guardrail = escape_terminal(&event.guardrail);
    let what = match event.kind {
        BlameKind::Gained => paint.good(&format!("+ {guardrail}")),
        BlameKind::Lost => paint.bad(&format!("- {guardrail}")),
    };
    let mut because: Vec<String> = event
        .because
        .iter()
        .take(CAUSES)
        .map(describe_cause)
        .collect();
    if let Some(more) = event
        .because
        .len()
        .checked_sub(CAUSES)
        .filter(|more| *more > 0)
    {
        because.push(format!("{more} more"));
    }
    let because = because.join("; ");
    let _ = writeln!(
        text,
        "  {what}{}{because}",
        if because.is_empty() { "" } else { "  " }
    );
}

fn describe_cause(cause: &refguard_core::prove::Cause) -> String {
    let what = match cause.kind {
        "Policy" => "",
        _ => "attachment of ",
    };
    let change = match cause.change {
        refguard_core::prove::How::Added => "added",
        refguard_core::prove::How::Removed => "removed",
        refguard_core::prove::How::Changed => "changed",
        refguard_core::prove::How::Expired => "expired",
    };
    let text = format!(
        "{what}{} {change}, {}:{}",
        cause.name, cause.file, cause.line
    );
    escape_terminal(&text).into_owned()
}

fn push_skipped(text: &mut String, blame: &Blame, skipped: &SkippedEntry, paint: &Paint) {
    let _ = writeln!(
        text,
        "{} ({}) holds no valid set and was passed over: {}",
        paint.warn(&entry_name(blame, skipped.promotion)),
        short_commit(&skipped.commit),
        escape_terminal(&skipped.message)
    );
}
