//! `refguard blame`

use anyhow::Result;
use clap::Args;

use crate::cli::args::{BasicFormat, ContextArgs, EnvArgs, FetchArgs, TimeArgs};
use crate::cli::completion;
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;
use crate::cli::{print, progress};
use crate::ops::BlameRequest;
use crate::output;

/// Tell which promotion gave a request a guardrail, and which took it away
///
/// Back to the first promotion, the newest first: who, when, why, the gates that were passed by a
/// flag, and the documents that did it. A promotion that holds no valid set is named and passed
/// over.
///
/// Example: refguard blame --team health-eu --model gpt-4o --guardrail hipaa_audit
#[derive(Debug, Args)]
pub(in crate::cli) struct BlameArgs {
    #[command(flatten)]
    context: ContextArgs,

    /// The guardrail (default: all)
    #[arg(long, value_name = "GUARDRAIL", add = completion::complete_guardrails())]
    guardrail: Option<String>,

    #[command(flatten)]
    env: EnvArgs,

    /// Nothing newer than this promotion, commit or time: RFC 3339, a date, or 24h (ago)
    #[arg(long, value_name = "REV", add = completion::complete_revisions())]
    at: Option<String>,

    /// Nothing older than this promotion, commit or time: RFC 3339, a date, or 24h (ago)
    #[arg(long, value_name = "REV", add = completion::complete_revisions())]
    since: Option<String>,

    #[command(flatten)]
    fetch: FetchArgs,

    #[command(flatten)]
    times: TimeArgs,

    /// How the answer is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: BasicFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &BlameArgs) -> Result<Exit> {
    let asked = BlameRequest {
        environment: args.env.environment.clone(),
        context: args.context.context()?,
        guardrail: args.guardrail.clone(),
        at: args.at.clone(),
        since: args.since.clone(),
    };
    let workspace = shell.open_environment(&args.env.environment, &args.fetch)?;
    let blame = progress::while_working("searching the promotions", || workspace.blame(&asked))?;
    for unlisted in &blame.unlisted {
        print::write_message(&format!("warning: {unlisted}"));
    }
    match args.format {
        BasicFormat::Json => print::write_json(&blame)?,
        BasicFormat::Human => {
            shell.write_page(&output::format_blame(
                &blame,
                args.times.dress_time(print::choose_style(shell.color)),
            ))?;
        }
    }
    Ok(Exit::Fine)
}
