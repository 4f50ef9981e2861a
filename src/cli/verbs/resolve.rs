//! `refguard resolve`

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use refguard_core::policy::PolicyId;
use refguard_core::resolve::{
    Answer, Context, Fields, Near, Numbering, Request, Resolution, ResolvedPolicy, explain_request,
};
use serde_json::{Value, json};

use crate::cli::args::{BasicFormat, ContextArgs, NowArgs, SourceArgs};
use crate::cli::completion;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::{Shell, ValidSet, warn_of_unknown, warn_of_unlisted};
use crate::ops::VersionHistory;
use crate::output;

/// Tell what a request gets, and why
///
/// The request is given by its parts, as JSON, or many at once as JSON Lines. Policies that the
/// request asks for by name come on top of the attached ones.
///
/// Example: refguard resolve --team health-eu --model gpt-4o --tag phi-eu --explain
#[derive(Debug, Args)]
pub(in crate::cli) struct ResolveArgs {
    #[command(flatten)]
    context: ContextArgs,

    /// A policy that the request asks for: NAME or NAME@N (repeatable)
    #[arg(long = "policy", value_name = "NAME", add = completion::complete_policies())]
    policies: Vec<String>,

    /// Read requests as JSON Lines ({"context":{…},"policies":[…]}) from a file or `-`; answer as
    /// JSON Lines
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["team", "key", "model", "tags", "user", "tool", "policies", "context", "format"],
    )]
    batch: Option<String>,

    /// Say of each attachment that came near why it did or did not match
    #[arg(long)]
    explain: bool,

    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    now: NowArgs,

    /// How the answer is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: BasicFormat,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ResolveArgs) -> Result<Exit> {
    // What is typed wrong is said before anything is read.
    let context = args.context.context()?;
    let valid = shell.load_valid_set(&args.source)?;
    refuse_nothing(&valid, &args.source)?;
    let now = args.now.instant(&valid.workspace, args.source.revision());
    let valid = valid.at(now);
    let mut history = VersionHistory::new(&valid.workspace);
    if let Some(file) = &args.batch {
        return answer_batch(&valid, &mut history, file, args.explain);
    }
    warn_of_unlisted(&valid.engine, &context);
    warn_of_unknown(&valid.engine, &args.policies);
    let request = build_request(&mut history, context, &args.policies)?;
    let version = number_versions(&mut history, &valid);
    let resolution = valid.engine.resolve(&request);
    let near = args
        .explain
        .then(|| explain_request(&valid.engine, &request));
    let answer = valid.answer(&resolution, near.as_deref(), &version);
    match args.format {
        BasicFormat::Json => print::write_json_bytes(&add_version(answer.to_json()))?,
        BasicFormat::Human => shell.write_page(&output::format_resolution(
            &answer,
            print::choose_style(shell.color),
        ))?,
    }
    Ok(Exit::Fine)
}

/// That no policy matches says nothing where there is none; an environment may be empty on purpose.
fn refuse_nothing(valid: &ValidSet, from: &SourceArgs) -> Result<()> {
    let is_empty = valid.engine.set().policies.is_empty();
    if is_empty && from.revision().is_none() {
        bail!(
            "there is no policy here to answer from: look whether this is the right folder \
             (`-C DIR`), or ask a commit or an environment with `--at`"
        );
    }
    Ok(())
}

impl ValidSet {
    fn answer<'a>(
        &'a self,
        resolution: &'a Resolution<'a>,
        explain: Option<&'a [Near]>,
        version: Numbering<'a>,
    ) -> Answer<'a> {
        Answer {
            origin: self.origin.borrow(),
            resolution,
            version,
            fields: Fields::ALL,
            explain,
        }
    }
}

/// A request, with the policies that it asks for by name or as `NAME@N`.
fn build_request(
    history: &mut VersionHistory<'_>,
    context: Context,
    policies: &[String],
) -> Result<Request> {
    let policies = policies
        .iter()
        .map(|name| history.requested(name))
        .collect::<Result<_>>()?;
    Ok(Request { context, policies })
}

/// Numbers of the versions that a set holds, where history is at hand: an answer does not wait for
/// it.
fn number_versions<'h>(
    history: &'h mut VersionHistory<'_>,
    valid: &ValidSet,
) -> impl Fn(PolicyId, &ResolvedPolicy<'_>) -> Option<u64> + use<'h> {
    let index = history.index_if_cheap(valid.engine.set().policies.len());
    move |_, policy| index?.number(policy.name(), policy.digest())
}

/// Answers in the order of the requests; a line that cannot be answered says so in its place.
fn answer_batch(
    valid: &ValidSet,
    history: &mut VersionHistory<'_>,
    file: &str,
    with_explain: bool,
) -> Result<Exit> {
    let input: Box<dyn Read> = match file {
        "-" => Box::new(std::io::stdin()),
        path => Box::new(File::open(path).with_context(|| format!("cannot read `{path}`"))?),
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut exit = Exit::Fine;
    for line in BufReader::new(input).lines() {
        let line = line.with_context(|| format!("cannot read `{file}`"))?;
        if line.trim().is_empty() {
            continue;
        }
        match answer_line(valid, history, &line, with_explain) {
            Ok(answer) => out.write_all(&answer)?,
            Err(error) => {
                exit = Exit::Fault;
                writeln!(out, "{}", json!({ "error": format!("{error:#}") }))?;
            }
        }
    }
    out.flush()?;
    Ok(exit)
}

fn answer_line(
    valid: &ValidSet,
    history: &mut VersionHistory<'_>,
    line: &str,
    with_explain: bool,
) -> Result<Vec<u8>> {
    let value: Value = serde_json::from_str(line).context("not JSON")?;
    if !value.is_object() {
        bail!("not an object of the form {{\"context\":{{…}}}}");
    }
    let (context, policies) = Request::parts_from_json(&value)?;
    let request = build_request(history, context, &policies)?;
    let resolution = valid.engine.resolve(&request);
    let near = with_explain.then(|| explain_request(&valid.engine, &request));
    let version = number_versions(history, valid);
    let mut line = add_version(
        valid
            .answer(&resolution, near.as_deref(), &version)
            .to_json(),
    );
    line.push(b'\n');
    Ok(line)
}

/// The answer with the version of its format, as every other JSON object of the command line has
/// it.
fn add_version(answer: Vec<u8>) -> Vec<u8> {
    match answer.strip_prefix(b"{") {
        Some(rest) => [b"{\"version\":1,", rest].concat(),
        None => answer,
    }
}
