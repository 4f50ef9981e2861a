//! `refguard why`

use anyhow::Result;
use clap::Args;
use refguard_core::questions::explain_guardrail;
use refguard_core::resolve::Request;

use crate::cli::args::{AskedSetArgs, BasicFormat, ContextArgs};
use crate::cli::completion;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::{Shell, warn_of_unknown, warn_of_unlisted};
use crate::ops::{Rules, TrackedSet, VersionHistory};
use crate::output::{self, Why};

/// Tell why a request gets a guardrail, or what stands in the way
///
/// Each policy that could give it, nearest first: what keeps it from the request (its attachment's
/// patterns, a condition, a default that is not needed, a policy that removes it), and the smallest
/// change that would give it. Asks what is in production; see --env, --at and --worktree.
///
/// Example: refguard why --team health-eu --model gpt-4o --guardrail hipaa_audit
#[derive(Debug, Args)]
pub(in crate::cli) struct WhyArgs {
    /// The guardrail
    #[arg(long, value_name = "GUARDRAIL", add = completion::complete_guardrails())]
    guardrail: String,

    #[command(flatten)]
    context: ContextArgs,

    /// A policy that the request asks for: NAME or NAME@N (repeatable)
    #[arg(long = "policy", value_name = "NAME", add = completion::complete_policies())]
    policies: Vec<String>,

    #[command(flatten)]
    asked: AskedSetArgs,

    /// List every policy that could give it, not only the nearest
    #[arg(long)]
    all: bool,

    /// How the answer is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: BasicFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &WhyArgs) -> Result<Exit> {
    // What is typed wrong is said before anything is read.
    let context = args.context.context()?;
    let workspace = args.asked.open(shell)?;
    let source = args.asked.source(&workspace)?;
    let (engine, origin) = shell.judge_set(
        &workspace,
        &mut TrackedSet::default(),
        &source,
        Rules::OfThen,
    )?;
    let engine = engine.as_of(args.asked.instant(&workspace));
    warn_of_unlisted(&engine, &context);
    warn_of_unknown(&engine, &args.policies);

    let mut history = VersionHistory::new(&workspace);
    let policies = args.policies.iter().map(|name| history.requested(name));
    let request = Request {
        context,
        policies: policies.collect::<Result<_>>()?,
    };
    let givers = explain_guardrail(&engine, &request, &args.guardrail)?;
    let why = Why::new(&origin, &request.context, &args.guardrail, givers);
    match args.format {
        BasicFormat::Json => print::write_json(&why)?,
        BasicFormat::Human => {
            let style = print::choose_style(shell.color);
            shell.write_page(&output::format_why(&why, args.all, style))?;
        }
    }
    Ok(Exit::Fine)
}
