//! What `promote`, `rollback`, `hold` and `release` say.

use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use refguard_core::diff::{DiffReport, diff_sets};
use refguard_core::policy::PolicySet;
use refguard_core::prove::{Budget, Detail, Impact, impact_from};
use refguard_core::resolve::Engine;
use refguard_core::safeguards::SafeguardKind;
use serde_json::json;

use super::diff::{Change, change_text};
use crate::cli::args::ChangeFormat;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::ops::{
    EnvironmentState, GateWord, Plan, Published, RollbackPlan, Says, Verdict, safeguards_between,
};
use crate::output::escape::escape_terminal;
use crate::output::more_cases;
use crate::repo::CommitId;

/// So many words of one gate are said; a broken matrix has hundreds.
const SAID: usize = 10;

/// What the gates have to say, on stderr.
pub(super) fn say_gates(verdict: &Verdict) {
    say_words(&verdict.words);
}

/// What some gates have to say, on stderr.
pub(super) fn say_words(words: &[GateWord]) {
    let mut entries: Vec<(&GateWord, usize)> = Vec::new();
    for word in words {
        match entries
            .iter_mut()
            .find(|(first, _)| is_of_one_matrix(first, word))
        {
            Some((_, count)) => *count += 1,
            None => entries.push((word, 1)),
        }
    }
    for (index, (word, count)) in entries.iter().enumerate() {
        let of_gate = |entry: &&(&GateWord, usize)| entry.0.gate == word.gate;
        let before = entries.iter().take(index).filter(of_gate).count();
        let says = says_word(word.says);
        if before >= SAID {
            if before == SAID {
                let more = entries.iter().skip(index).filter(of_gate).count();
                print::write_message(&format!("{says}: gate `{}`: and {more} more", word.gate));
            }
            continue;
        }
        let place = match (&word.file, word.line) {
            (Some(file), Some(line)) => format!("{file}:{line}: "),
            _ => String::new(),
        };
        let rest = more_cases(count - 1);
        let message = &word.message;
        print::write_message(&format!(
            "{says}: gate `{}`: {place}{message}{rest}",
            word.gate
        ));
    }
}

/// Whether two words are of cases that failed, or of which the same became, and that stand at one
/// place: those of a matrix do.
fn is_of_one_matrix(one: &GateWord, other: &GateWord) -> bool {
    let place = |word: &GateWord| (word.gate, word.says, word.file.clone(), word.line);
    let is_alike = match one.gate {
        "tests" => true,
        "safeguards" => is_case(one) && is_case(other) && became(one) == became(other),
        _ => false,
    };
    is_alike && place(one) == place(other)
}

/// Whether a safeguard that a word is of is a case of a test.
fn is_case(word: &GateWord) -> bool {
    let rest = word.message.strip_prefix(SafeguardKind::Test.word());
    rest.is_some_and(|rest| rest.starts_with(" `"))
}

/// What became of the safeguard that a word is of: its message without the name.
fn became(word: &GateWord) -> &str {
    let named = word.message.split_once("` ");
    named.map_or(&*word.message, |(_, became)| became)
}

fn says_word(says: Says) -> &'static str {
    match says {
        Says::Refused => "refused",
        Says::Allowed => "allowed",
        Says::Warned => "warning",
        Says::Undecided => "not decided",
    }
}

/// The end of a refused promotion.
pub(super) fn report_refusal(
    environment: &str,
    verdict: &Verdict,
    format: ChangeFormat,
) -> Result<Exit> {
    if format == ChangeFormat::Json {
        print::write_json(&json!({
            "version": 1,
            "environment": environment,
            "changed": false,
            "refused": true,
            "gates": verdict.words,
        }))?;
    }
    Ok(Exit::Fault)
}

/// The end of one that was made.
pub(super) fn report_change(
    published: &Published,
    what: &str,
    format: ChangeFormat,
) -> Result<Exit> {
    for note in &published.notes {
        print::write_message(&format!("note: {note}"));
    }
    if format == ChangeFormat::Json {
        print::write_json(published)?;
        return Ok(Exit::Fine);
    }
    let address = published.address();
    let short = |id: &str| id.get(..10).unwrap_or(id).to_owned();
    let tip = published.commit.as_deref().map(short).unwrap_or_default();
    let text = if published.changed {
        let previous = published
            .previous
            .as_deref()
            .map_or_else(|| "nothing".to_owned(), short);
        let promoted = short(&published.promoted);
        format!(
            "{address}: {what}, promotion {} of {promoted}; {previous} -> {tip}",
            published.promotion
        )
    } else {
        format!(
            "{address}: already there, at promotion {}, {tip}",
            published.promotion
        )
    };
    print::write_line(&text)?;
    Ok(Exit::Fine)
}

/// What a verb would do, as far as it is shown beforehand.
pub(super) struct Preview<'a> {
    environment: &'a EnvironmentState,
    verdict: &'a Verdict,
    before: Option<&'a Arc<Engine>>,
    source: CommitId,
    already_there: bool,
    /// The gates that are asked; of a rollback those that have something to say are said already.
    gates: &'static [&'static str],
}

impl<'a> Preview<'a> {
    /// Of a promotion.
    pub fn of_promotion(plan: &'a Plan) -> Self {
        Self {
            environment: &plan.environment,
            verdict: &plan.verdict,
            before: plan.before.as_ref(),
            source: plan.source,
            already_there: plan.already_there,
            gates: &GateWord::ALL,
        }
    }

    /// Of a rollback, a hold or a release; of the last two the set stays.
    pub fn of_rollback(plan: &'a RollbackPlan) -> Self {
        Self {
            environment: &plan.environment,
            verdict: &plan.verdict,
            before: plan
                .before
                .as_ref()
                .or(plan.verdict.engine.as_ref().filter(|_| plan.stays())),
            source: plan.source(),
            already_there: plan.is_idle(),
            gates: &[],
        }
    }
}

/// Why a gate was not asked.
fn why_unasked(plan: &Preview<'_>) -> &'static str {
    if plan.verdict.engine.is_none() {
        "the set is not valid"
    } else if plan.verdict.asked.contains(&"soak") {
        "the settings switch it off"
    } else {
        "the set stays"
    }
}

/// What every gate says, and what would come of it.
fn report_plan(plan: &Preview<'_>, refuses: bool) -> String {
    let mut text = String::new();
    for gate in plan.gates {
        let said: Vec<&GateWord> = plan
            .verdict
            .words
            .iter()
            .filter(|word| word.gate == *gate)
            .collect();
        let says = match said.first().map(|word| word.says) {
            None if plan.verdict.asked.contains(gate) => "passes".to_owned(),
            None => format!("not asked, because {}", why_unasked(plan)),
            Some(Says::Refused) => "refuses".to_owned(),
            Some(Says::Allowed) => "refuses, and is passed".to_owned(),
            Some(Says::Warned) => "warns".to_owned(),
            Some(Says::Undecided) => "is not decided".to_owned(),
        };
        let says = if said.len() > 1 {
            format!("{says} ({} times)", said.len())
        } else {
            says
        };
        text.push_str(&format!("gate {gate}: {says}\n"));
    }
    let environment = escape_terminal(&plan.environment.settings.name);
    let number = plan.environment.ledger.next_number();
    let would = if refuses {
        "would be refused; else it"
    } else {
        "it"
    };
    text.push_str(&format!(
        "{environment}: {would} would be promotion {number}\n"
    ));
    text
}

/// What would change, and whether the gates would let it through.
pub(super) fn dry_run(shell: &Shell, plan: &Preview<'_>, format: ChangeFormat) -> Result<Exit> {
    let refuses = plan.verdict.refuses();
    let environment = &plan.environment.settings.name;
    let source = plan.source.short();
    let nothing = Arc::new(Engine::new(Arc::new(PolicySet::default())));
    let before = plan.before.unwrap_or(&nothing);
    let now = Timestamp::now();
    let after = plan.verdict.engine.as_ref();
    let diff = after.map(|after| diff_sets(before.set(), after.set()));
    let report = diff
        .as_ref()
        .map(|diff| DiffReport::new(environment, &source, diff));
    // Of a first promotion everything is gained: that takes no analysis.
    let impact = after.filter(|_| plan.before.is_some()).map(|after| Impact {
        base: environment.clone(),
        head: source.clone(),
        ..impact_from(before, after, now, &Budget::default(), Detail::READABLE)
    });
    let safeguards = after
        .map(|after| {
            match plan
                .verdict
                .comparisons
                .find_comparison(before.set(), after.set())
            {
                Some(compared) => Ok(compared.clone()),
                None => safeguards_between(before.set(), after.set(), now),
            }
        })
        .transpose()?
        .unwrap_or_default();
    let change = report.map(|diff| Change {
        diff,
        safeguards,
        impact: impact.as_ref(),
    });

    match (format, change) {
        (ChangeFormat::Json, change) => print::write_json(&json!({
            "version": 1,
            "environment": environment,
            "dry_run": true,
            "changed": !plan.already_there,
            "promotion": plan.environment.ledger.next_number(),
            "promoted": plan.source.to_string(),
            "previous": plan.environment.ledger.tip.map(|tip| tip.to_string()),
            "digest": plan.verdict.digest(),
            "refused": refuses,
            "gates": plan.verdict.words,
            "asked": plan.verdict.asked,
            "diff": change,
        }))?,
        _ if plan.already_there => print::write_line(&format!("{environment}: already there"))?,
        (format, change) => {
            if let Some(change) = change {
                print::write_results(&change_text(shell, &change, format))?;
            }
            if format == ChangeFormat::Human {
                print::write_results(&report_plan(plan, refuses))?;
            }
        }
    }
    Ok(Exit::fault_if(refuses))
}
