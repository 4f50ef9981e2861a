//! What a shell offers while a command is typed: names of the policies at hand, environments,
//! promotions, rules.
//!
//! The shell runs this program for every word (see `completions`), in the folder that `-C` names on
//! the line. Whatever cannot be read offers nothing: no message may come between a person and the
//! prompt. Must not know any verb.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use refguard_core::document::{Dimension, Severity};
use refguard_core::resolve::Engine;

use crate::ops::{self, NoProgress, PRODUCTION, Rules, Source, TrackedSet, Workspace};

/// The variable by which a shell asks, instead of running a verb.
pub(super) const VARIABLE: &str = "REFGUARD_COMPLETE";
/// The name that the shell runs.
pub(super) const PROGRAM: &str = "refguard";
/// Promotions that are offered of an environment, the newest.
const PROMOTIONS: usize = 50;
/// The options that name an environment.
const ENVIRONMENT: [&str; 2] = ["--env", "--environment"];

/// Answers a shell that asks, and ends the process; returns where a verb is to run.
pub(super) fn answer_shell(command: fn() -> clap::Command) {
    CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .completer(PROGRAM)
        .complete();
}

/// The policies of the set.
pub(super) fn complete_policies() -> ArgValueCandidates {
    offer_candidates(|| {
        let engine = set_at_hand()?;
        Some(
            engine
                .set()
                .policies
                .iter()
                .map(|policy| policy.name.to_string())
                .collect(),
        )
    })
}

/// The guardrails that the catalog lists or a policy adds.
pub(super) fn complete_guardrails() -> ArgValueCandidates {
    offer_candidates(|| {
        let engine = set_at_hand()?;
        let set = engine.set();
        let listed = set.catalog.guardrail_names().map(|name| &**name);
        let added = set.policies.iter().flat_map(|policy| &policy.add);
        let names: BTreeSet<&str> = listed.chain(added.map(|id| set.guardrail(*id))).collect();
        Some(names.into_iter().map(str::to_owned).collect())
    })
}

/// The values of a dimension that the catalog lists, without patterns.
pub(super) fn complete_values(dimension: Dimension) -> ArgValueCandidates {
    offer_candidates(move || {
        let engine = set_at_hand()?;
        let listed = engine.set().catalog.values[dimension].as_ref()?;
        Some(
            listed
                .iter()
                .filter(|it| !it.ends_with('*'))
                .map(|it| it.to_string())
                .collect(),
        )
    })
}

/// The environments.
pub(super) fn complete_environments() -> ArgValueCandidates {
    offer_candidates(|| {
        let names = open_workspace()?.environment_refs().ok()?;
        Some(names.into_iter().map(|(name, _)| name).collect())
    })
}

/// The numbers of the newest promotions to the environment that the line names.
pub(super) fn complete_promotions() -> ArgValueCandidates {
    let named = || {
        let workspace = open_workspace()?;
        let environment = value_of(&ENVIRONMENT).unwrap_or_else(|| PRODUCTION.to_owned());
        let numbers = newest_promotions(&workspace, &environment)?;
        Some(
            numbers
                .into_iter()
                .map(|(number, about)| (number.to_string(), about))
                .collect(),
        )
    };
    offer_with_help(named)
}

/// Revisions: branches and tags, and the newest promotions to each environment.
pub(super) fn complete_revisions() -> ArgValueCandidates {
    offer_with_help(|| {
        let workspace = open_workspace()?;
        let mut found = branches_and_tags(&workspace).unwrap_or_default();
        for (environment, _) in workspace.environment_refs().ok()? {
            let promotions = newest_promotions(&workspace, &environment).unwrap_or_default();
            let name = |(number, about)| (format!("{environment}#{number}"), about);
            found.extend(promotions.into_iter().map(name));
        }
        Some(found)
    })
}

/// The rules, by name and by code.
pub(super) fn complete_rules() -> ArgValueCandidates {
    offer_with_help(|| {
        let rules = ops::all_rules();
        let both = rules
            .iter()
            .flat_map(|rule| [rule.name, rule.code].map(|word| (word, rule)));
        Some(
            both.map(|(word, rule)| (word.to_owned(), rule.summary.to_owned()))
                .collect(),
        )
    })
}

/// The rules whose level can be set, as the beginning of `RULE=LEVEL`.
pub(super) fn complete_levels() -> ArgValueCandidates {
    offer_with_help(|| {
        let rules = ops::all_rules().into_iter();
        let rules = rules.filter(|rule| rule.severity == Severity::Warning);
        Some(
            rules
                .map(|rule| (format!("{}=", rule.name), rule.summary.to_owned()))
                .collect(),
        )
    })
}

fn offer_candidates(
    find: impl Fn() -> Option<Vec<String>> + Send + Sync + 'static,
) -> ArgValueCandidates {
    let named = move || {
        Some(
            find()?
                .into_iter()
                .map(|name| (name, String::new()))
                .collect(),
        )
    };
    offer_with_help(named)
}

/// Words, each with what it is, which some shells show.
fn offer_with_help(
    find: impl Fn() -> Option<Vec<(String, String)>> + Send + Sync + 'static,
) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        let found = find().unwrap_or_default();
        // A name with a control character is none that a shell could show.
        let found = found
            .into_iter()
            .filter(|(name, _)| !name.contains(char::is_control));
        let candidate = |(name, about): (String, String)| {
            let about = about.replace(char::is_control, " ");
            let about = (!about.is_empty()).then(|| about.into());
            CompletionCandidate::new(name).help(about)
        };
        found.map(candidate).collect()
    })
}

/// The set of the work tree; where that has errors, the one in production.
fn set_at_hand() -> Option<Arc<Engine>> {
    let (workspace, mut sets) = (open_workspace()?, TrackedSet::default());
    let mut read = |source: Source| {
        let judged = workspace
            .judge(&source, Rules::OfThen, &mut sets, &NoProgress)
            .ok()?;
        judged.0.sound()
    };
    read(Source::Worktree).or_else(|| read(Source::At(PRODUCTION.to_owned())))
}

fn newest_promotions(workspace: &Workspace, environment: &str) -> Option<Vec<(u64, String)>> {
    let ledger = workspace.ledger_now(environment, None).ok()?;
    // What others moved lies between promotions: as many entries as hold enough of these are
    // described.
    let last = ledger
        .promotions
        .get(PROMOTIONS - 1)
        .map(|promotion| promotion.commit.id);
    let end = last.and_then(|last| {
        ledger
            .list_entries()
            .position(|entry| entry.commit() == last)
    });
    let entries = end.map_or(usize::MAX, |end| end + 1);
    let page = workspace
        .log_page(environment, &ledger, None, entries)
        .ok()??;
    let about = |entry: &ops::LogEntry| {
        let reason = entry.reason.as_ref().map(|reason| format!(": {reason}"));
        format!(
            "{} {} by {}{}",
            entry.kind,
            entry.time,
            entry.author,
            reason.unwrap_or_default()
        )
    };
    let promotions = page.log.promotions.iter();
    let numbered = promotions.filter_map(|entry| Some((entry.number?, about(entry))));
    Some(numbered.take(PROMOTIONS).collect())
}

/// The names of branches and tags, without words about them.
fn branches_and_tags(workspace: &Workspace) -> Option<Vec<(String, String)>> {
    let repo = workspace.repo().ok()?;
    let names = ["refs/heads/", "refs/tags/"]
        .into_iter()
        .flat_map(|folder| {
            let refs = repo.refs_below(folder).unwrap_or_default();
            let short =
                move |name: &str| Some((name.strip_prefix(folder)?.to_owned(), String::new()));
            refs.into_iter()
                .filter_map(move |(name, _)| short(name.as_str()))
        });
    Some(names.collect())
}

fn open_workspace() -> Option<Workspace> {
    Workspace::open(&chosen_folder()).ok()
}

/// The folder that `-C` names on the line, else the one that the shell is in.
fn chosen_folder() -> PathBuf {
    value_of(&["-C"]).map_or_else(|| Path::new(".").to_owned(), PathBuf::from)
}

/// The value that the line gives to one of some options.
fn value_of(options: &[&str]) -> Option<String> {
    let line: Vec<OsString> = std::env::args_os()
        .skip_while(|word| word != "--")
        .collect();
    let words: Vec<&str> = line.iter().filter_map(|word| word.to_str()).collect();
    let given = words.windows(2).find_map(|pair| match pair {
        [option, value] if options.contains(option) => Some((*value).to_owned()),
        _ => None,
    });
    let joined = || {
        let value = |word: &&str| {
            let (option, value) = word.split_once('=')?;
            options.contains(&option).then(|| value.to_owned())
        };
        words.iter().find_map(value)
    };
    given.or_else(joined)
}
