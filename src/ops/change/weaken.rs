//! What exact analysis has to say at the gates: invariants that do not hold, and a loss of
//! protection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use refguard_core::document::GateLevel;
use refguard_core::prove::{
    self, Budget, Proof, ProveOptions, Weakening, WeakeningKind, prove_from, weakens_from,
};
use refguard_core::resolve::Engine;

use crate::ops::EnvironmentState;
use crate::ops::change::gates::{GateWord, Lowered, Says, Sets, Verdict};

/// How long a gate may think. What is not finished by then counts as a refusal.
const PATIENCE: Duration = Duration::from_secs(20);

/// The budget of an analysis that must end so long from now.
pub fn budget_within(limit: Duration) -> Budget {
    let start = Instant::now();
    Budget::with_clock(move || match limit.as_secs_f64() {
        0.0 => 1.0,
        limit => start.elapsed().as_secs_f64() / limit,
    })
}

/// The time that an answer may take with all that it works out, of which each part gets a share:
///
/// ```text
/// 0 %     60 %    80 %          90 %     100 %
/// | impact | names | safeguards  | gates  |
/// ```
///
/// What a part does not use is there for those after it.
#[derive(Debug, Clone, Copy)]
pub struct TimeBox {
    start: Instant,
    limit: Duration,
}

impl TimeBox {
    /// What each part has at least, so that small sets are answered whole on a machine that stalls.
    const LEAST: Duration = Duration::from_millis(150);

    /// So long from now.
    pub fn begin(limit: Duration) -> Self {
        Self {
            start: Instant::now(),
            limit,
        }
    }

    /// The budget of a part that must end when a share of the time is over.
    pub fn budget_until(&self, share: f64) -> Budget {
        let end = self.limit.mul_f64(share);
        let left = end.saturating_sub(self.start.elapsed());
        budget_within(left.max(Self::LEAST))
    }
}

/// The invariants of a set: one that does not hold, or cannot be shown to, refuses.
pub(in crate::ops) fn invariants(engine: &Arc<Engine>, now: Timestamp) -> Vec<GateWord> {
    let broken = invariants_within(engine, now, &budget_within(PATIENCE));
    broken.into_words().collect()
}

/// What the gate says of invariants.
pub(in crate::ops) struct InvariantWords {
    /// Those that do not hold.
    pub broken: Vec<GateWord>,
    /// What was not analysed.
    pub open: Vec<GateWord>,
}

impl InvariantWords {
    /// All of them.
    pub fn into_words(self) -> impl Iterator<Item = GateWord> {
        self.broken.into_iter().chain(self.open)
    }
}

/// The same within a budget.
pub(in crate::ops) fn invariants_within(
    engine: &Arc<Engine>,
    now: Timestamp,
    budget: &Budget,
) -> InvariantWords {
    if engine.set().invariants.is_empty() {
        return InvariantWords {
            broken: Vec::new(),
            open: Vec::new(),
        };
    }

    let proof: Proof = prove_from(engine, now, ProveOptions::default(), budget);
    let broken = proof.invariants.iter().filter(|verdict| !verdict.holds);
    let open = proof.not_analysed.iter();
    let unanalysed = |what: &String| refuse_set(format!("not analysed: {what}"), None);
    InvariantWords {
        broken: broken.map(broken_word).collect(),
        open: open.map(unanalysed).collect(),
    }
}

fn broken_word(verdict: &prove::Verdict) -> GateWord {
    let request = verdict
        .counterexample
        .as_ref()
        .map_or_else(String::new, |w| {
            format!(": not for {}", w.describe_values())
        });
    let from = verdict
        .at
        .map_or_else(String::new, |at| format!(" from {at} on"));
    refuse_set(
        format!(
            "the invariant `{}` does not hold{from}{request}",
            verdict.name
        ),
        verdict.file.clone().zip(verdict.line),
    )
}

fn refuse_set(message: String, place: Option<(String, u32)>) -> GateWord {
    let (file, line) = place.unzip();
    GateWord {
        gate: "valid",
        says: Says::Refused,
        message,
        file,
        line,
    }
}

/// The gate *weaken*: whether some request would be blocked or changed before, and is not after.
pub(in crate::ops) fn gate(
    environment: &EnvironmentState,
    sets: Sets<'_>,
    now: Timestamp,
    lowered: &Lowered,
    verdict: &mut Verdict,
) {
    if environment.settings.weaken == GateLevel::Off {
        return;
    }
    let budget = budget_within(PATIENCE);
    if let Some(loss) = loss_between(environment, sets.base, sets.head, now, &budget) {
        let found = Loss {
            is_undecided: false,
            ..loss
        };
        say_loss(environment, lowered, verdict, found);
    }
}

/// What an environment would lose with another set.
pub(in crate::ops) fn loss_between(
    environment: &EnvironmentState,
    before: Option<&Arc<Engine>>,
    after: &Arc<Engine>,
    now: Timestamp,
    budget: &Budget,
) -> Option<Loss> {
    match before {
        // Nothing was there, so nothing can be lost.
        None if environment.ledger.tip.is_none() => None,
        None => Some(Loss {
            message: "what the environment has now is not valid, so a loss of protection cannot \
                      be ruled out"
                .to_owned(),
            is_undecided: false,
        }),
        Some(before) => {
            let answer = weakens_from(before, after, now, budget);
            loss(
                answer.weakening.as_ref(),
                &answer.not_analysed,
                budget.has_run_out(),
            )
        }
    }
}

/// Says it as loud as the environment's settings ask for.
pub(in crate::ops) fn say_loss(
    environment: &EnvironmentState,
    lowered: &Lowered,
    verdict: &mut Verdict,
    Loss {
        message,
        is_undecided,
    }: Loss,
) {
    match environment.settings.weaken {
        GateLevel::Refuse if is_undecided => verdict.say("weaken", Says::Undecided, message),
        GateLevel::Refuse => verdict.refuse_unless("weaken", lowered.weaken.as_deref(), message),
        GateLevel::Warn => verdict.say("weaken", Says::Warned, message),
        GateLevel::Off => {}
    }
}

/// A loss of protection, found or not ruled out.
pub(in crate::ops) struct Loss {
    /// The sentence that the gate says.
    pub message: String,
    /// Whether time ended before it was known.
    pub is_undecided: bool,
}

/// What is lost, or cannot be ruled out; `None`: nothing.
pub(in crate::ops) fn loss(
    weakening: Option<&Weakening>,
    open: &[String],
    ran_out: bool,
) -> Option<Loss> {
    if let Some(weakening) = weakening {
        let outcomes: Vec<String> = weakening
            .outcomes
            .iter()
            .map(|(name, outcome)| format!("`{name}` {outcome}"))
            .collect();
        let when = if outcomes.is_empty() {
            String::new()
        } else {
            format!(" when {}", outcomes.join(", "))
        };
        let (before, after) = (weakening.before, weakening.after);
        let how = match weakening.kind {
            WeakeningKind::LetThrough | WeakeningKind::Softened => {
                format!("{before} before, {after} after")
            }
            WeakeningKind::Late => {
                format!("{before} before the model is called, {after} only once it has been called")
            }
        };
        let from = weakening
            .at
            .map_or_else(String::new, |at| format!("from {at} on, "));
        return Some(Loss {
            message: format!(
                "{from}less is blocked than before: {}{when}: {how}",
                weakening.witness.describe_values()
            ),
            is_undecided: false,
        });
    }
    (!open.is_empty()).then(|| Loss {
        message: format!(
            "a loss of protection cannot be ruled out: not analysed: {}",
            open.join("; ")
        ),
        is_undecided: ran_out,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_analysed_is_undecided_only_where_time_ran_out() {
        let open = ["pipelines of `p`".to_owned()];
        for ran_out in [true, false] {
            let found = loss(None, &open, ran_out).map(|loss| loss.is_undecided);
            assert_eq!(found, Some(ran_out));
        }
        assert!(loss(None, &[], true).is_none());
    }
}
