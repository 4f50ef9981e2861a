//! `refguard explain`

use anyhow::{Result, bail};
use clap::Args;
use refguard_core::document::{Rule, suggest_name};

use crate::cli::args::BasicFormat;
use crate::cli::completion;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::{ops, output};

/// Explain a rule: what it asks, why, a bad and a good example
///
/// Example: refguard explain RG012
#[derive(Debug, Args)]
pub(in crate::cli) struct ExplainArgs {
    /// The rule's code or name; without one, the list of rules
    #[arg(add = completion::complete_rules())]
    rule: Option<String>,

    /// Every rule, as the markdown of docs/rules.md
    #[arg(long, conflicts_with_all = ["rule", "format"])]
    markdown: bool,

    /// How the rule, or the list, is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: BasicFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ExplainArgs) -> Result<Exit> {
    let mut rules = ops::all_rules();
    if let Some(word) = &args.rule {
        rules = vec![find_rule(&rules, word)?];
    }
    if args.format == BasicFormat::Json {
        print::write_json(&output::rules_object(&rules))?;
        return Ok(Exit::Fine);
    }
    if args.markdown {
        print::write_results(&output::rules_markdown(&rules))?;
        return Ok(Exit::Fine);
    }
    let text = match (&args.rule, rules.as_slice()) {
        (Some(_), [rule, ..]) => output::format_rule(rule),
        _ => {
            let row = |rule: &&Rule| {
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
                print::choose_style(shell.color),
            )
        }
    };
    shell.write_page(&text)?;
    Ok(Exit::Fine)
}

/// The rule of a code or name.
fn find_rule(rules: &[&'static Rule], word: &str) -> Result<&'static Rule> {
    let is_named = |rule: &&&Rule| rule.code.eq_ignore_ascii_case(word) || rule.name == word;
    if let Some(rule) = rules.iter().find(is_named) {
        return Ok(rule);
    }
    let known = rules.iter().flat_map(|rule| [rule.code, rule.name]);
    bail!("there is no rule `{word}`{}", suggest_name(word, known))
}
