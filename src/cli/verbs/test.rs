//! `refguard test`

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::Shell;
use crate::cli::args::SourceArgs;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::ops;
use crate::output;

/// Run the PolicyTest documents of a set
///
/// Each case is a request with what it must get: guardrails, policies, and what the pipelines do with given
/// outcomes. A failed case shows the difference and the attachments that came near.
///
/// Example: refguard test --format junit > tests.xml
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct TestArgs {
    #[command(flatten)]
    source: SourceArgs,

    /// How the results are written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: TestFormat,
}

/// Formats of test results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TestFormat {
    /// For people
    Human,
    /// For programs: versioned and stable
    Json,
    /// JUnit XML
    Junit,
    /// Annotations of GitHub Actions
    Github,
}

pub(in crate::cli) fn run(shell: &Shell, args: &TestArgs) -> Result<Exit> {
    let ready = match shell.ready(&args.source.source())? {
        Ok(ready) => ready,
        Err(exit) => return Ok(exit),
    };
    let report = ops::run_tests(&ready.engine, &|name| ready.workspace.requested(name))?;
    match args.format {
        TestFormat::Json => print::json(&report)?,
        TestFormat::Human => print::results(&output::tests_human(&report, print::style(shell.color)))?,
        TestFormat::Junit => print::results(&output::tests_junit(&report))?,
        TestFormat::Github => print::results(&output::tests_github(&report))?,
    }
    Ok(Exit::fault_if(report.failed > 0))
}
