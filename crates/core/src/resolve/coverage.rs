//! Coverage: what of a set no test case exercises.
//!
//! Four kinds of thing can be exercised: an attachment (it gave its policy), a condition (it was
//! seen to hold, and seen not to), a `remove` (it took something away), and an edge of a pipeline
//! (a step was left by a pass, a fail or an error).

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::{Engine, Outcomes, Request, Resolution, Script, Stage};
use crate::document::Outcome;
use crate::policy::{Place, Policy};

/// What can be exercised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An attachment gave its policy.
    Attachment,
    /// A condition held, or did not.
    Condition,
    /// A `remove` took a guardrail away.
    Remove,
    /// A step of a pipeline was left by an outcome.
    Pipeline,
}

/// One thing that can be exercised.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Item {
    /// Its file.
    pub file: String,
    /// The line of its document.
    pub line: u32,
    /// What it is.
    pub kind: Kind,
    /// The policy it belongs to.
    pub policy: String,
    /// Which of its kind: `holds`, a guardrail, `pii_masker on fail`.
    pub detail: String,
    /// Whether a case exercises it.
    pub covered: bool,
}

/// Everything that can be exercised, and whether it was.
#[derive(Debug, Clone)]
pub struct Coverage {
    items: BTreeMap<ItemKey, bool>,
    places: FxHashMap<String, Place>,
}

/// Kind, policy, place of an attachment (or none), detail.
type ItemKey = (Kind, String, Option<Place>, String);

/// The sums of a coverage.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CoverageReport {
    /// How many are exercised.
    pub covered: usize,
    /// Of how many.
    pub total: usize,
    /// `100.0` where there is nothing to exercise.
    pub percent: f64,
    /// Each, in the order of files.
    pub items: Vec<Item>,
}

impl Coverage {
    /// Everything in a set that can be exercised; nothing is yet.
    pub fn new(engine: &Engine) -> Self {
        let set = engine.set();
        let mut coverage = Self {
            items: BTreeMap::new(),
            places: FxHashMap::default(),
        };

        for attachment in &set.attachments {
            if let Some(policy) = set.policy(attachment.policy) {
                coverage
                    .items
                    .insert(attachment_key(policy, &attachment.place), false);
            }
        }

        for policy in &set.policies {
            coverage
                .places
                .insert(policy.name.to_string(), policy.place.clone());
            if policy.condition.is_some() {
                coverage
                    .items
                    .insert(make_key(Kind::Condition, policy, "holds"), false);
                coverage
                    .items
                    .insert(make_key(Kind::Condition, policy, "does not hold"), false);
            }

            for guardrail in &policy.remove {
                coverage.items.insert(
                    make_key(Kind::Remove, policy, set.guardrail(*guardrail)),
                    false,
                );
            }

            for step in policy.pipeline.iter().flat_map(|pipeline| &pipeline.steps) {
                for outcome in [Outcome::Pass, Outcome::Fail, Outcome::Error] {
                    let detail = edge_detail(set.guardrail(step.guardrail), outcome);
                    coverage
                        .items
                        .insert(make_key(Kind::Pipeline, policy, &detail), false);
                }
            }
        }

        coverage
    }

    /// Marks what one case exercises.
    pub fn exercise_request(
        &mut self,
        engine: &Engine,
        request: &Request,
        outcomes: &Outcomes<'_>,
    ) {
        let set = engine.set();
        let resolution = engine.resolve(request);
        for attachment in engine.counting_attachments(&request.context) {
            if let Some(policy) = set.policy(attachment.policy) {
                self.mark_covered(&attachment_key(policy, &attachment.place));
            }
        }

        // A condition is looked at wherever its policy's attachments match, also where it then
        // keeps the policy away.
        for policy in engine.considered_policies(request) {
            if let Some(condition) = &policy.condition {
                let holds = set.condition_holds(condition, request.context.model());
                self.mark_covered(&make_key(
                    Kind::Condition,
                    policy,
                    if holds { "holds" } else { "does not hold" },
                ));
            }
        }

        self.exercise_removals(engine, request, &resolution);
        let mut script = Script::new(&set.catalog, outcomes, &request.context);
        let mut pipelines: Vec<_> = resolution.pipelines.iter().collect();
        pipelines.sort_by_key(|resolved| Stage::from_mode(resolved.pipeline.mode));

        for resolved in pipelines {
            let Some((_, policy)) = set.find_policy(resolved.policy) else {
                continue;
            };

            script.run_pipeline(resolved, |step, outcome| {
                let name = set.guardrail(step.guardrail);
                self.mark_covered(&make_key(
                    Kind::Pipeline,
                    policy,
                    &edge_detail(name, outcome),
                ));
            });
        }
    }

    fn exercise_removals(
        &mut self,
        engine: &Engine,
        request: &Request,
        resolution: &Resolution<'_>,
    ) {
        let set = engine.set();
        let holds = |policy: &Policy| {
            policy
                .condition
                .as_ref()
                .is_none_or(|c| set.condition_holds(c, request.context.model()))
        };

        for resolved in &resolution.policies {
            let Some(policy) = resolved.served() else {
                continue;
            };

            set.walk_chain(policy, holds, |member, guardrail| {
                self.mark_covered(&make_key(Kind::Remove, member, set.guardrail(guardrail)));
            });
        }
    }

    fn mark_covered(&mut self, key: &ItemKey) {
        if let Some(covered) = self.items.get_mut(key) {
            *covered = true;
        }
    }

    /// The sums, and each item at its place.
    pub fn make_report(&self) -> CoverageReport {
        let item = |((kind, policy, place, detail), covered): (&ItemKey, &bool)| {
            let place = place.as_ref().or_else(|| self.places.get(policy));
            Item {
                file: place.map(|p| p.file.to_string()).unwrap_or_default(),
                line: place.map_or(0, |p| p.line),
                kind: *kind,
                policy: policy.clone(),
                detail: detail.clone(),
                covered: *covered,
            }
        };

        let mut items: Vec<Item> = self.items.iter().map(item).collect();
        items.sort();
        let covered = items.iter().filter(|item| item.covered).count();
        let total = items.len();
        #[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
        let percent = if total == 0 {
            100.0
        } else {
            (covered as f64 * 1000.0 / total as f64).floor() / 10.0
        };

        CoverageReport {
            covered,
            total,
            percent,
            items,
        }
    }
}

fn make_key(kind: Kind, policy: &Policy, detail: &str) -> ItemKey {
    (kind, policy.name.to_string(), None, detail.to_owned())
}

fn attachment_key(policy: &Policy, place: &Place) -> ItemKey {
    (
        Kind::Attachment,
        policy.name.to_string(),
        Some(place.clone()),
        String::new(),
    )
}

fn edge_detail(guardrail: &str, outcome: Outcome) -> String {
    format!("{guardrail} on {}", outcome.as_str())
}
