//! The command as a whole: its verbs, and which file runs each. The one place that knows them all.

use std::path::PathBuf;

use anyhow::Result;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

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
#[command(name = "refguard", version, max_term_width = 100, disable_help_subcommand = true)]
struct Cli {
    /// Run as if started in DIR
    #[arg(short = 'C', value_name = "DIR", default_value = ".", global = true)]
    dir: PathBuf,

    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    color: Color,

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
        let matches = command().try_get_matches()?;
        Ok(Self { json: asks_for_json(&matches), cli: Cli::from_arg_matches(&matches)? })
    }

    /// When to use colour.
    pub(super) fn color(&self) -> Color {
        self.cli.color
    }

    /// Runs the verb.
    ///
    /// # Errors
    /// As the verb says; [`super::exit::report`] prints them.
    pub(super) fn run(self) -> Result<Exit> {
        let shell = Shell { dir: self.cli.dir, color: self.cli.color };
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
            Verb::Schema(args) => verbs::schema::run(&args),
            Verb::Explain(args) => verbs::explain::run(&args),
            Verb::Completions(args) => verbs::completions::run(&args, command()),
            Verb::Man(args) => verbs::man::run(&args, command()),
        }
    }
}

/// The command as clap sees it.
pub(super) fn command() -> clap::Command {
    Cli::command()
}

/// Whether the verb has a `--format`, and it is `json`.
fn asks_for_json(matches: &ArgMatches) -> bool {
    matches.subcommand().is_some_and(|(_, verb)| {
        let format = verb.try_get_raw("format").ok().flatten();
        format.into_iter().flatten().any(|word| word == "json")
    })
}
