//! What a change does to requests: in sentences for a person, and for a pull request.

use jiff::Timestamp;
use refguard_core::document::Dimension;
use refguard_core::prove::{
    Cause, How, Impact, Models, PipelineView, Region, Tags, Values, Weakening, WeakeningKind,
};
use refguard_core::resolve::Context;

use super::escape::{escape_terminal, markdown_code, markdown_words};
use super::links::PlaceLinks;
use super::resolution::Paint;
use super::{Style, count};

/// How many names a sentence has before it says how many more there are.
const NAMES: usize = 5;
/// How many regions are shown; the JSON has all.
const REGIONS: usize = 40;

/// How a name is set off from the words around it.
pub(super) type Code<'c> = &'c dyn Fn(&str) -> String;

pub(super) fn quote_plain(name: &str) -> String {
    format!("`{}`", escape_terminal(name))
}

/// The change in sentences, losses first.
pub fn impact_human(impact: &Impact, style: Style) -> String {
    let paint = Paint(style);
    let mut text = String::new();
    let all: Vec<&Region> = impact.regions.iter().collect();
    let paragraphs = region_paragraphs(&all, style);
    paragraphs
        .iter()
        .take(REGIONS)
        .for_each(|paragraph| text.push_str(paragraph));
    let left_out = paragraphs.len().saturating_sub(REGIONS) + impact.regions_left_out;
    if left_out > 0 {
        text.push_str(&format!(
            "  and {} more (all with --format json --all)\n",
            count(left_out, "region", "regions")
        ));
    }
    if let Some(weakening) = &impact.weakening {
        let word = paint.bad("weakens");
        text.push_str(&format!(
            "{word}: {}\n",
            weakening_words(weakening, &quote_plain)
        ));
    }
    for sentence in &impact.not_analysed {
        text.push_str(&format!(
            "{}: {}\n",
            paint.bad("not analysed"),
            escape_terminal(sentence)
        ));
    }
    text.push_str(summary_sentence(impact));
    text.push('\n');
    text
}

/// The change for a pull request.
pub fn impact_markdown(impact: &Impact) -> String {
    let mut text = format!(
        "### What this change does to requests\n\n{}\n\n",
        summary_sentence(impact)
    );
    let all: Vec<&Region> = impact.regions.iter().collect();
    let entries = region_entries(&all, &PlaceLinks::default());
    entries
        .iter()
        .take(REGIONS)
        .for_each(|entry| text.push_str(entry));
    let left_out = entries.len().saturating_sub(REGIONS) + impact.regions_left_out;
    if left_out > 0 {
        text.push_str(&format!(
            "- and {} more\n",
            count(left_out, "region", "regions")
        ));
    }
    if let Some(weakening) = &impact.weakening {
        text.push_str(&format!(
            "\n**Weakens**: {}\n",
            weakening_words(weakening, &code_span)
        ));
    }
    for sentence in &impact.not_analysed {
        text.push_str(&format!(
            "\n**Not analysed**: {}\n",
            markdown_words(sentence)
        ));
    }
    text
}

/// Entries of a list in markdown, one for regions that differ only in the policy that requests
/// name.
pub(super) fn region_entries(regions: &[&Region], places: &PlaceLinks) -> Vec<String> {
    let entry = |group: &Group<'_>| {
        let mark = if group.region.lost.is_empty() {
            ""
        } else {
            "**loss** "
        };
        let mut text = format!("- {mark}{}\n", group.describe(&code_span));
        let example = request_words(&group.region.witness, &code_span);
        text.push_str(&format!("  - for example {example}\n"));
        for line in pipeline_lines(group.region, &code_span) {
            text.push_str(&format!("  - {line}\n"));
        }
        for cause in group.region.because.iter().take(NAMES) {
            let place = match cause.change {
                How::Removed => places.before(&cause.file, cause.line),
                How::Added | How::Changed | How::Expired => places.after(&cause.file, cause.line),
            };
            let words = cause_words(cause, &code_span);
            text.push_str(&format!("  - because of {words}: {place}\n"));
        }
        text
    };
    group_regions(regions.iter().copied())
        .iter()
        .map(entry)
        .collect()
}

/// Lines for a terminal, one entry each, as [`region_entries`].
pub(super) fn region_paragraphs(regions: &[&Region], style: Style) -> Vec<String> {
    let paint = Paint(style);
    let paragraph = |group: &Group<'_>| {
        let mark = if group.region.lost.is_empty() {
            paint.good("+")
        } else {
            paint.bad("-")
        };
        let mut text = format!("{mark} {}\n", group.describe(&quote_plain));
        let example = request_words(&group.region.witness, &quote_plain);
        text.push_str(&format!("    for example {example}\n"));
        for line in pipeline_lines(group.region, &quote_plain) {
            text.push_str(&format!("    {line}\n"));
        }
        for cause in group.region.because.iter().take(NAMES) {
            let place = quote_plain(&format!("{}:{}", cause.file, cause.line));
            let words = cause_words(cause, &quote_plain);
            text.push_str(&format!("    because of {words}: {place}\n"));
        }
        text
    };
    group_regions(regions.iter().copied())
        .iter()
        .map(paragraph)
        .collect()
}

/// A region in one sentence, its names between backticks.
pub fn region_words(region: &Region) -> String {
    let requested = region.requested.as_deref().into_iter().collect();
    Group { region, requested }.describe(&quote_plain)
}

/// A request in words, its values between backticks.
pub fn context_words(context: &Context) -> String {
    request_words(context, &quote_plain)
}

fn code_span(name: &str) -> String {
    markdown_code(name)
}

/// The teams and the models of a region, and what else its requests have, each in a few words.
pub(super) struct RegionCells {
    pub teams: String,
    pub models: String,
    /// `None`: nothing.
    pub rest: Option<String>,
}

impl RegionCells {
    pub(super) fn of(region: &Region, code: Code<'_>) -> Self {
        let mut rest: Vec<String> = Vec::new();
        for dimension in Dimension::WRITTEN {
            rest.extend(match dimension {
                Dimension::Team | Dimension::Model => None,
                set if set.is_set() => tags_words(&region.tags, code),
                plain => values_words(plain.singular(), &region.values[plain], code),
            });
        }
        // A cell stands under its heading: it need not say again what it is of.
        let cell = |words: Option<String>, heads: [&str; 3]| {
            let words = words.unwrap_or_else(|| "any or none".to_owned());
            let bare = heads.into_iter().find_map(|head| words.strip_prefix(head));
            bare.map(str::to_owned).unwrap_or(words)
        };
        let teams = values_words("team", &region.values[Dimension::Team], code);
        let models = models_words(&region.models, code);
        Self {
            teams: cell(teams, ["of a team ", "of any team ", "of "]),
            models: cell(models, ["with model ", "with a model ", "without "]),
            rest: (!rest.is_empty()).then(|| rest.join(", ")),
        }
    }
}

fn summary_sentence(impact: &Impact) -> &'static str {
    match (impact.regions.is_empty(), impact.exact) {
        (true, true) => "no request gets other guardrails or pipelines",
        (false, true) => "every other request gets what it got before",
        (_, false) => "not everything was analysed: other requests may change too",
    }
}

/// Regions that differ only in the policy that requests name.
struct Group<'r> {
    region: &'r Region,
    requested: Vec<&'r str>,
}

fn group_regions<'r>(regions: impl Iterator<Item = &'r Region>) -> Vec<Group<'r>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut known: std::collections::HashMap<_, usize> = std::collections::HashMap::new();
    for region in regions {
        let requested = region.requested.as_deref();
        let span = (region.at, region.until);
        let key = (
            &region.lost,
            &region.gained,
            &region.models,
            (&region.values, &region.tags),
            &region.pipelines,
            span,
        );
        if requested.is_some()
            && let Some(group) = known.get(&key).and_then(|at| groups.get_mut(*at))
        {
            group.requested.extend(requested);
            continue;
        }
        if requested.is_some() {
            known.insert(key, groups.len());
        }
        groups.push(Group {
            region,
            requested: requested.into_iter().collect(),
        });
    }
    groups
}

impl Group<'_> {
    fn describe(&self, code: Code<'_>) -> String {
        let region = self.region;
        let mut parts: Vec<String> = Vec::new();
        for dimension in Dimension::WRITTEN {
            parts.extend(match dimension {
                Dimension::Model => models_words(&region.models, code),
                set if set.is_set() => tags_words(&region.tags, code),
                plain => values_words(plain.singular(), &region.values[plain], code),
            });
        }
        let every = parts.is_empty() && self.requested.is_empty();
        let mut text = if every {
            "every request".to_owned()
        } else {
            "requests".to_owned()
        };
        if !self.requested.is_empty() {
            text.push_str(&format!(
                " that name {}",
                join_names(&self.requested, " or ", code)
            ));
        }
        if !parts.is_empty() {
            text.push_str(&format!(" {}", parts.join(", ")));
        }
        let mut verbs: Vec<String> = Vec::new();
        let (lose, gain) = if every {
            ("loses", "gains")
        } else {
            ("lose", "gain")
        };
        for (verb, list) in [(lose, &region.lost), (gain, &region.gained)] {
            if !list.is_empty() {
                let list: Vec<&str> = list.iter().map(String::as_str).collect();
                verbs.push(format!("{verb} {}", join_names(&list, " and ", code)));
            }
        }
        if region.pipelines.is_some() {
            verbs.push(
                if every {
                    "runs other pipelines"
                } else {
                    "run other pipelines"
                }
                .to_owned(),
            );
        }
        format!(
            "{}{text} {}",
            span_words(region.at, region.until),
            verbs.join(", ")
        )
    }
}

/// `from 2026-12-31T00:00:00Z on`: from and until when something holds; empty: at any time.
pub(super) fn when_words(at: Option<Timestamp>, until: Option<Timestamp>) -> String {
    match (at, until) {
        (None, None) => String::new(),
        (Some(at), None) => format!("from {at} on"),
        (None, Some(until)) => format!("until {until}"),
        (Some(at), Some(until)) => format!("from {at} until {until}"),
    }
}

/// The same as the beginning of a sentence.
pub(super) fn span_words(at: Option<Timestamp>, until: Option<Timestamp>) -> String {
    match when_words(at, until) {
        words if words.is_empty() => words,
        words => words + ", ",
    }
}

fn join_names(list: &[&str], last: &str, code: Code<'_>) -> String {
    let mut words: Vec<String> = list.iter().take(NAMES).map(|name| code(name)).collect();
    if list.len() > NAMES {
        words.push(format!("{} more", list.len() - NAMES));
    }
    match words.split_last() {
        Some((end, rest)) if !rest.is_empty() => format!("{}{last}{end}", rest.join(", ")),
        Some((end, _)) => end.clone(),
        None => String::new(),
    }
}

fn as_texts(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

fn but_not(none: &[String], code: Code<'_>) -> String {
    if none.is_empty() {
        String::new()
    } else {
        format!(" (but not {})", join_names(&as_texts(none), " or ", code))
    }
}

fn values_words(what: &str, values: &Values, code: Code<'_>) -> Option<String> {
    let out = but_not(&values.none, code);
    match (
        values.any.iter().any(|pattern| pattern == "*"),
        values.absent,
    ) {
        (true, _) if out.is_empty() => None,
        (true, _) => Some(format!("of any {what} or none{out}")),
        (false, true) if values.any.is_empty() => Some(format!("of no {what}")),
        _ => Some(format!(
            "of a {what} {}{out}",
            join_names(&as_texts(&values.any), " or ", code)
        )),
    }
}

fn models_words(models: &Models, code: Code<'_>) -> Option<String> {
    let any = models.any.iter().any(|pattern| pattern == "*");
    let mut parts = Vec::new();
    if !models.matches.is_empty() {
        parts.push(format!(
            "that matches {}",
            join_names(&as_texts(&models.matches), " and ", code)
        ));
    }
    if !models.not_matches.is_empty() {
        parts.push(format!(
            "that does not match {}",
            join_names(&as_texts(&models.not_matches), " or ", code)
        ));
    }
    let out = but_not(&models.none, code);
    if any && parts.is_empty() && out.is_empty() && models.absent {
        return None;
    }
    if models.any.is_empty() {
        return Some("without a model".to_owned());
    }
    let which = if any {
        "a model".to_owned()
    } else {
        format!("model {}", join_names(&as_texts(&models.any), " or ", code))
    };
    let more = if parts.is_empty() {
        String::new()
    } else {
        format!(" {}", parts.join(" and "))
    };
    let absent = if models.absent { " or none" } else { "" };
    Some(format!("with {which}{more}{out}{absent}"))
}

fn tags_words(tags: &Tags, code: Code<'_>) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    if !tags.any.is_empty() {
        parts.push(format!(
            "tagged {}",
            join_names(&as_texts(&tags.any), " or ", code)
        ));
    }
    parts.extend(
        tags.also
            .iter()
            .map(|list| format!("tagged also {}", join_names(&as_texts(list), " or ", code))),
    );
    if !tags.none.is_empty() {
        parts.push(format!(
            "not tagged {}",
            join_names(&as_texts(&tags.none), " or ", code)
        ));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// A request in words.
pub(super) fn request_words(witness: &Context, code: Code<'_>) -> String {
    let parts: Vec<String> = Dimension::WRITTEN
        .into_iter()
        .filter(|dimension| !witness.values(*dimension).is_empty())
        .map(|dimension| {
            let values = witness.values(dimension).iter().map(|value| code(value));
            let values: Vec<String> = values.collect();
            format!("{} {}", dimension.context_field(), values.join(", "))
        })
        .collect();
    if parts.is_empty() {
        without_values_words()
    } else {
        parts.join(", ")
    }
}

/// `a request without team, key, model and tags`
fn without_values_words() -> String {
    let fields = Dimension::WRITTEN.map(Dimension::context_field);
    let [rest @ .., last] = &fields;
    format!("a request without {} and {last}", rest.join(", "))
}

fn pipeline_lines(region: &Region, code: Code<'_>) -> Vec<String> {
    let Some(change) = &region.pipelines else {
        return Vec::new();
    };
    let line = |word: &str, views: &[PipelineView]| {
        let views: Vec<String> = views
            .iter()
            .map(|view| pipeline_words(view, code))
            .collect();
        format!(
            "{word}: {}",
            if views.is_empty() {
                "no pipeline".to_owned()
            } else {
                views.join("; ")
            }
        )
    };
    vec![line("before", &change.before), line("after", &change.after)]
}

fn pipeline_words(view: &PipelineView, code: Code<'_>) -> String {
    let steps: Vec<String> = view
        .steps
        .iter()
        .map(|step| {
            let actions = format!(
                "pass {}, fail {}, error {}",
                step.on_pass, step.on_fail, step.on_error
            );
            format!("{} ({actions})", code(&step.guardrail))
        })
        .collect();
    format!(
        "{} of {}: {}",
        view.mode,
        code(&view.policy),
        steps.join(", then ")
    )
}

fn cause_words(cause: &Cause, code: Code<'_>) -> String {
    let what = if cause.kind == "Policy" {
        "the policy"
    } else {
        "the attachment of"
    };
    let how = match cause.change {
        How::Added => "added",
        How::Removed => "removed",
        How::Changed => "changed",
        How::Expired => "expired",
    };
    format!("{what} {}, {how}", code(&cause.name))
}

pub(super) fn weakening_words(weakening: &Weakening, code: Code<'_>) -> String {
    let mut whose = request_words(&weakening.witness, code);
    if !weakening.requested.is_empty() {
        whose.push_str(&format!(
            ", naming {}",
            join_names(&as_texts(&weakening.requested), " and ", code)
        ));
    }
    let outcomes: Vec<String> = weakening
        .outcomes
        .iter()
        .map(|(name, outcome)| format!("{} returns {outcome}", code(name)))
        .collect();
    let verb = |action: &str| {
        if action == "block" {
            "blocks"
        } else {
            "modifies"
        }
        .to_owned()
    };
    let (before, after) = (verb(weakening.before), verb(weakening.after));
    let how = match weakening.kind {
        WeakeningKind::LetThrough => {
            format!("the set before {before} and the set after lets through this request")
        }
        WeakeningKind::Late => {
            format!(
                "the set before {before} this request before the model is called, the set after \
                 {after} it only once it has been called"
            )
        }
        WeakeningKind::Softened => {
            format!("the set before {before} and the set after {after} this request")
        }
    };
    let from = span_words(weakening.at, weakening.until);
    format!("{from}where {}, {how}: {whose}", outcomes.join(" and "))
}

#[cfg(test)]
mod tests {
    use refguard_core::document::PerDimension;
    use refguard_core::prove::{Models, Tags, Values};

    use super::*;

    fn region(requested: &str, without: &str) -> Region {
        let values = |none: &[&str]| Values {
            any: vec!["*".to_owned()],
            none: none.iter().map(|name| (*name).to_owned()).collect(),
            absent: true,
        };
        Region {
            at: None,
            until: None,
            values: PerDimension::from_fn(|dimension| match dimension {
                Dimension::Team => values(&[without]),
                _ => values(&[]),
            }),
            models: Models {
                any: vec!["*".to_owned()],
                none: Vec::new(),
                absent: true,
                matches: Vec::new(),
                not_matches: Vec::new(),
            },
            tags: Tags {
                any: Vec::new(),
                none: Vec::new(),
                absent: true,
                also: Vec::new(),
            },
            requested: Some(requested.to_owned()),
            witness: Context::default(),
            lost: vec!["pii".to_owned()],
            gained: Vec::new(),
            pipelines: None,
            because: Vec::new(),
            because_left_out: 0,
        }
    }

    #[test]
    fn regions_of_policies_are_merged_where_they_hold_the_same_requests() {
        let regions = [region("a", "eu"), region("b", "eu"), region("c", "us")];
        let groups = group_regions(regions.iter());
        let named: Vec<_> = groups.iter().map(|group| group.requested.clone()).collect();
        assert_eq!(named, [vec!["a", "b"], vec!["c"]]);
    }
}
