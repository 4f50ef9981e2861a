//! Settings and catalog: gates, who may pass them, levels of rules, which files are read, which
//! lists are checked, how the gateway runs guardrails, which policies requests may name.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::model::{SafeguardChange, SafeguardDiff, SafeguardKind};
use crate::document::{GuardrailMode, Level};
use crate::policy::{Catalog, Environment, Freeze, Place, PolicySet, Settings};

/// Compares the settings of refguard.yaml.
pub(super) fn compare_settings(
    base: &Settings,
    head: &Settings,
    now: Timestamp,
    diff: &mut SafeguardDiff,
) {
    let places = Places {
        base: base.place.as_ref(),
        head: head.place.as_ref(),
    };

    compare_environments(base, head, places, now, diff);
    compare_rule_levels(base, head, places, diff);
}

/// Where the settings of both sides stand.
#[derive(Clone, Copy)]
struct Places<'a> {
    base: Option<&'a Place>,
    head: Option<&'a Place>,
}

impl<'a> Places<'a> {
    /// The place that a report names: a loss is shown where the change was made, if there still are
    /// settings.
    fn of_change(self) -> Option<&'a Place> {
        self.head.or(self.base)
    }
}

fn compare_environments(
    base: &Settings,
    head: &Settings,
    places: Places<'_>,
    now: Timestamp,
    diff: &mut SafeguardDiff,
) {
    let before = environments_by_name(base);
    let after = environments_by_name(head);

    for (name, environment) in &before {
        match after.get(name) {
            Some(after) => {
                compare_environment(environment, after, places, diff);
                compare_freezes(environment, after, places, now, diff);
                compare_soaks(environment, after, places, diff);
            }
            None => diff.note_change(
                true,
                SafeguardChange::new(
                    SafeguardKind::Environment,
                    *name,
                    "is no longer declared",
                    places.of_change(),
                ),
            ),
        }
    }

    for name in after.keys().filter(|name| !before.contains_key(*name)) {
        diff.note_change(
            false,
            SafeguardChange::new(
                SafeguardKind::Environment,
                *name,
                "is declared",
                places.of_change(),
            ),
        );
    }
}

fn environments_by_name(settings: &Settings) -> BTreeMap<&str, &Environment> {
    settings
        .environments
        .iter()
        .map(|e| (e.name.as_str(), e))
        .collect()
}

fn compare_environment(
    before: &Environment,
    after: &Environment,
    places: Places<'_>,
    diff: &mut SafeguardDiff,
) {
    let gates = [
        ("weaken", before.weaken, after.weaken),
        ("safeguards", before.safeguards, after.safeguards),
    ];
    for (gate, was, is) in gates.into_iter().filter(|(_, was, is)| was != is) {
        let (is_word, was_word) = (is.as_str(), was.as_str());
        let message = format!("of `{}`: {is_word} instead of {was_word}", before.name);
        diff.note_change(
            is < was,
            SafeguardChange::new(SafeguardKind::Gate, gate, message, places.of_change()),
        );
    }

    // Another source is another way into the environment, whatever its own gates say.
    if before.from != after.from {
        let message = format!(
            "takes its sets from {} instead of {}",
            source_name(after.from.as_deref()),
            source_name(before.from.as_deref())
        );

        diff.note_change(
            true,
            SafeguardChange::new(
                SafeguardKind::From,
                &*before.name,
                message,
                places.of_change(),
            ),
        );
    }

    compare_allow_lists(before, after, places, diff);
}

/// Each freeze that no freeze of the other side covers is lost or gained. One that is over protects
/// nothing.
fn compare_freezes(
    before: &Environment,
    after: &Environment,
    places: Places<'_>,
    now: Timestamp,
    diff: &mut SafeguardDiff,
) {
    let sides = [
        (true, before, after, "no longer frozen"),
        (false, after, before, "frozen"),
    ];
    for (is_loss, of, other, words) in sides {
        let is_kept = |freeze: &Freeze| other.freeze.iter().any(|kept| kept.covers_freeze(freeze));
        let stands_alone = |freeze: &&Freeze| !freeze.window.is_over(now) && !is_kept(freeze);
        for freeze in of.freeze.iter().filter(stands_alone) {
            let message = format!("of `{}`: {words} {}", before.name, freeze.describe_time());
            diff.note_change(
                is_loss,
                SafeguardChange::new(SafeguardKind::Gate, "freeze", message, places.of_change()),
            );
        }
    }
}

fn compare_soaks(
    before: &Environment,
    after: &Environment,
    places: Places<'_>,
    diff: &mut SafeguardDiff,
) {
    if before.soak == after.soak {
        return;
    }

    let word = |soak: Option<SignedDuration>| {
        soak.map_or_else(|| "none".to_owned(), |soak| format!("{soak:#}"))
    };
    let message = format!(
        "of `{}`: {} instead of {}",
        before.name,
        word(after.soak),
        word(before.soak)
    );

    diff.note_change(
        after.soak < before.soak,
        SafeguardChange::new(SafeguardKind::Gate, "soak", message, places.of_change()),
    );
}

/// Each address that may pass the gates and could not before is a loss.
fn compare_allow_lists(
    before: &Environment,
    after: &Environment,
    places: Places<'_>,
    diff: &mut SafeguardDiff,
) {
    let added = after.allow.iter().filter(|who| !before.allow.contains(who));
    let removed = before.allow.iter().filter(|who| !after.allow.contains(who));

    for (is_loss, who, words) in added
        .map(|who| (true, who, "may now pass the gates of"))
        .chain(removed.map(|who| (false, who, "may no longer pass the gates of")))
    {
        let message = format!("{words} `{}`", before.name);
        diff.note_change(
            is_loss,
            SafeguardChange::new(SafeguardKind::Allow, &**who, message, places.of_change()),
        );
    }
}

fn compare_rule_levels(
    base: &Settings,
    head: &Settings,
    places: Places<'_>,
    diff: &mut SafeguardDiff,
) {
    let before = base.levels.by_name();
    let after = head.levels.by_name();
    let names = before.keys().chain(after.keys());

    let mut seen: Vec<&str> = names.copied().collect();
    seen.sort_unstable();
    seen.dedup();

    for name in seen {
        // Only warnings have levels that can be set; without a setting each is a warning.
        let was = before.get(name).copied().unwrap_or(Level::Warn);
        let is = after.get(name).copied().unwrap_or(Level::Warn);
        if was == is {
            continue;
        }

        let message = format!("is {} instead of {}", is.as_str(), was.as_str());
        diff.note_change(
            is < was,
            SafeguardChange::new(SafeguardKind::Rule, name, message, places.of_change()),
        );
    }
}

/// Finds files of BASE that HEAD's `include` and `exclude` leave out: what they say is gone from
/// the set, although they may stand where they stood. `is_read` tells whether HEAD's settings let a
/// path be read.
pub(super) fn compare_files(
    base: &PolicySet,
    head: &PolicySet,
    is_read: &dyn Fn(&str) -> bool,
    diff: &mut SafeguardDiff,
) {
    let (before, after) = (&base.settings, &head.settings);
    if before.include == after.include && before.exclude == after.exclude {
        return;
    }

    let message = "is no longer read: `include` or `exclude` of refguard.yaml leaves it out";
    for file in files_of(base).into_iter().filter(|file| !is_read(file)) {
        let place = after.place.as_ref();
        diff.note_change(
            true,
            SafeguardChange::new(SafeguardKind::Files, file, message, place),
        );
    }
}

/// The files that hold policies, attachments, tests or invariants of a set.
fn files_of(set: &PolicySet) -> BTreeSet<&str> {
    let policies = set.policies.iter().map(|policy| &policy.place);
    let attachments = set.attachments.iter().map(|attachment| &attachment.place);
    let tests = set.tests.iter().map(|suite| &suite.place);
    let invariants = set.invariants.iter().map(|invariant| &invariant.place);

    policies
        .chain(attachments)
        .chain(tests)
        .chain(invariants)
        .map(|place| &*place.file)
        .collect()
}

/// Compares which lists are checked: without a list, every name passes for one that exists.
pub(super) fn compare_catalogs(base: &Catalog, head: &Catalog, diff: &mut SafeguardDiff) {
    for ((name, before), (_, after)) in catalog_lists(base).into_iter().zip(catalog_lists(head)) {
        let (is_loss, message) = match (
            finds_typos(before.as_deref()),
            finds_typos(after.as_deref()),
        ) {
            (true, false) => (
                true,
                "is no longer listed, so a name that does not exist passes",
            ),
            (false, true) => (false, "is listed, so a name that does not exist is found"),
            _ => continue,
        };

        diff.note_change(
            is_loss,
            SafeguardChange::new(SafeguardKind::Catalog, name, message, None),
        );
    }
}

/// Compares how the gateway runs the guardrails that both catalogs list: pipelines are judged by
/// it.
pub(super) fn compare_guardrails(base: &Catalog, head: &Catalog, diff: &mut SafeguardDiff) {
    for before in base.guardrails.iter().flatten() {
        let Some(after) = head.guardrail(&before.name) else {
            continue;
        };
        let mut note = |is_loss, message: String| {
            let name = format!("guardrails: {}", before.name);
            diff.note_change(
                is_loss,
                SafeguardChange::new(SafeguardKind::Catalog, &name, message, None),
            );
        };

        if before.modes != after.modes {
            // Without modes a step that never runs is not found.
            let is_loss = before.modes.is_some();
            let words = |modes: &Option<Vec<GuardrailMode>>| match modes.as_deref() {
                None => "not known".to_owned(),
                Some([]) => "none".to_owned(),
                Some(list) => list
                    .iter()
                    .map(|mode| mode.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            };

            let (before, after) = (words(&before.modes), words(&after.modes));
            note(
                is_loss,
                format!("has other modes: {before} before, {after} after"),
            );
        }

        if before.default_on != after.default_on {
            let word = |on: Option<bool>| match on {
                Some(true) => "true",
                Some(false) => "false",
                None => "not known",
            };

            let (was, is) = (word(before.default_on), word(after.default_on));
            let is_loss = before.default_on.is_some() && after.default_on != Some(true);
            note(
                is_loss,
                format!("has another `default_on`: {was} before, {is} after"),
            );
        }
    }
}

/// Compares which policies requests may name.
pub(super) fn compare_requestable(base: &PolicySet, head: &PolicySet, diff: &mut SafeguardDiff) {
    for before in &base.policies {
        let Some((_, after)) = head.find_policy(&before.name) else {
            continue;
        };
        let (is_loss, message) = match (before.requestable, after.requestable) {
            (true, false) => (
                true,
                "is no longer requestable, so strict gateways refuse calls that name it",
            ),
            (false, true) => (false, "is requestable, so calls may name it"),
            _ => continue,
        };

        let change = SafeguardChange::new(
            SafeguardKind::Policy,
            &*before.name,
            message,
            Some(&after.place),
        );

        diff.note_change(is_loss, change);
    }
}

type CatalogList<'a> = (&'static str, Option<Vec<&'a str>>);

/// Whether a list of the catalog tells names that exist from others: without one, or with `*` in
/// it, every name passes.
fn finds_typos(list: Option<&[&str]>) -> bool {
    list.is_some_and(|names| !names.contains(&"*"))
}

fn catalog_lists(catalog: &Catalog) -> Vec<CatalogList<'_>> {
    let values = catalog.values.written();
    let values = values.map(|(dimension, list)| {
        (
            dimension.plural(),
            list.as_ref()
                .map(|list| list.iter().map(|name| &**name).collect()),
        )
    });
    let guardrails = catalog.guardrails.as_ref();
    let guardrails = guardrails.map(|list| list.iter().map(|known| &*known.name).collect());

    std::iter::once(("guardrails", guardrails))
        .chain(values)
        .collect()
}

fn source_name(from: Option<&str>) -> String {
    from.map_or_else(
        || "the publish branch".to_owned(),
        |from| format!("`{from}`"),
    )
}
