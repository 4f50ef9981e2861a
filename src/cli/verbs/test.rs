//! `refguard test`

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use refguard_core::document::Finding;
use refguard_core::policy::{Catalog, Levels};

use crate::cli::args::{FileArgs, NowArgs, SourceArgs};
use crate::cli::exit::{Exit, FaultBesideResults, FaultySet};
use crate::cli::shell::Shell;
use crate::cli::{print, progress};
use crate::ops::{self, Rules, Source, TestOptions, TestReport, VersionHistory, Workspace};
use crate::output;

/// Run the PolicyTest documents of a set
///
/// Each case is a request with what it must get: guardrails, policies, and what the pipelines do
/// with given outcomes. A failed case shows the difference and the attachments that came near. With
/// FILE, the cases in those files and below those folders.
///
/// Example: refguard test --format junit > tests.xml
#[derive(Debug, Args)]
pub(in crate::cli) struct TestArgs {
    #[command(flatten)]
    files: FileArgs,

    /// Run only cases with TEXT in `TEST: CASE`
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,

    /// Fail where no case runs
    #[arg(long)]
    require_tests: bool,

    /// End at the first failed case
    #[arg(long)]
    fail_fast: bool,

    /// Say which attachments, conditions, removes and pipeline edges no case exercises
    #[arg(long)]
    coverage: bool,

    /// Fail where less than PERCENT is covered
    #[arg(
        long,
        value_name = "PERCENT",
        requires = "coverage",
        value_parser = clap::value_parser!(u8).range(0..=100),
    )]
    threshold: Option<u8>,

    #[command(flatten)]
    source: SourceArgs,

    /// Accept a tree without any document
    #[arg(long)]
    allow_empty: bool,

    #[command(flatten)]
    now: NowArgs,

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
    let valid = shell.load_set_by(&args.source, Rules::OfNow)?;
    let set = valid.engine.set();
    let holds_nothing = set.policies.is_empty()
        && set.attachments.is_empty()
        && set.tests.is_empty()
        && set.invariants.is_empty()
        && set.catalog == Catalog::default();
    if holds_nothing && !args.allow_empty {
        bail!(FaultySet(ops::judge_nothing()));
    }
    let now = args.now.instant(&valid.workspace, args.source.revision());
    let chosen = args.files.choose_files(shell, &valid.workspace)?;
    let suites = valid
        .engine
        .set()
        .tests
        .iter()
        .map(|suite| &*suite.place.file);
    if let Some(unmet) = chosen.unmet_names(suites) {
        bail!("no test stands in `{unmet}`");
    }
    let in_files = |file: &str| chosen.has_file(file);
    let options = TestOptions {
        in_files: Some(&in_files),
        filter: args.filter.clone(),
        fail_fast: args.fail_fast,
        coverage: args.coverage,
    };
    let mut history = VersionHistory::new(&valid.workspace);
    let report = progress::while_working("running the tests", || {
        ops::run_tests(&valid.engine, now, &options, &mut |name| {
            history.requested(name)
        })
    })?;
    if report.failed > 0 && args.format == TestFormat::Human {
        say_what_explains(&valid.workspace, &args.source.source(), &report)?;
    }
    match args.format {
        TestFormat::Json => print::write_json(&report)?,
        TestFormat::Human => shell.write_page(&output::tests_human(
            &report,
            print::choose_style(shell.color),
        ))?,
        TestFormat::Junit => print::write_results(&output::tests_junit(&report))?,
        TestFormat::Github => print::write_results(&output::tests_github(
            &report,
            valid.workspace.root().prefix(),
        ))?,
    }

    if args.require_tests && report.cases.is_empty() {
        bail!(FaultBesideResults(
            "no test case ran, and `--require-tests` asks for one".to_owned()
        ));
    }
    let covered = report
        .coverage
        .as_ref()
        .map_or(100.0, |coverage| coverage.percent);
    if let Some(threshold) = args
        .threshold
        .filter(|threshold| covered < f64::from(*threshold))
    {
        bail!(FaultBesideResults(format!(
            "{covered}% is covered, and `--threshold` asks for {threshold}%"
        )));
    }
    Ok(Exit::fault_if(report.failed > 0))
}

/// Warnings that may explain a failed case stand before it: a name that the catalog does not have,
/// a policy that nothing attaches.
fn say_what_explains(workspace: &Workspace, source: &Source, report: &TestReport) -> Result<()> {
    const SHOWN: usize = 5;
    let loaded = workspace.load(source, &Levels::default(), true, &progress::Bar::new())?;
    let found = ops::explain_failures(&loaded.checked.findings, report);
    let found: Vec<Finding> = found.into_iter().cloned().collect();
    let lines = output::finding_lines(&found);
    lines
        .iter()
        .take(SHOWN)
        .for_each(|line| print::write_message(line));
    let more = lines.len().saturating_sub(SHOWN);
    if more > 0 {
        print::write_message(&format!(
            "and {more} more warnings: see `refguard validate`"
        ));
    }
    Ok(())
}
