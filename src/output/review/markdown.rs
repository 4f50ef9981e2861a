//! The review as a comment on a pull request: under what forges take, however much changed, and
//! nothing of it anybody's markup but ours.

use refguard_core::prove::Region;

use super::names::rows_of;
use super::{
    ChangedDocument, changed_documents, coming_versions, gate_words, item_words, unchanged_words,
    verdict_line,
};
use crate::ops::{Foreseen, GateWord, Owner, Review, Says};
use crate::output::causes::{FindingGroup, PLACES, group_findings, worst_first};
use crate::output::escape::{clip_text, markdown_code, markdown_words};
use crate::output::failures::{Failure, group_failures};
use crate::output::impact::{region_entries, weakening_words};
use crate::output::links::PlaceLinks;
use crate::output::replay;
use crate::output::safeguards::{SafeguardGroup, group_safeguards, safeguard_words};

/// By this a comment is found again: it is its first line.
const MARK: &str = "<!-- refguard review -->";
/// Bytes of a comment: GitHub takes 65,536 characters.
const PAGE: usize = 64_000;
/// Entries of a list that are shown, and the bytes of a list; the JSON has all.
const ENTRIES: usize = 30;
const LIST: usize = 6_000;
/// Bytes that the table of names may take, and those of the exact regions.
const TABLE: usize = 12_000;
const REGIONS: usize = 8_000;
/// Characters of a sentence, and of a name.
const SENTENCE: usize = 240;
const NAME: usize = 128;

/// A page that is written from the top, as far as there is room.
struct MarkdownPage {
    text: String,
}

/// What a list begins and ends with.
#[derive(Clone, Copy)]
enum ListFrame<'a> {
    /// Under a heading.
    Open(&'a str),
    /// Folded away, under a line that opens it.
    Folded(&'a str),
}

impl MarkdownPage {
    fn room(&self) -> usize {
        PAGE.saturating_sub(self.text.len())
    }

    /// A list with as many entries as fit, each whole, and the count of the others; nothing where
    /// there is none.
    fn push_list(
        &mut self,
        frame: ListFrame<'_>,
        bytes: usize,
        entries: &[String],
        left_out: usize,
    ) {
        if entries.is_empty() && left_out == 0 {
            return;
        }
        let (begin, end) = match frame {
            ListFrame::Open(heading) => (format!("\n### {heading}\n\n"), ""),
            ListFrame::Folded(summary) => (
                format!("\n<details><summary>{summary}</summary>\n\n"),
                "\n</details>\n",
            ),
        };
        let mut room = bytes.min(self.room().saturating_sub(begin.len() + end.len() + 200));
        let mut list = String::new();
        let mut shown = 0;
        for entry in entries.iter().take(ENTRIES) {
            if entry.len() > room {
                break;
            }
            room -= entry.len();
            list.push_str(entry);
            shown += 1;
        }
        let left_out = left_out + entries.len() - shown;
        if left_out > 0 {
            list.push_str(&format!("- … and {left_out} more\n"));
        }
        self.text.push_str(&format!("{begin}{list}{end}"));
    }
}

/// The review as a comment on a pull request.
pub fn review_markdown(review: &Review, places: &PlaceLinks) -> String {
    let name = |text: &str| markdown_code(&clip_text(text, NAME));
    let mut page = MarkdownPage {
        text: format!(
            "{MARK}\n## Policies: {} → {}\n\n**{}**\n",
            name(&review.base),
            name(&review.head),
            clip_sentence(&verdict_line(review), 4 * SENTENCE)
        ),
    };
    push_table(&mut page, review);
    push_weakening(&mut page, review);
    push_replay(&mut page, review);
    if let Some(safeguards) = &review.safeguards {
        let groups = group_safeguards(&safeguards.lost);
        let listed = entry_list(groups.iter(), |group| safeguard_entry(group, places));
        page.push_list(ListFrame::Open("Safeguards lost"), LIST, &listed, 0);
    }

    let findings = worst_first(group_findings(review.new.iter()));
    let listed = entry_list(findings.iter(), |group| finding_entry(group, places));
    page.push_list(ListFrame::Open("New findings"), LIST, &listed, 0);
    let failures: Vec<Failure<'_>> = review
        .tests
        .iter()
        .flat_map(|tests| group_failures(&tests.report.cases))
        .collect();
    let listed = entry_list(failures.iter(), |failure| failure_entry(failure, places));
    page.push_list(ListFrame::Open("Failed tests"), LIST, &listed, 0);
    let listed = entry_list(gate_words(review), |(of, word)| {
        gate_entry(of, word, places)
    });
    page.push_list(ListFrame::Open("Gates"), LIST, &listed, 0);
    let listed = entry_list(review.owners.iter(), owner_entry);
    page.push_list(ListFrame::Open("Whom to ask"), LIST, &listed, 0);

    push_rest(&mut page, review, places);
    push_regions(&mut page, review, places);
    page.text
}

fn entry_list<T>(items: impl Iterator<Item = T>, entry: impl FnMut(T) -> String) -> Vec<String> {
    items.map(entry).collect()
}

/// Who loses and gains what.
fn push_table(page: &mut MarkdownPage, review: &Review) {
    let rows = rows_of(review, &markdown_code);
    if rows.is_empty() {
        return;
    }
    let with = rows.iter().any(|row| !row.with.is_empty());
    let when = rows.iter().any(|row| !row.when.is_empty());
    let lose = rows.iter().any(|row| !row.loses.is_empty());
    let gain = rows.iter().any(|row| !row.gains.is_empty());
    let line = |cells: [&str; 6]| {
        let [teams, models, from, besides, loses, gains] = cells;
        let mut line = format!("| {teams} | {models} |");
        for (is_shown, cell) in [(when, from), (with, besides), (lose, loses), (gain, gains)] {
            if is_shown {
                line.push_str(&format!(" {cell} |"));
            }
        }
        line.push('\n');
        line
    };
    let mut table = String::from("\n");
    table.push_str(&line(["teams", "models", "when", "with", "loses", "gains"]));
    table.push_str(&line(["---"; 6]));
    let mut shown = 0;
    for row in rows.iter().take(ENTRIES) {
        let line = line([
            &row.teams,
            &row.models,
            &row.when,
            &row.with,
            &row.loses,
            &row.gains,
        ]);
        if table.len() + line.len() > TABLE {
            break;
        }
        table.push_str(&line);
        shown += 1;
    }
    if shown < rows.len() {
        table.push_str(&format!("\n… and {} more rows\n", rows.len() - shown));
    }
    if let Some(why) = review
        .shift
        .as_ref()
        .and_then(|shift| shift.left_out.as_ref())
    {
        table.push_str(&format!(
            "\nNot every name was asked: {}\n",
            markdown_words(why)
        ));
    }
    page.text.push_str(&table);
}

fn push_weakening(page: &mut MarkdownPage, review: &Review) {
    let weakening = review
        .impact
        .as_ref()
        .and_then(|impact| impact.weakening.as_ref());
    if let Some(weakening) = weakening {
        let words = weakening_words(weakening, &|name| markdown_code(&clip_text(name, NAME)));
        if words.len() < LIST {
            page.text.push_str(&format!("\n**Weakens**: {words}\n"));
        }
    }
}

/// What the change would have done to logged requests.
fn push_replay(page: &mut MarkdownPage, review: &Review) {
    let Some(replay) = &review.replay else { return };
    let mut text = format!(
        "\n### Logged requests\n\n{}\n",
        replay::verdict_line(replay)
    );
    let table = replay::replay_table(replay);
    if !table.is_empty() && table.len() <= TABLE {
        text.push_str(&format!("\n{table}"));
    }
    for sentence in replay::unclear_sentences(replay).iter().take(PLACES) {
        text.push_str(&format!("\n{}\n", clip_text(sentence, SENTENCE)));
    }
    page.text.push_str(&text);
}

fn safeguard_entry(group: &SafeguardGroup<'_>, places: &PlaceLinks) -> String {
    format!("- {}\n", safeguard_words(group, places))
}

/// A sentence in which nothing is markup.
fn clip_sentence(text: &str, characters: usize) -> String {
    markdown_words(&clip_text(text, characters))
}

fn place_after(places: &PlaceLinks, file: &str, line: u32) -> String {
    places.after(&clip_text(file, SENTENCE), line)
}

fn finding_entry(group: &FindingGroup<'_>, places: &PlaceLinks) -> String {
    let first = group.first;
    let mark = if first.is_error() {
        "**error**"
    } else {
        "warning"
    };
    let help = first
        .help
        .as_ref()
        .map(|help| format!("; {}", clip_sentence(help, SENTENCE)));
    let named = group.findings.iter().take(PLACES);
    let named = named.map(|it| place_after(places, &it.location.file, it.location.line));
    let mut at = named.collect::<Vec<_>>().join(", ");
    if group.more() > 0 {
        at.push_str(&format!(" and {} more", group.more()));
    }
    format!(
        "- {mark} {} {at}: {}{}\n",
        first.rule.code,
        clip_sentence(&first.message, SENTENCE),
        help.unwrap_or_default()
    )
}

fn failure_entry(failure: &Failure<'_>, places: &PlaceLinks) -> String {
    let code = |name: &str| markdown_code(&clip_text(name, NAME));
    let first = failure.first;
    let like = if failure.is_alike {
        ""
    } else {
        ", not all of them alike"
    };
    format!(
        "- {}{like}: {}; e.g. {} ({})\n",
        failure.whose(&code),
        clip_sentence(&first.differences.join("; "), SENTENCE),
        code(&first.case),
        place_after(places, &first.file, first.line)
    )
}

fn gate_entry(environment: &Foreseen, word: &GateWord, places: &PlaceLinks) -> String {
    let says = match word.says {
        Says::Refused => "**refuses**",
        Says::Allowed => "allows",
        Says::Warned => "warns",
        Says::Undecided => "**is not decided in the time of this review**",
    };
    let place = word.file.iter().zip(word.line);
    let place: String = place
        .map(|(file, line)| format!(" {}", place_after(places, file, line)))
        .collect();
    let name = markdown_code(&clip_text(&environment.environment, NAME));
    let message = clip_sentence(&word.message, SENTENCE);
    format!("- {name}, gate *{}* {says}{place}: {message}\n", word.gate)
}

fn owner_entry(owner: &Owner) -> String {
    const POLICIES: usize = 8;
    let who = match &owner.owner {
        Some(owner) => format!("**{}**", clip_sentence(owner, NAME)),
        None => "*nobody is named as owner*".to_owned(),
    };
    let policies = owner.policies.iter().take(POLICIES);
    let policies = policies.map(|name| markdown_code(&clip_text(name, NAME)));
    let policies = policies.collect::<Vec<_>>().join(", ");
    match owner.policies.len().saturating_sub(POLICIES) {
        0 => format!("- {who}: {policies}\n"),
        more => format!("- {who}: {policies} and {more} more\n"),
    }
}

/// What is gained or stays, folded.
fn push_rest(page: &mut MarkdownPage, review: &Review, places: &PlaceLinks) {
    let words = unchanged_words(review, &|why| clip_sentence(why, SENTENCE));
    if !words.is_empty() {
        page.text.push_str(&format!("\n{}.\n", words.join("; ")));
    }
    if let Some(safeguards) = &review.safeguards {
        let groups = group_safeguards(&safeguards.gained);
        let listed = entry_list(groups.iter(), |group| safeguard_entry(group, places));
        page.push_list(ListFrame::Folded("Safeguards gained"), LIST, &listed, 0);
    }
    let documents = changed_documents(review);
    let listed = entry_list(documents.iter(), |document| {
        document_entry(document, places)
    });
    let summary = format!("Documents that differ: {}", listed.len());
    page.push_list(ListFrame::Folded(&summary), LIST, &listed, 0);
    let version = |version: &crate::ops::ComingVersion| {
        let name = format!("{}@{}", version.policy, version.number);
        let name = markdown_code(&clip_text(&name, NAME + 12));
        format!(
            "- {name}{}\n",
            if version.removed { " (removed)" } else { "" }
        )
    };
    let listed = entry_list(coming_versions(review).iter(), version);
    page.push_list(
        ListFrame::Folded("Versions that the merge makes"),
        LIST,
        &listed,
        0,
    );
    let code = |name: &str| markdown_code(&clip_text(name, NAME));
    let uncovered = review.tests.iter().flat_map(|tests| &tests.uncovered);
    let listed = entry_list(uncovered, |item| {
        let place = place_after(places, &item.file, item.line);
        format!("- {} ({place})\n", item_words(item, &code))
    });
    page.push_list(ListFrame::Folded("No test exercises"), LIST, &listed, 0);
}

fn document_entry(document: &ChangedDocument<'_>, places: &PlaceLinks) -> String {
    let name = markdown_code(&clip_text(document.name, NAME));
    let fields: Vec<String> = document
        .fields
        .iter()
        .map(|field| markdown_code(field))
        .collect();
    let fields = if fields.is_empty() {
        String::new()
    } else {
        format!(" ({})", fields.join(", "))
    };
    let (file, line) = document.place;
    let file = clip_text(file, SENTENCE);
    let place = if document.is_gone {
        places.before(&file, line)
    } else {
        places.after(&file, line)
    };
    format!(
        "- {} {name} {}{fields}: {place}\n",
        document.what, document.how
    )
}

/// The exact answer, folded; requests that name a policy themselves apart.
fn push_regions(page: &mut MarkdownPage, review: &Review, places: &PlaceLinks) {
    let Some(impact) = &review.impact else { return };
    for sentence in impact.not_analysed.iter().take(PLACES) {
        let sentence = clip_sentence(sentence, SENTENCE);
        page.text
            .push_str(&format!("\n**Not analysed**: {sentence}\n"));
    }
    let (requested, attached): (Vec<&Region>, Vec<&Region>) = impact
        .regions
        .iter()
        .partition(|region| region.requested.is_some());
    let listed = region_entries(&attached, places);
    let left_out = impact.regions_left_out;
    let summary = "Exactly, by patterns: every other request gets what it got before";
    let summary = if impact.exact { summary } else { "By patterns" };
    page.push_list(ListFrame::Folded(summary), REGIONS, &listed, left_out);
    let listed = region_entries(&requested, places);
    page.push_list(
        ListFrame::Folded("Requests that name a policy themselves"),
        REGIONS,
        &listed,
        0,
    );
}

#[cfg(test)]
mod tests;
