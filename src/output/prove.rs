//! Verdicts on invariants: for a person, and for a pull request.

use refguard_core::prove::{Proof, Verdict};

use super::Style;
use super::escape::{escape_markdown, escape_terminal, markdown_code};
use super::impact::{request_words, span_words};
use super::resolution::Paint;

/// How a name is set off from the words around it.
type Code<'c> = &'c dyn Fn(&str) -> String;

/// Broken invariants with their counterexamples; a line for each that holds.
pub fn proof_human(proof: &Proof, style: Style) -> String {
    let paint = Paint(style);
    let code = |name: &str| format!("`{}`", escape_terminal(name));
    let mut text = String::new();
    for verdict in &proof.invariants {
        let word = if verdict.holds {
            paint.good("holds")
        } else {
            paint.bad("broken")
        };
        text.push_str(&format!("{word} {}", escape_terminal(&verdict.name)));
        if let (Some(file), Some(line)) = (&verdict.file, verdict.line) {
            text.push_str(&format!(" ({}:{line})", escape_terminal(file)));
        }
        text.push('\n');
        for line in detail_lines(verdict, &code, &|text| escape_terminal(text).into_owned()) {
            text.push_str(&format!("    {line}\n"));
        }
    }
    for sentence in &proof.not_analysed {
        text.push_str(&format!(
            "{}: {}\n",
            paint.bad("not analysed"),
            escape_terminal(sentence)
        ));
    }
    text.push_str(&summary_sentence(proof));
    text
}

/// The verdicts for a pull request.
pub fn proof_markdown(proof: &Proof) -> String {
    let code = |name: &str| markdown_code(name);
    let mut text = format!("### Invariants\n\n{}\n", summary_sentence(proof));
    for verdict in proof.invariants.iter().filter(|verdict| !verdict.holds) {
        text.push_str(&format!("- **broken** {}\n", markdown_code(&verdict.name)));
        for line in detail_lines(verdict, &code, &escape_markdown) {
            text.push_str(&format!("  - {line}\n"));
        }
    }
    for sentence in &proof.not_analysed {
        text.push_str(&format!("- **not analysed** {}\n", markdown_code(sentence)));
    }
    text
}

fn summary_sentence(proof: &Proof) -> String {
    let holding = proof
        .invariants
        .iter()
        .filter(|verdict| verdict.holds)
        .count();
    let doubt = if proof.exact {
        ""
    } else {
        "; not everything was analysed"
    };
    format!(
        "{holding} of {} invariants hold for every request{doubt}\n",
        proof.invariants.len()
    )
}

fn detail_lines(verdict: &Verdict, code: Code<'_>, words: Code<'_>) -> Vec<String> {
    let Some(witness) = &verdict.counterexample else {
        return Vec::new();
    };
    let list = |names: &[String]| {
        names
            .iter()
            .map(|name| code(name))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let from = span_words(verdict.at, None);
    let mut lines = vec![format!(
        "{from}for example {}",
        request_words(witness, code)
    )];
    if let Some(more) = &verdict.compared_with {
        lines.push(format!("compared with {}", request_words(more, code)));
    }
    let got = if verdict.got.is_empty() {
        "no guardrail".to_owned()
    } else {
        list(&verdict.got)
    };
    lines.push(format!("gets {got}"));
    if !verdict.missing.is_empty() {
        lines.push(format!("misses {}", list(&verdict.missing)));
    }
    if !verdict.forbidden.is_empty() {
        lines.push(format!("must not get {}", list(&verdict.forbidden)));
    }
    for near in &verdict.near {
        let place = code(&format!("{}:{}", near.file, near.line));
        lines.push(format!(
            "{} at {place}: {}",
            code(&near.policy),
            words(&near.why)
        ));
    }
    lines
}
