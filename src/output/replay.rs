//! What a change would have done to the requests of a log: for a person, and for a pull request.

use refguard_core::document::Dimension;
use refguard_core::prove::Region;
use refguard_core::traffic::{Group, LaterRows, Replay};

use super::escape::{clip_text, escape_terminal, markdown_code, markdown_words};
use super::impact::{Code, quote_plain, region_entries, region_paragraphs, request_words};
use super::links::PlaceLinks;
use super::resolution::Paint;
use super::{Style, count};

/// Groups and quiet regions that are shown; the JSON has more.
const GROUPS: usize = 30;
const QUIET: usize = 10;
/// Characters of a name in markdown, and names in a list.
const NAME: usize = 128;
const NAMES: usize = 6;
/// Later instants that the verdict speaks of.
const LATER: usize = 3;

/// The rows in sentences, losses first.
pub fn replay_human(replay: &Replay, style: Style) -> String {
    let paint = Paint(style);
    let mut text = format!("{}\n", paint.strong(&verdict_line(replay)));
    for group in replay.groups.iter().take(GROUPS) {
        let mark = if group.lost.is_empty() {
            paint.good("+")
        } else {
            paint.bad("-")
        };
        text.push_str(&format!("{mark} {}\n", group_words(group, &quote_plain)));
        let example = request_words(&group.example, &quote_plain);
        text.push_str(&format!("    for example {example}\n"));
        if group.region.is_none() {
            text.push_str("    in no region that was analysed\n");
        }
    }
    let more = replay.groups.len().saturating_sub(GROUPS) + replay.groups_left_out;
    if more > 0 {
        let more = count(more, "group", "groups");
        text.push_str(&format!("  … and {more} more (--format json has them)\n"));
    }

    let lists = [
        ("rows are among these later:", later_regions(replay)),
        ("no row is among these:", quiet_regions(replay)),
    ];
    for (heading, regions) in lists {
        if regions.is_empty() {
            continue;
        }
        text.push_str(&format!("{heading}\n"));
        let paragraphs = region_paragraphs(&regions, style);
        paragraphs
            .iter()
            .take(QUIET)
            .for_each(|paragraph| text.push_str(paragraph));
        if paragraphs.len() > QUIET {
            text.push_str(&format!("  … and {} more\n", paragraphs.len() - QUIET));
        }
    }
    for unclear in &replay.unclear_because {
        text.push_str(&format!(
            "{}: {}\n",
            paint.warn("unclear"),
            escape_terminal(&unclear_words(
                unclear.rows,
                &unclear.reason,
                unclear.first.as_deref()
            ))
        ));
    }
    for sentence in &replay.not_analysed {
        text.push_str(&format!(
            "{}: {}\n",
            paint.bad("not analysed"),
            escape_terminal(sentence)
        ));
    }
    text
}

/// The rows for a pull request.
pub fn replay_markdown(replay: &Replay) -> String {
    let mut text = format!(
        "### What this change would have done to logged requests\n\n{}\n",
        verdict_line(replay)
    );
    let table = replay_table(replay);
    if !table.is_empty() {
        text.push_str(&format!("\n{table}"));
    }
    let lists = [
        ("Rows are among these later:", later_regions(replay)),
        ("No row is among these:", quiet_regions(replay)),
    ];
    for (heading, regions) in lists {
        if regions.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{heading}\n\n"));
        let entries = region_entries(&regions, &PlaceLinks::default());
        entries
            .iter()
            .take(QUIET)
            .for_each(|entry| text.push_str(entry));
        if entries.len() > QUIET {
            text.push_str(&format!("- … and {} more\n", entries.len() - QUIET));
        }
    }
    for sentence in unclear_sentences(replay) {
        text.push_str(&format!("\n{sentence}\n"));
    }
    text
}

/// What does not fit into the table, each in a sentence.
pub(super) fn unclear_sentences(replay: &Replay) -> Vec<String> {
    let unclear = replay.unclear_because.iter().map(|unclear| {
        let words = unclear_words(unclear.rows, &unclear.reason, unclear.first.as_deref());
        format!("**Unclear**: {}", markdown_words(&words))
    });
    let open = replay.not_analysed.iter();
    unclear
        .chain(open.map(|what| format!("**Not analysed**: {}", markdown_words(what))))
        .collect()
}

/// The groups as a table in markdown; empty where no row changes.
pub(super) fn replay_table(replay: &Replay) -> String {
    if replay.groups.is_empty() {
        return String::new();
    }
    let code = |name: &str| markdown_code(&clip_text(name, NAME));
    let mut table = "| rows | team | model | loses | gains | for example |\n\
         | ---: | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for group in replay.groups.iter().take(GROUPS) {
        let cell = |name: &Option<String>| name.as_deref().map_or("*none*".to_owned(), code);
        let gains = match (join_names(&group.gained, &code), group.pipelines) {
            (gains, false) => gains,
            (gains, true) if gains.is_empty() => "*other pipelines*".to_owned(),
            (gains, true) => format!("{gains}, *other pipelines*"),
        };
        table.push_str(&format!(
            "| {} | {} | {} | {} | {gains} | {} |\n",
            group.rows,
            cell(&group.context.team),
            cell(&group.context.model),
            join_names(&group.lost, &code),
            clip_text(&rest_words(group, &code), 4 * NAME)
        ));
    }
    let more = replay.groups.len().saturating_sub(GROUPS) + replay.groups_left_out;
    if more > 0 {
        table.push_str(&format!(
            "\n… and {}\n",
            count(more, "more group", "more groups")
        ));
    }
    table
}

/// Everything in a sentence.
pub(super) fn verdict_line(replay: &Replay) -> String {
    let rows = |number: u64| match number {
        1 => "1 row".to_owned(),
        number => format!("{number} rows"),
    };
    let requests = match replay.distinct {
        1 => "1 distinct request".to_owned(),
        number => format!("{number} distinct requests"),
    };
    // Fractions of a second say nothing to a person.
    let now = replay.now.strftime("%Y-%m-%dT%H:%M:%SZ");
    let mut words = format!("{} ({requests}), answered as of {now}: ", rows(replay.rows));
    words.push_str(&match (replay.rows, replay.distinct) {
        (0, _) => "no row was there to answer".to_owned(),
        (_, 0) => "no row could be answered".to_owned(),
        _ => change_words(replay.changed, replay.lost, replay.gained),
    });
    for LaterRows {
        at,
        changed,
        lost,
        gained,
        ..
    } in replay.later.iter().take(LATER)
    {
        let words_then = change_words(*changed, *lost, *gained);
        words.push_str(&format!("; from {at} on, {words_then}"));
    }
    if replay.later.len() > LATER {
        let more = count(
            replay.later.len() - LATER,
            "later instant",
            "later instants",
        );
        words.push_str(&format!("; and other numbers from {more} on"));
    }
    if replay.unclear > 0 {
        let verb = if replay.unclear == 1 { "does" } else { "do" };
        words.push_str(&format!("; {} {verb} not say enough", replay.unclear));
    }
    words
}

/// How many rows change, and how.
fn change_words(changed: u64, lost: u64, gained: u64) -> String {
    if changed == 0 {
        return "none changes".to_owned();
    }
    format!(
        "{changed} {}: {lost} {} a guardrail, {gained} {} one",
        if changed == 1 { "changes" } else { "change" },
        if lost == 1 { "loses" } else { "lose" },
        if gained == 1 { "gains" } else { "gain" },
    )
}

/// The regions that begin later and that some row lies in.
fn later_regions(replay: &Replay) -> Vec<&Region> {
    let regions = replay.later.iter().flat_map(|later| &later.regions);
    regions.map(|traffic| &traffic.told).collect()
}

fn quiet_regions(replay: &Replay) -> Vec<&Region> {
    replay
        .quiet_regions
        .iter()
        .map(|traffic| &traffic.told)
        .collect()
}

fn unclear_words(rows: u64, reason: &str, first: Option<&str>) -> String {
    let rows = if rows == 1 {
        "1 row".to_owned()
    } else {
        format!("{rows} rows")
    };
    let first = first
        .map(|first| format!(" (first: {first})"))
        .unwrap_or_default();
    format!("{rows}: {reason}{first}")
}

fn group_words(group: &Group, code: Code<'_>) -> String {
    let whose = [
        ("team", &group.context.team),
        ("model", &group.context.model),
    ];
    let whose = whose.map(|(what, name)| match name {
        Some(name) => format!("{what} {}", code(name)),
        None => format!("no {what}"),
    });
    let mut verbs = Vec::new();
    let is_one = group.rows == 1;
    if !group.lost.is_empty() {
        let verb = if is_one { "loses" } else { "lose" };
        verbs.push(format!("{verb} {}", join_names(&group.lost, code)));
    }
    if !group.gained.is_empty() {
        let verb = if is_one { "gains" } else { "gain" };
        verbs.push(format!("{verb} {}", join_names(&group.gained, code)));
    }
    if group.pipelines {
        verbs.push(
            if is_one {
                "runs other pipelines"
            } else {
                "run other pipelines"
            }
            .to_owned(),
        );
    }
    let rows = if is_one {
        "1 row".to_owned()
    } else {
        format!("{} rows", group.rows)
    };
    format!("{rows} of {} {}", whose.join(", "), verbs.join(", "))
}

fn join_names(list: &[String], code: Code<'_>) -> String {
    let mut words: Vec<String> = list.iter().take(NAMES).map(|name| code(name)).collect();
    if list.len() > NAMES {
        words.push(format!("{} more", list.len() - NAMES));
    }
    words.join(", ")
}

/// What the example of a group has besides a team and a model.
fn rest_words(group: &Group, code: Code<'_>) -> String {
    let mut parts: Vec<String> = Vec::new();
    for dimension in Dimension::WRITTEN {
        let values = group.example.values(dimension);
        if !matches!(dimension, Dimension::Team | Dimension::Model) && !values.is_empty() {
            parts.push(format!(
                "{} {}",
                dimension.context_field(),
                join_names(values, code)
            ));
        }
    }
    if !group.requested.is_empty() {
        parts.push(format!("naming {}", join_names(&group.requested, code)));
    }
    parts.join("; ")
}
