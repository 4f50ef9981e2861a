//! Why each attachment that came near did or did not match: for a person, and for `?explain=1`.

use serde::Serialize;

use super::candidates::{self, Reason};
use super::{Engine, Request};
use crate::document::{Dimension, PerDimension};
use crate::policy::{Attachment, Context, Pattern, Place};

/// What became of an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It gives its policy to the request.
    Matched,
    /// It matches, but an earlier attachment gives the same policy already.
    Repeated,
    /// It matches, but no member of its policy's chain has a condition that holds for this model.
    ConditionFailed,
    /// It matches, but is a default one, and another matches.
    DefaultNotNeeded,
    /// Some of its dimensions do not match.
    Missed,
    /// It would match, but is expired.
    Expired,
}

/// An attachment that came near.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Near {
    /// Its policy.
    pub policy: String,
    /// Its file.
    pub file: String,
    /// Its line.
    pub line: u32,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, in words.
    pub why: String,
}

/// Every attachment that matches, or that some dimension of the request meets though another does
/// not; in the order of evaluation.
pub fn explain_request(engine: &Engine, request: &Request) -> Vec<Near> {
    let set = engine.set();
    let context = &request.context;
    let resolution = engine.resolve(request);
    let given: Vec<&str> = resolution
        .policies
        .iter()
        .filter(|p| p.matched_via().is_some())
        .map(|p| p.name())
        .collect();
    let mut said: Vec<&str> = Vec::new();
    let mut near = Vec::new();
    let has_non_default = resolution
        .policies
        .iter()
        .any(|p| p.matched_via().is_some_and(|reason| !reason.is_default()));
    for attachment in &set.attachments {
        let Some(policy) = set.policy(attachment.policy) else {
            continue;
        };
        let found = candidates::by_dimension(attachment, context);
        let name = &*policy.name;
        let (verdict, why) = if !found.values().all(|found| *found) {
            match missed_reason(attachment, context, &found) {
                Some(why) => (Verdict::Missed, why),
                None => continue,
            }
        } else if attachment.default && has_non_default {
            (
                Verdict::DefaultNotNeeded,
                "matches, but a default attachment counts only where no other matches".to_owned(),
            )
        } else if !given.contains(&name) {
            (
                Verdict::ConditionFailed,
                condition_words(engine, attachment, context.model()),
            )
        } else if said.contains(&name) {
            (
                Verdict::Repeated,
                "matches, but an earlier attachment gives this policy already".to_owned(),
            )
        } else {
            said.push(name);
            (
                Verdict::Matched,
                Reason::new(attachment, context).to_string(),
            )
        };

        let Place { file, line } = &attachment.place;
        near.push(Near {
            policy: name.to_owned(),
            file: file.to_string(),
            line: *line,
            verdict,
            why,
        });
    }

    near.extend(expired_matches(engine, context));
    near
}

/// The attachments that would match, were they not expired.
fn expired_matches(engine: &Engine, context: &Context) -> impl Iterator<Item = Near> {
    let matching = engine
        .expired_attachments()
        .iter()
        .filter(|attachment| candidates::matches_context(attachment, context));
    matching.filter_map(|attachment| {
        let policy = engine.set().policy(attachment.policy)?;
        let expires = attachment.expires?;
        let why = attachment
            .reason
            .as_ref()
            .map(|reason| format!(" ({reason})"));
        Some(Near {
            policy: policy.name.to_string(),
            file: attachment.place.file.to_string(),
            line: attachment.place.line,
            verdict: Verdict::Expired,
            why: format!(
                "would match, but expired at {expires}{}",
                why.unwrap_or_default()
            ),
        })
    })
}

/// What does not match, if something else does. An attachment that the request meets nowhere is not
/// near.
fn missed_reason(
    attachment: &Attachment,
    context: &Context,
    found: &PerDimension<bool>,
) -> Option<String> {
    let targets = &attachment.targets;
    let narrows = |patterns: &Vec<Pattern>| !patterns.iter().any(Pattern::is_any);
    let mut met = targets.iter().filter(|(dimension, _)| found[*dimension]);
    if !met.any(|(_, patterns)| patterns.as_ref().is_some_and(narrows)) {
        return None;
    }

    let missed = targets
        .written()
        .filter(|(dimension, _)| !found[*dimension]);
    let words = missed.map(|(dimension, patterns)| {
        let patterns = patterns.as_deref().unwrap_or_default();
        describe_miss(dimension, patterns, context.values(dimension))
    });
    Some(words.collect::<Vec<_>>().join("; "))
}

/// Why one dimension of a box does not match: ``team `a` is not `b*` or `c` ``. Of many patterns
/// the first few are named.
pub(crate) fn describe_miss(
    dimension: Dimension,
    patterns: &[Pattern],
    values: &[String],
) -> String {
    const SHOWN: usize = 8;
    let name = dimension.singular();
    let shown: Vec<String> = patterns
        .iter()
        .take(SHOWN)
        .map(|pattern| format!("`{pattern}`"))
        .collect();
    let mut asked = shown.join(" or ");
    if let Some(more) = patterns.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        asked.push_str(&format!(" or one of {more} more"));
    }

    match values {
        [] => format!("no {name}, but {asked} is asked for"),
        values => format!("{name} `{}` is not {asked}", values.join("`, `")),
    }
}

fn condition_words(engine: &Engine, attachment: &Attachment, model: Option<&str>) -> String {
    let set = engine.set();
    let texts: Vec<String> = set
        .policy(attachment.policy)
        .into_iter()
        .flat_map(|policy| policy.chain.iter())
        .filter_map(|id| set.policy(*id)?.condition.as_ref())
        .flatten()
        .filter_map(|id| set.conditions.get(id.0 as usize))
        .map(|pattern| format!("`{}`", pattern.text()))
        .collect();
    let model = model.map_or_else(
        || "no model".to_owned(),
        |model| format!("the model `{model}`"),
    );

    format!(
        "matches, but its policy's condition does not hold: {model} is not {}",
        texts.join(" or ")
    )
}
