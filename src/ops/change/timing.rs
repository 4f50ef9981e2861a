//! The gates *freeze* and *soak*: whether an environment takes a promotion now.
//!
//! Each is asked with the instant by which it judges: a verb's clock, or that of the server whose
//! hook takes a push.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use refguard_core::policy::frozen_at;

use crate::ops::change::gates::{Candidate, Lowered, Verdict};
use crate::ops::{EnvironmentState, Workspace};
use crate::repo::{HistoryEntry, Ledger, Repo, TreeId};

/// How far honest clocks may be apart.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_mins(5);

/// The latest that another honest clock may show.
pub(crate) fn latest_honest(now: Timestamp) -> Timestamp {
    now.saturating_add(CLOCK_SLACK).unwrap_or(Timestamp::MAX)
}

/// Why a promotion's date is not what a clock would have given it: it lies ahead of the judge's
/// clock, or before the promotion that it follows. What expires and soaks is told by these dates.
/// `before` is that of the promotion before; one that itself lies ahead of the clock holds nobody
/// up.
pub(in crate::ops) fn date_fault(made: i64, before: Option<i64>, now: Timestamp) -> Option<String> {
    if made > latest_honest(now).as_second() {
        return Some(format!(
            "it is dated {}, ahead of the clock: set the clock of the machine that makes it, and \
             no `GIT_COMMITTER_DATE`",
            describe_second(made)
        ));
    }
    let slack = CLOCK_SLACK.as_secs();
    let before = before
        .filter(|before| *before <= now.as_second() && made < before.saturating_sub(slack))?;
    Some(format!(
        "it is dated {}, before the promotion that it follows ({}): set the clock of the machine \
         that makes it, and no `GIT_COMMITTER_DATE`",
        describe_second(made),
        describe_second(before)
    ))
}

/// A second as a time; one that no calendar has, as its number.
fn describe_second(second: i64) -> String {
    Timestamp::from_second(second).map_or_else(|_| second.to_string(), |time| time.to_string())
}

/// The gate *freeze*.
pub(in crate::ops) fn ask_freeze(
    environment: &EnvironmentState,
    now: Timestamp,
    lowered: &Lowered,
    verdict: &mut Verdict,
) {
    if let Some(message) = describe_freeze(environment, now) {
        verdict.refuse_unless("freeze", lowered.freeze.as_deref(), message);
    }
}

/// Until when an environment is frozen and why, in words.
fn describe_freeze(environment: &EnvironmentState, now: Timestamp) -> Option<String> {
    let frozen = frozen_at(&environment.settings.freeze, now)?;
    let why = frozen
        .freeze
        .reason
        .as_ref()
        .map(|reason| format!(": {reason}"));
    Some(format!(
        "frozen until {}{}",
        frozen.until,
        why.unwrap_or_default()
    ))
}

/// The gate *soak*: each judge asks for its own time in its own source.
pub(in crate::ops) fn ask_soak(
    workspace: &Workspace,
    environment: &EnvironmentState,
    candidate: &Candidate,
    lowered: &Lowered,
    verdict: &mut Verdict,
) -> Result<()> {
    let repo = workspace.repo()?;
    let tree = repo.tree_of(candidate.source)?;

    for judge in &environment.judges {
        let (Some(soak), Some(from)) = (judge.soak, &judge.from) else {
            continue;
        };
        let names = workspace.environment_refs()?;
        let message = if names.iter().any(|(name, _)| name == from) {
            let ledger = workspace.ledger_of(from, &environment.home)?;
            soak_fault(repo, &ledger, tree, from, soak, candidate.now)?
        } else {
            Some(format!(
                "`{from}` is no environment, so a soak of {soak:#} cannot be shown"
            ))
        };
        if let Some(message) = message {
            verdict.refuse_unless("soak", lowered.soak.as_deref(), message);
            break;
        }
    }
    Ok(())
}

fn soak_fault(
    repo: &Repo,
    ledger: &Ledger,
    tree: TreeId,
    from: &str,
    soak: SignedDuration,
    now: Timestamp,
) -> Result<Option<String>> {
    let mut stays: Vec<Stay> = Vec::new();
    for entry in ledger.list_entries() {
        stays.push(match entry {
            HistoryEntry::Promotion(promotion) => {
                let begins = Timestamp::from_second(promotion.commit.committer.time.seconds).ok();
                Stay {
                    has_set: promotion.commit.tree == tree,
                    begins,
                }
            }
            HistoryEntry::External(commit) => Stay {
                has_set: repo.tree_of(commit)? == tree,
                begins: None,
            },
        });
    }
    stays.reverse();

    let soaked = longest_stay(&stays, now);
    if soaked.longest >= soak {
        return Ok(None);
    }
    let ready = soaked.since.and_then(|since| since.checked_add(soak).ok());
    let ready = ready.map_or_else(String::new, |ready| format!("; it may move on at {ready}"));
    let so_far = match soaked.longest.as_secs() {
        ..1 => "no time that a promotion shows".to_owned(),
        seconds => format!("{:#}", SignedDuration::from_secs(seconds)),
    };
    Ok(Some(format!(
        "the set was in `{from}` for {so_far}, and {soak:#} is asked for{ready}"
    )))
}

/// One entry of an environment's history, as a soak sees it.
#[derive(Debug, Clone, Copy)]
struct Stay {
    /// Whether the environment then had the set.
    has_set: bool,
    /// When it began; `None`: something else than a promotion moved the branch, nobody knows when.
    begins: Option<Timestamp>,
}

/// How long an environment had a set without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Soaked {
    longest: SignedDuration,
    /// Since when it has it, if it does now.
    since: Option<Timestamp>,
}

/// The longest unbroken time in which an environment had a set. `stays` begin with the oldest. What
/// nobody knows the time of counts for nothing.
fn longest_stay(stays: &[Stay], now: Timestamp) -> Soaked {
    let mut soaked = Soaked {
        longest: SignedDuration::ZERO,
        since: None,
    };
    for stay in stays {
        match (stay.has_set, soaked.since) {
            (true, None) => soaked.since = stay.begins,
            (false, Some(since)) => {
                let ends = stay.begins.unwrap_or(since);
                soaked.longest = soaked.longest.max(ends.duration_since(since));
                soaked.since = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    if let Some(since) = soaked.since {
        soaked.longest = soaked.longest.max(now.duration_since(since));
    }
    soaked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_of_now_and_after_the_one_before_as_far_as_clocks_agree() {
        let now = Timestamp::from_second(10_000).unwrap();
        let fault = |made, before| date_fault(made, before, now);
        assert_eq!(fault(10_000, None), None);
        assert_eq!(fault(10_300, Some(10_000)), None);
        assert!(fault(10_301, None).is_some_and(|it| it.contains("ahead of the clock")));
        assert_eq!(fault(9_700, Some(10_000)), None);
        assert!(fault(9_699, Some(10_000)).is_some_and(|it| it.contains("before the promotion")));
        assert!(fault(i64::MAX, Some(i64::MIN)).is_some());
        assert!(fault(i64::MIN, Some(0)).is_some());
        // A wrong date that got in holds up nobody until it comes.
        assert_eq!(fault(10_000, Some(99_999)), None);
    }

    fn soaked(stays: &[(bool, Option<i64>)], now: i64) -> i64 {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let stays: Vec<Stay> = stays
            .iter()
            .map(|(has_set, begins)| Stay {
                has_set: *has_set,
                begins: begins.map(at),
            })
            .collect();
        longest_stay(&stays, at(now)).longest.as_secs()
    }

    #[test]
    fn a_set_that_is_there_counts_from_its_promotion_on() {
        assert_eq!(soaked(&[(false, Some(0)), (true, Some(10))], 50), 40);
        assert_eq!(soaked(&[(false, Some(0))], 50), 0);
        // A hold promotes the same tree once more.
        assert_eq!(soaked(&[(true, Some(10)), (true, Some(30))], 50), 40);
    }

    #[test]
    fn a_set_that_was_replaced_counts_until_then_and_breaks_do_not_add_up() {
        assert_eq!(soaked(&[(true, Some(10)), (false, Some(30))], 500), 20);
        let twice = [
            (true, Some(10)),
            (false, Some(30)),
            (true, Some(100)),
            (false, Some(125)),
        ];
        assert_eq!(soaked(&twice, 500), 25);
    }

    #[test]
    fn what_nobody_knows_the_time_of_counts_for_nothing() {
        assert_eq!(soaked(&[(true, None)], 500), 0);
        assert_eq!(soaked(&[(true, Some(10)), (false, None)], 500), 0);
        assert_eq!(soaked(&[(true, None), (true, Some(450))], 500), 50);
    }

    #[test]
    fn a_clock_that_ran_ahead_gives_no_time() {
        assert_eq!(soaked(&[(true, Some(600))], 500), 0);
        assert_eq!(soaked(&[(true, Some(100)), (false, Some(50))], 500), 0);
    }
}
