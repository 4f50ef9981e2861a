//! The command as a whole: its verbs, and which file runs each. The one place that knows them all.

use std::path::PathBuf;

use anyhow::Result;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use refguard_core::document::did_you_mean;

use super::args::Color;
use super::exit::Exit;
use super::shell::Shell;
use super::verbs;

/// Guardrail policies of an LLM gateway, kept in git: checked, tested, proven and resolved
///
/// A policy says which guardrails; an attachment says for which teams, keys, models and tags. Both
/// are YAML files in a git repository, and a commit is one atomic change of the set.
///
/// Exit codes: 0 fine (warnings too), 1 the policies are at fault, 2 usage, I/O or git trouble,
/// 3 somebody else was first.
#[derive(Debug, Parser)]
#[command(name = "refguard", version, max_term_width = 100)]
struct Cli {
    /// Run as if started in DIR
    #[arg(short = 'C', value_name = "DIR", default_value = ".", global = true)]
    dir: PathBuf,

    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    color: Color,

    /// Show a long answer on a terminal without a pager
    #[arg(long, global = true)]
    no_pager: bool,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(verbs::init::InitArgs),
    Validate(verbs::validate::ValidateArgs),
    Test(verbs::test::TestArgs),
    Resolve(verbs::resolve::ResolveArgs),
    List(verbs::list::ListArgs),
    Show(verbs::show::ShowArgs),
    Diff(verbs::diff::DiffArgs),
    Impact(verbs::impact::ImpactArgs),
    Prove(verbs::prove::ProveArgs),
    Review(verbs::review::ReviewArgs),
    Replay(verbs::replay::ReplayArgs),
    Versions(verbs::versions::VersionsArgs),
    Compare(verbs::compare::CompareArgs),
    Draft(verbs::draft::DraftArgs),
    Status(verbs::status::StatusArgs),
    Promote(verbs::promote::PromoteArgs),
    Rollback(verbs::rollback::RollbackArgs),
    Hold(verbs::hold::HoldArgs),
    Release(verbs::release::ReleaseArgs),
    Log(verbs::log::LogArgs),
    Why(verbs::why::WhyArgs),
    Matrix(verbs::matrix::MatrixArgs),
    Blame(verbs::blame::BlameArgs),
    #[cfg(feature = "daemon")]
    Serve(Box<verbs::serve::ServeArgs>),
    #[cfg(feature = "daemon")]
    Wait(verbs::wait::WaitArgs),
    #[cfg(feature = "daemon")]
    Fleet(verbs::fleet::FleetArgs),
    Hook(verbs::hook::HookArgs),
    Import(verbs::import::ImportArgs),
    Export(verbs::export::ExportArgs),
    Schema(verbs::schema::SchemaArgs),
    Explain(verbs::explain::ExplainArgs),
    Completions(verbs::completions::CompletionsArgs),
    Man(verbs::man::ManArgs),
}

/// A command line that was understood, and what it says of errors.
pub(super) struct Parsed {
    cli: Cli,
    /// Whether results, and so errors too, are to be JSON.
    pub json: bool,
}

impl Parsed {
    /// Reads the arguments of the process.
    ///
    /// # Errors
    /// Where they are wrong, and where they ask for the help or the version.
    pub(super) fn from_process() -> Result<Self, clap::Error> {
        let matches = build_command()
            .try_get_matches()
            .map_err(suggest_by_meaning)?;
        Ok(Self {
            json: asks_for_json(&matches),
            cli: Cli::from_arg_matches(&matches)?,
        })
    }

    /// When to use colour.
    pub(super) fn color(&self) -> Color {
        self.cli.color
    }

    /// Runs the verb.
    ///
    /// # Errors
    /// As the verb says; [`super::exit::report_error`] prints them.
    pub(super) fn run(self) -> Result<Exit> {
        let shell = Shell::new(self.cli.dir, self.cli.color, !self.cli.no_pager);
        match self.cli.verb {
            Verb::Init(args) => verbs::init::run(&shell, &args),
            Verb::Validate(args) => verbs::validate::run(&shell, &args),
            Verb::Test(args) => verbs::test::run(&shell, &args),
            Verb::Resolve(args) => verbs::resolve::run(&shell, &args),
            Verb::List(args) => verbs::list::run(&shell, &args),
            Verb::Show(args) => verbs::show::run(&shell, &args),
            Verb::Diff(args) => verbs::diff::run(&shell, &args),
            Verb::Impact(args) => verbs::impact::run(&shell, &args),
            Verb::Prove(args) => verbs::prove::run(&shell, &args),
            Verb::Review(args) => verbs::review::run(&shell, &args),
            Verb::Replay(args) => verbs::replay::run(&shell, &args),
            Verb::Versions(args) => verbs::versions::run(&shell, &args),
            Verb::Compare(args) => verbs::compare::run(&shell, &args),
            Verb::Draft(args) => verbs::draft::run(&shell, &args),
            Verb::Status(args) => verbs::status::run(&shell, &args),
            Verb::Promote(args) => verbs::promote::run(&shell, &args),
            Verb::Rollback(args) => verbs::rollback::run(&shell, &args),
            Verb::Hold(args) => verbs::hold::run(&shell, &args),
            Verb::Release(args) => verbs::release::run(&shell, &args),
            Verb::Log(args) => verbs::log::run(&shell, &args),
            Verb::Why(args) => verbs::why::run(&shell, &args),
            Verb::Matrix(args) => verbs::matrix::run(&shell, &args),
            Verb::Blame(args) => verbs::blame::run(&shell, &args),
            Verb::Hook(args) => verbs::hook::run(&shell, &args),
            Verb::Import(args) => verbs::import::run(&shell, &args),
            Verb::Export(args) => verbs::export::run(&shell, &args),
            #[cfg(feature = "daemon")]
            Verb::Serve(args) => verbs::serve::run(&shell, &args),
            #[cfg(feature = "daemon")]
            Verb::Wait(args) => verbs::wait::run(&shell, &args),
            #[cfg(feature = "daemon")]
            Verb::Fleet(args) => verbs::fleet::run(&shell, &args),
            Verb::Schema(args) => verbs::schema::run(&args),
            Verb::Explain(args) => verbs::explain::run(&shell, &args),
            Verb::Completions(args) => verbs::completions::run(&args),
            Verb::Man(args) => {
                verbs::man::run(&args, build_command(), related_verbs, verb_by_meaning)
            }
        }
    }
}

/// The command as clap sees it.
pub(super) fn build_command() -> clap::Command {
    let command = Cli::command();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\nCommands:\n{}\n\
         `refguard help VERB` tells more of one.\n\nOptions:\n{{options}}",
        list_verbs(&command)
    );
    command.help_template(template)
}

/// The verbs by what a person is about to do.
const GROUPS: [(&str, &[&str]); 6] = [
    (
        "Write and check",
        &[
            "init", "validate", "test", "prove", "list", "show", "import", "export",
        ],
    ),
    ("Ask", &["resolve", "why", "blame", "matrix"]),
    (
        "Compare",
        &[
            "diff", "impact", "replay", "review", "versions", "compare", "draft",
        ],
    ),
    (
        "Put into force",
        &["promote", "rollback", "hold", "release", "status", "log"],
    ),
    ("Serve and guard", &["serve", "wait", "fleet", "hook"]),
    ("Look up", &["explain", "schema", "completions", "man"]),
];

/// The verbs of a verb's group.
fn related_verbs(verb: &str) -> Vec<&'static str> {
    let group = GROUPS.iter().find(|(_, names)| names.contains(&verb));
    group.map(|(_, names)| names.to_vec()).unwrap_or_default()
}

/// The verbs under the headings of their groups, each with its line of help.
fn list_verbs(command: &clap::Command) -> String {
    let width = command
        .get_subcommands()
        .map(|verb| verb.get_name().len())
        .max()
        .unwrap_or(0);
    let line = |verb: &clap::Command| {
        let about = verb
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        format!("  {:width$}  {about}\n", verb.get_name())
    };
    let mut text = String::new();
    for (heading, names) in GROUPS {
        let verbs = names
            .iter()
            .filter_map(|name| command.find_subcommand(name));
        text.push_str(&format!(
            "{heading}:\n{}",
            verbs.map(line).collect::<String>()
        ));
    }
    let grouped = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let others = command
        .get_subcommands()
        .filter(|verb| !grouped(verb.get_name()));
    let others: String = others.map(line).collect();
    if !others.is_empty() {
        text.push_str(&format!("Others:\n{others}"));
    }
    text
}

/// Words that other programs have for a verb of ours.
const MEANT: [(&str, &str); 33] = [
    ("check", "validate"),
    ("lint", "validate"),
    ("verify", "validate"),
    ("vet", "validate"),
    ("new", "init"),
    ("create", "init"),
    ("ls", "list"),
    ("get", "show"),
    ("cat", "show"),
    ("query", "resolve"),
    ("ask", "resolve"),
    ("eval", "resolve"),
    ("who", "matrix"),
    ("table", "matrix"),
    ("bisect", "blame"),
    ("annotate", "blame"),
    ("simulate", "impact"),
    ("plan", "impact"),
    ("changes", "diff"),
    ("comment", "review"),
    ("apply", "promote"),
    ("deploy", "promote"),
    ("publish", "promote"),
    ("revert", "rollback"),
    ("undo", "rollback"),
    ("freeze", "hold"),
    ("lock", "hold"),
    ("unlock", "release"),
    ("history", "log"),
    ("audit", "log"),
    ("run", "serve"),
    ("daemon", "serve"),
    ("doc", "explain"),
];

/// Names the verb that does what another program's verb does, where no verb of ours is spelled
/// alike; behind `help`, also one that is.
fn suggest_by_meaning(mut error: clap::Error) -> clap::Error {
    use clap::error::{ContextKind, ContextValue, ErrorKind};

    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let near = match error.get(ContextKind::SuggestedSubcommand) {
        None => near_verb(&build_command(), typed),
        Some(_) => None,
    };
    let meant = verb_by_meaning(typed).map(str::to_owned);
    if let Some(verb) = meant.or(near) {
        let verbs = ContextValue::Strings(vec![verb]);
        error.insert(ContextKind::SuggestedSubcommand, verbs);
    }
    error
}

/// The verb of ours that does what a word means elsewhere; of a word that is spelled wrongly, where
/// no verb is spelled nearly alike.
fn verb_by_meaning(typed: &str) -> Option<&'static str> {
    let words = MEANT.iter().map(|(word, _)| *word);
    let near = || match near_verb(&build_command(), typed) {
        None => did_you_mean(typed, words),
        Some(_) => None,
    };
    let find = |typed: &str| MEANT.iter().find(|(word, _)| *word == typed);
    let found = find(typed).or_else(|| find(near()?));
    found.map(|(_, verb)| *verb)
}

/// The verb, or verb below one, that is spelled nearly alike.
fn near_verb(command: &clap::Command, typed: &str) -> Option<String> {
    let names = command.get_subcommands().map(clap::Command::get_name);
    if let Some(near) = did_you_mean(typed, names) {
        return Some(near.to_owned());
    }
    command
        .get_subcommands()
        .find_map(|verb| near_verb(verb, typed))
}

/// Whether a command line that was not understood asks for JSON.
pub(super) fn wants_json(line: impl Iterator<Item = String>) -> bool {
    let words: Vec<String> = line.collect();
    let pairs = words
        .windows(2)
        .any(|pair| matches!(pair, [flag, word] if flag == "--format" && word == "json"));
    pairs || words.iter().any(|word| word == "--format=json")
}

/// Whether the verb, or the one below it, has a `--format`, and it is `json`.
fn asks_for_json(matches: &ArgMatches) -> bool {
    matches.subcommand().is_some_and(|(_, verb)| {
        let format = verb.try_get_raw("format").ok().flatten();
        format.into_iter().flatten().any(|word| word == "json") || asks_for_json(verb)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_in_one_group_and_every_word_leads_to_a_verb() {
        let command = Cli::command();
        for verb in command.get_subcommands() {
            let name = verb.get_name();
            let groups = GROUPS
                .iter()
                .filter(|(_, names)| names.contains(&name))
                .count();
            assert_eq!(groups, 1, "{name}");
        }
        for (word, verb) in MEANT {
            assert!(command.find_subcommand(word).is_none(), "{word} is a verb");
            let daemon = cfg!(feature = "daemon") || verb != "serve";
            assert!(!daemon || command.find_subcommand(verb).is_some(), "{verb}");
        }
    }
}
