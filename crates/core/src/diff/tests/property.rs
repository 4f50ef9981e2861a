//! What holds of every two sets.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;

const GUARDRAILS: [&str; 3] = ["audit", "pii", "toxicity"];
const CONDITIONS: [&str; 7] = [
    "gpt-4",
    "gpt-4o",
    "gpt-.*",
    "gpt-4.*",
    "claude-.*",
    ".*",
    "gpt-(4|5)",
];
const PATTERNS: [&str; 4] = ["a", "ab", "a*", "*"];
/// Every class of models that the conditions tell apart has one here.
const MODELS: [&str; 9] = [
    "gpt-4", "gpt-4o", "gpt-4x", "gpt-5", "gpt-x", "claude-3", "other", "gpt-.*", "",
];

#[derive(Debug, Clone)]
struct PlainPolicy {
    present: bool,
    description: Option<u8>,
    inherit: bool,
    add: Vec<&'static str>,
    remove: Vec<&'static str>,
    condition: Option<Vec<&'static str>>,
    pipeline: bool,
}

#[derive(Debug, Clone)]
struct PlainAttachment {
    policy: usize,
    everywhere: bool,
    teams: Vec<&'static str>,
    models: Vec<&'static str>,
    priority: Option<i8>,
    default: bool,
}

#[derive(Debug, Clone)]
struct Plain {
    policies: Vec<PlainPolicy>,
    attachments: Vec<PlainAttachment>,
}

fn policy() -> impl Strategy<Value = PlainPolicy> {
    let condition = option::weighted(0.5, subsequence(&CONDITIONS[..], 1..=2));
    (
        prop::bool::weighted(0.9),
        option::weighted(0.2, 0..3u8),
        prop::bool::weighted(0.8),
        subsequence(&GUARDRAILS[..], 0..=2),
        subsequence(&GUARDRAILS[..], 0..=1),
        condition,
        prop::bool::weighted(0.2),
    )
        .prop_map(
            |(present, description, inherit, add, remove, condition, pipeline)| PlainPolicy {
                present,
                description,
                inherit,
                add,
                remove,
                condition,
                pipeline,
            },
        )
}

fn attachment() -> impl Strategy<Value = PlainAttachment> {
    let patterns = || subsequence(&PATTERNS[..], 0..=2);
    (
        0..4usize,
        prop::bool::weighted(0.2),
        patterns(),
        patterns(),
        option::of(0..2i8),
        any::<bool>(),
    )
        .prop_map(
            |(policy, everywhere, teams, models, priority, default)| PlainAttachment {
                policy,
                everywhere: everywhere || (teams.is_empty() && models.is_empty()),
                teams,
                models,
                priority,
                default,
            },
        )
}

fn plain() -> impl Strategy<Value = Plain> {
    (vec(policy(), 4), vec(attachment(), 0..6)).prop_map(|(policies, attachments)| Plain {
        policies,
        attachments,
    })
}

/// Two sets of which the second is the first with one policy and one attachment exchanged, or any
/// two.
fn pair() -> impl Strategy<Value = (Plain, Plain)> {
    (plain(), plain(), select(vec![0usize, 1, 2, 3, 9])).prop_map(|(base, other, at)| {
        let mut head = base.clone();
        match head.policies.get_mut(at) {
            None => return (base, other),
            Some(policy) => *policy = other.policies[at].clone(),
        }

        head.attachments.pop();
        head.attachments.extend(other.attachments.first().cloned());
        (base, head)
    })
}

fn list(names: &[&str], backwards: bool) -> String {
    let mut names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    if backwards {
        names.reverse();
        names.extend(names.first().cloned());
    }

    format!("[{}]", names.join(", "))
}

impl Plain {
    /// The documents; `backwards` writes what has no order the other way round.
    fn documents(&self, backwards: bool) -> Vec<String> {
        let mut documents = Vec::new();
        let present = |at: usize| self.policies.get(at).is_some_and(|policy| policy.present);
        for (at, policy) in self
            .policies
            .iter()
            .enumerate()
            .filter(|(_, policy)| policy.present)
        {
            let mut text = format!("kind: Policy\nname: p{at}\n");
            if let Some(description) = policy.description {
                let _ = writeln!(text, "description: d{description}");
            }

            if policy.inherit && at > 0 && present(at - 1) {
                let _ = writeln!(text, "inherit: p{}", at - 1);
            }

            let (add, remove) = (
                list(&policy.add, backwards),
                list(&policy.remove, backwards),
            );
            let _ = writeln!(text, "guardrails:\n  remove: {remove}\n  add: {add}");
            if let Some(condition) = &policy.condition {
                let _ = writeln!(text, "condition: {{model: {}}}", list(condition, backwards));
            }

            if let (true, Some(step)) = (policy.pipeline, policy.add.first()) {
                let _ = writeln!(
                    text,
                    "pipeline: {{mode: pre_call, steps: [{{guardrail: {step}}}]}}"
                );
            }

            documents.push(text);
        }

        for attachment in self
            .attachments
            .iter()
            .filter(|attachment| present(attachment.policy))
        {
            let mut text = format!("kind: PolicyAttachment\npolicy: p{}\n", attachment.policy);
            if attachment.everywhere {
                text.push_str("scope: '*'\n");
            }

            for (key, patterns) in [("teams", &attachment.teams), ("models", &attachment.models)] {
                if !attachment.everywhere && !patterns.is_empty() {
                    let _ = writeln!(text, "{key}: {}", list(patterns, backwards));
                }
            }

            if let Some(priority) = attachment.priority {
                let _ = writeln!(text, "priority: {priority}");
            }

            let _ = writeln!(text, "default: {}", attachment.default);
            documents.push(text);
        }

        documents
    }

    fn set(&self) -> PolicySet {
        one(&self.documents(false).join("---\n"))
    }

    /// The same set in other files, order and dress.
    fn set_elsewhere(&self) -> PolicySet {
        let mut documents = self.documents(true);
        documents.reverse();
        let files: Vec<(String, String)> = documents
            .iter()
            .enumerate()
            .map(|(at, text)| {
                (
                    format!("d{}/f{at}.yml", at % 3),
                    format!("# {at}\n{text}\n\n# end\n"),
                )
            })
            .collect();
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();

        set(&files)
    }
}

/// A policy's guardrails by name, for a model.
fn effective<'a>(set: &'a PolicySet, name: &str, model: Option<&str>) -> BTreeSet<&'a str> {
    let (_, policy) = set.find_policy(name).expect("a policy of both");
    let holds = |member: &Policy| {
        member
            .condition
            .as_ref()
            .is_none_or(|own| set.condition_holds(own, model))
    };

    set.effective_guardrails(policy, holds)
        .into_iter()
        .map(|id| set.guardrail(id))
        .collect()
}

/// What a policy loses for some model.
fn lost_by_trial(base: &PolicySet, head: &PolicySet, name: &str) -> BTreeSet<String> {
    let models = std::iter::once(None).chain(MODELS.into_iter().map(Some));
    models
        .flat_map(|model| {
            let after = effective(head, name, model);
            effective(base, name, model)
                .into_iter()
                .filter(move |g| !after.contains(g))
                .map(str::to_owned)
        })
        .collect()
}

fn flipped(fields: &[FieldChange]) -> Vec<FieldChange> {
    fields
        .iter()
        .map(|f| FieldChange {
            path: f.path.clone(),
            a: f.b.clone(),
            b: f.a.clone(),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn reordered_moved_and_reformatted_is_unchanged(plain in plain()) {
        prop_assert_eq!(diff_sets(&plain.set(), &plain.set()), SetDiff::default());
        prop_assert_eq!(diff_sets(&plain.set(), &plain.set_elsewhere()), SetDiff::default());
    }

    #[test]
    fn where_a_set_stands_leaves_no_trace((base, head) in pair()) {
        let paths = |diff: SetDiff| {
            let mut json = serde_json::to_value(&diff).expect("json");
            strip_places(&mut json);
            json
        };

        let here = paths(diff_sets(&base.set(), &head.set()));
        prop_assert_eq!(here, paths(diff_sets(&base.set(), &head.set_elsewhere())));
    }

    #[test]
    fn the_way_back_is_the_mirror((base, head) in pair()) {
        let (base, head) = (base.set(), head.set());
        let (there, back) = (diff_sets(&base, &head), diff_sets(&head, &base));
        let names = |list: &[PolicyEntry]| list.iter().map(|p| (p.name.clone(), p.guardrails.clone())).collect::<Vec<_>>();
        prop_assert_eq!(names(&there.policies.added), names(&back.policies.removed));
        prop_assert_eq!(names(&there.policies.removed), names(&back.policies.added));
        // Of twins it does not matter which one stays, so places are left out.
        let said = |list: &[AttachmentEntry]| {
            list.iter().map(|entry| (entry.document.clone(), entry.touches.clone())).collect::<Vec<_>>()
        };

        prop_assert_eq!(said(&there.attachments.added), said(&back.attachments.removed));
        prop_assert_eq!(said(&there.attachments.removed), said(&back.attachments.added));
        prop_assert_eq!(&there.touches, &back.touches);
        prop_assert_eq!(there.policies.changed.len(), back.policies.changed.len());
        for (a, b) in there.policies.changed.iter().zip(&back.policies.changed) {
            prop_assert_eq!((&a.name, a.because, &a.touches), (&b.name, b.because, &b.touches));
            prop_assert_eq!(&a.guardrails.lost, &b.guardrails.gained);
            prop_assert_eq!(&a.guardrails.gained, &b.guardrails.lost);
            prop_assert_eq!(&a.guardrails.unsure.lost, &b.guardrails.unsure.gained);
            prop_assert_eq!(flipped(&a.fields), b.fields.clone());
        }

        let changes = |diff: &SetDiff, flip: bool| {
            let fields = |change: &AttachmentChange| if flip { flipped(&change.fields) } else { change.fields.clone() };
            let said = |change| format!("{:?}", fields(change));
            diff.attachments.changed.iter().map(said).collect::<BTreeSet<_>>()
        };

        prop_assert_eq!(changes(&there, false), changes(&back, true));
    }

    #[test]
    fn no_loss_is_missed_and_what_is_sure_is_one((base, head) in pair()) {
        let (base, head) = (base.set(), head.set());
        let diff = diff_sets(&base, &head);
        for policy in base.policies.iter().filter(|policy| head.find_policy(&policy.name).is_some()) {
            let tried = lost_by_trial(&base, &head, &policy.name);
            let nothing = Guardrails::default();
            let listed = diff.policies.changed.iter().find(|change| change.name == policy.name);
            let said = listed.map_or(&nothing, |change| &change.guardrails);
            let lost: BTreeSet<String> = said.lost.iter().map(ToString::to_string).collect();
            prop_assert!(tried.is_subset(&lost), "{}: {tried:?} {lost:?}", policy.name);
            let sure: BTreeSet<String> =
                said.lost.iter().filter(|g| !said.unsure.lost.contains(g)).map(ToString::to_string).collect();
            prop_assert!(sure.is_subset(&tried), "{}: {sure:?} {tried:?}", policy.name);
        }
    }

    #[test]
    fn a_diff_is_empty_only_of_equal_sets((base, head) in pair()) {
        let (base, head) = (base.set(), head.set());
        let said = |set: &PolicySet| {
            let policies: Vec<_> = set.policies.iter().map(|p| p.digest.clone()).collect();
            let mut attachments: Vec<_> =
                set.attachments.iter().map(|a| crate::policy::attachment_json(set, a).to_string()).collect();
            attachments.sort_unstable();
            (policies, attachments)
        };

        prop_assert_eq!(diff_sets(&base, &head).is_empty(), said(&base) == said(&head));
    }
}

fn strip_places(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| key != "file" && key != "line");
            fields.values_mut().for_each(strip_places);
        }
        Value::Array(list) => list.iter_mut().for_each(strip_places),
        _ => {}
    }
}
