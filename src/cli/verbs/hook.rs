//! `refguard hook`: what git calls, and putting it where git looks.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use refguard_core::document::Finding;
use serde_json::{Value, json};

use super::change;
use crate::cli::args::BasicFormat;
use crate::cli::exit::{Exit, print_findings};
use crate::cli::print;
use crate::cli::shell::Shell;
use crate::ops::{
    HookInstallation, InstalledHook, PushRefusal, ReceiveOptions, RefUpdate, StagedFaults,
    StagedVerdict, Workspace, judge_received, judge_sent,
};
use crate::output;
use crate::output::escape::escape_terminal;

/// Warnings that the pre-commit hook shows beside what stopped the commit.
const MAX_WARNINGS: usize = 5;

/// Let git's hooks judge commits and pushes
///
/// Example: refguard hook install
#[derive(Debug, Args)]
pub(in crate::cli) struct HookArgs {
    #[command(subcommand)]
    hook: Hook,
}

#[derive(Debug, Subcommand)]
enum Hook {
    Install(InstallArgs),
    PreCommit(PreCommitArgs),
    PrePush(PrePushArgs),
    PreReceive(PreReceiveArgs),
}

/// Install pre-commit, pre-merge-commit and pre-push where git looks for hooks
///
/// A hook that is there already is kept beside, with `.before-refguard` at its name's end, and
/// called first. `core.hooksPath` of the repository is respected; one of the user or the machine is
/// refused, because every repository would run what is written there. Run it again at any time: it
/// renews what it wrote.
///
/// Example: refguard -C policies hook install
#[derive(Debug, Args)]
struct InstallArgs {
    /// Where `core.hooksPath` is set for all repositories: give this one hooks of its own, which
    /// call those first
    #[arg(long)]
    here: bool,

    #[command(flatten)]
    written: WrittenArgs,
}

/// How what a hook comes to is written.
#[derive(Debug, Args)]
struct WrittenArgs {
    /// How the result is written; `json`: on stdout, and no words beside it
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: BasicFormat,
}

impl WrittenArgs {
    fn is_json(&self) -> bool {
        self.format == BasicFormat::Json
    }
}

/// Judge the set that a commit would make, and run its tests
///
/// Reads the index that git names, so what is staged in part is judged as it would be committed.
/// Exit 1 with what was found: errors and failed tests, and a few new warnings, which refuse none
/// (`refguard validate --staged` shows them). Does nothing where the commit would change no policy.
///
/// What was found sound is remembered in the git directory, so that the next commit costs what it
/// changes.
///
/// Example: refguard hook pre-commit
#[derive(Debug, Args)]
struct PreCommitArgs {
    /// Say what was judged, also where all is well
    #[arg(short, long)]
    verbose: bool,

    #[command(flatten)]
    written: WrittenArgs,
}

/// Warn of what the remote's pre-receive hook would refuse
///
/// Reads what git gives to a pre-push hook. Judged from the copies of the remote's branches that
/// the last fetch left; it refuses nothing itself.
///
/// Example: refguard hook pre-push origin < refs
#[derive(Debug, Args)]
struct PrePushArgs {
    /// The remote's name
    #[arg(value_name = "REMOTE")]
    remote: String,

    /// Its address
    #[arg(value_name = "URL")]
    _url: Option<String>,

    #[command(flatten)]
    written: WrittenArgs,
}

/// Refuse pushes that go around the rules: the hook of the repository that everybody pushes to
///
/// The publish branch must be a valid set and moves only forward, without promotions on it. Every
/// commit that an environment's branch moves over must be a promotion that refguard would have
/// made; a gate is passed only by those whom `allow` in refguard.yaml lists at the old tip. Neither
/// is deleted or rewritten; no tag stands for an environment; below refs/refguard/ there are only
/// ledgers that fit. Writes nothing.
///
/// Example: printf '#!/bin/sh\nexec refguard hook pre-receive\n' > hooks/pre-receive
#[derive(Debug, Args)]
struct PreReceiveArgs {
    /// The folder of the set in commits (default: their top)
    #[arg(long, value_name = "FOLDER")]
    root: Option<String>,

    /// The e-mail address of who pushes, as the server knows it: `allow` must list it too where a
    /// gate is passed
    #[arg(long, value_name = "ADDRESS")]
    pusher: Option<String>,

    #[command(flatten)]
    written: WrittenArgs,
}

pub(in crate::cli) fn run(shell: &Shell, args: &HookArgs) -> Result<Exit> {
    match &args.hook {
        Hook::Install(args) => install_hooks(shell, args),
        Hook::PreCommit(args) => pre_commit(shell, args),
        Hook::PrePush(args) => pre_push(shell, args),
        Hook::PreReceive(args) => pre_receive(shell, args),
    }
}

fn install_hooks(shell: &Shell, args: &InstallArgs) -> Result<Exit> {
    let program = std::env::current_exe().unwrap_or_else(|_| "refguard".into());
    let current = std::env::current_dir().unwrap_or_default();
    let near = |path: &Path| {
        path.strip_prefix(&current)
            .unwrap_or(path)
            .display()
            .to_string()
    };
    let installed = Workspace::open(&shell.dir)?.install_hooks(&program, args.here)?;
    if args.written.is_json() {
        print::write_json(&installation_object(&installed))?;
        return Ok(Exit::Fine);
    }

    let mut text = String::new();
    for hook in installed.hooks {
        let what = if hook.changed { "wrote" } else { "unchanged" };
        let first: Vec<String> = hook.first.iter().map(|path| near(path)).collect();
        let first = match first.as_slice() {
            [] => String::new(),
            some => format!("; calls {} first", some.join(" and ")),
        };
        text.push_str(&escape_terminal(&format!(
            "{what} {}{first}",
            near(&hook.path)
        )));
        text.push('\n');
    }
    print::write_results(&text)?;
    for path in installed.unreached {
        print::write_message(&format!(
            "warning: `{}` no longer runs in this repository: copy it beside the new hooks if it \
             is to",
            path.display()
        ));
    }
    Ok(Exit::Fine)
}

fn installation_object(installed: &HookInstallation) -> Value {
    let paths = |paths: &[PathBuf]| -> Vec<String> {
        paths
            .iter()
            .map(|path| path.display().to_string())
            .collect()
    };
    let hook = |hook: &InstalledHook| {
        json!({
            "path": hook.path.display().to_string(),
            "changed": hook.changed,
            "first": paths(&hook.first),
        })
    };
    json!({
        "version": 1,
        "hooks": installed.hooks.iter().map(hook).collect::<Vec<_>>(),
        "unreached": paths(&installed.unreached),
    })
}

fn pre_commit(shell: &Shell, args: &PreCommitArgs) -> Result<Exit> {
    let verdict = Workspace::open_in_hook(&shell.dir)?.judge_staged()?;
    if args.written.is_json() {
        print::write_json(&verdict_object(&verdict))?;
        return Ok(Exit::fault_if(matches!(verdict, StagedVerdict::Faulty(_))));
    }
    let said = match verdict {
        StagedVerdict::Faulty(faults) => return print_faults(shell, &faults),
        StagedVerdict::NothingStaged => "no policy is staged".to_owned(),
        StagedVerdict::NoSet => "this repository holds no policies of refguard".to_owned(),
        StagedVerdict::Sound(None) => "the staged set is sound".to_owned(),
        StagedVerdict::Sound(Some(files)) => {
            format!("the staged set is sound: {files} files are new since it was judged whole")
        }
    };
    if args.verbose {
        print::write_message(&format!("refguard: {said}"));
    }
    Ok(Exit::Fine)
}

fn verdict_object(verdict: &StagedVerdict) -> Value {
    let (word, files, faults) = match verdict {
        StagedVerdict::NothingStaged => ("nothing-staged", None, None),
        StagedVerdict::NoSet => ("no-set", None, None),
        StagedVerdict::Sound(files) => ("sound", *files, None),
        StagedVerdict::Faulty(faults) => ("faulty", None, Some(faults)),
    };
    let errors = faults.iter().flat_map(|faults| &faults.checked.findings);
    let errors = errors.filter(|finding| finding.is_error());
    let findings = errors.chain(faults.iter().flat_map(|faults| &faults.warnings));
    json!({
        "version": 1,
        "verdict": word,
        "files": files,
        "findings": findings.map(output::finding_json).collect::<Vec<_>>(),
        "tests": faults.and_then(|faults| faults.tests.as_ref()),
    })
}

/// Everything that stands in the way of the commit, on stderr.
fn print_faults(shell: &Shell, faults: &StagedFaults) -> Result<Exit> {
    if faults.checked.findings.iter().any(Finding::is_error) {
        print_findings(&faults.checked, shell.color);
    }
    let style = print::choose_error_style(shell.color);
    // What explains a failed test stands before it.
    print_warnings(&faults.warnings);
    if let Some(tests) = &faults.tests {
        print::write_report(output::tests_human(tests, style).trim_end());
    }
    print::write_message(
        "refguard: this commit would break the policies; mend them, or pass by with \
         `git commit --no-verify`",
    );
    Ok(Exit::Fault)
}

/// The first of the warnings that the commit would bring, a line each: a test that fails may owe it
/// to one.
fn print_warnings(warnings: &[Finding]) {
    let lines = output::finding_lines(warnings);
    for line in lines.iter().take(MAX_WARNINGS) {
        print::write_message(line);
    }
    let more = lines.len().saturating_sub(MAX_WARNINGS);
    if more > 0 {
        print::write_message(&format!(
            "and {more} more warnings: see `refguard validate --staged`"
        ));
    }
}

fn pre_push(shell: &Shell, args: &PrePushArgs) -> Result<Exit> {
    let updates = read_updates(RefUpdate::from_sent)?;
    match judge_sent(&shell.dir, &args.remote, &updates) {
        Ok(refusals) if args.written.is_json() => {
            print::write_json(&refusals_object(&refusals, None))?;
        }
        Ok(refusals) => print_refusals("warning: the remote may refuse", &refusals),
        // A remote that was not fetched for a while is no reason to hold a push up.
        Err(error) if args.written.is_json() => {
            print::write_json(&refusals_object(&[], Some(format!("{error:#}"))))?;
        }
        Err(error) => {
            print::write_message(&format!("refguard: the push was not judged: {error:#}"))
        }
    }
    Ok(Exit::Fine)
}

fn pre_receive(shell: &Shell, args: &PreReceiveArgs) -> Result<Exit> {
    let updates = read_updates(RefUpdate::from_received)?;
    let options = ReceiveOptions {
        root: args.root.clone(),
        pusher: args.pusher.clone(),
    };
    let refusals = judge_received(&shell.dir, &updates, options)?;
    match args.written.is_json() {
        true => print::write_json(&refusals_object(&refusals, None))?,
        false => print_refusals("refguard refuses", &refusals),
    }
    Ok(Exit::fault_if(!refusals.is_empty()))
}

/// What git says on standard input.
fn read_updates(parse: fn(&str) -> Result<RefUpdate>) -> Result<Vec<RefUpdate>> {
    let text =
        std::io::read_to_string(std::io::stdin().lock()).context("cannot read what git says")?;
    text.lines()
        .filter(|line| !line.is_empty())
        .map(parse)
        .collect()
}

/// Refused refs for programs; `unjudged`: why the push was not judged at all.
fn refusals_object(refusals: &[PushRefusal], unjudged: Option<String>) -> Value {
    let refusal = |refusal: &PushRefusal| json!({ "ref": refusal.name, "message": refusal.message, "gates": refusal.words });
    json!({
        "version": 1,
        "refusals": refusals.iter().map(refusal).collect::<Vec<_>>(),
        "unjudged": unjudged,
    })
}

fn print_refusals(word: &str, refusals: &[PushRefusal]) {
    for PushRefusal {
        name,
        message,
        words,
    } in refusals
    {
        print::write_message(&format!("{word} {name}: {message}"));
        change::say_words(words);
    }
}
