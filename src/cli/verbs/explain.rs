//! `refguard explain`

use anyhow::{Result, bail};
use clap::Args;
use refguard_core::document::did_you_mean;

use crate::cli::exit::Exit;
use crate::cli::print;
use crate::{ops, output};

/// Explain a rule: what it asks, why, a bad and a good example
///
/// Example: refguard explain RG012
#[derive(Debug, Args)]
pub(in crate::cli) struct ExplainArgs {
    /// The rule's code or name; without one, the list of rules
    rule: Option<String>,

    /// Every rule, as the markdown of docs/rules.md
    #[arg(long, conflicts_with = "rule")]
    markdown: bool,
}

pub(in crate::cli) fn run(args: &ExplainArgs) -> Result<Exit> {
    let rules = ops::all_rules();
    let text = match &args.rule {
        _ if args.markdown => output::rules_markdown(&rules),
        None => {
            let row = |rule: &&refguard_core::document::Rule| {
                vec![
                    rule.code.to_owned(),
                    rule.severity.as_str().to_owned(),
                    rule.name.to_owned(),
                    rule.summary.to_owned(),
                ]
            };
            output::format_table(
                &["code", "severity", "rule", "what it asks"],
                &rules.iter().map(row).collect::<Vec<_>>(),
            )
        }
        Some(word) => match rules
            .iter()
            .find(|rule| rule.code.eq_ignore_ascii_case(word) || rule.name == word)
        {
            Some(rule) => output::format_rule(rule),
            None => {
                let known = rules.iter().flat_map(|rule| [rule.code, rule.name]);
                let near = did_you_mean(word, known)
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default();
                bail!("there is no rule `{word}`{near}");
            }
        },
    };
    print::write_results(&text)?;
    Ok(Exit::Fine)
}
