//! `refguard validate`

use std::mem::ManuallyDrop;

use anyhow::{Result, bail};
use clap::Args;
use jiff::Timestamp;
use refguard_core::document::Finding;
use refguard_core::policy::Checked;

use crate::cli::args::{ChosenFiles, FileArgs, LevelArgs, SourceArgs, findings_format};
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::cli::shell::{Shell, report_of};
use crate::output::{self, Format, Report};

/// Check a policy set by every rule
///
/// Reports every finding with file, line and column, sorted by place; nothing stops at the first.
/// `refguard explain CODE` tells a rule, why it is one, and how to mend a breach of it. With FILE,
/// the findings in those files and below those folders.
///
/// Example: refguard validate --staged --deny-warnings
#[derive(Debug, Args)]
pub(in crate::cli) struct ValidateArgs {
    #[command(flatten)]
    files: FileArgs,

    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    levels: LevelArgs,

    /// Accept a tree without any document
    #[arg(long)]
    allow_empty: bool,

    /// How findings are written
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = findings_format())]
    format: Format,
}

pub(in crate::cli) fn run(shell: &Shell, args: &ValidateArgs) -> Result<Exit> {
    let levels = args.levels.levels();
    let (workspace, loaded) = shell.load_set(&args.source, &levels, args.allow_empty)?;
    // The process ends with this verb: freeing a large set piece by piece would be for nothing.
    let loaded = ManuallyDrop::new(loaded);
    let checked = &loaded.checked;
    let chosen = args.files.choose_files(shell, &workspace)?;
    let read = checked.sources.iter().map(|file| &**file.path());
    if let Some(unmet) = chosen.unmet_names(read) {
        bail!("the set has no documents in `{unmet}`");
    }
    let findings: Vec<Finding> = checked
        .findings
        .iter()
        .filter(|it| chosen.has_file(&it.location.file))
        .cloned()
        .collect();
    warn_of_others(checked, &chosen);
    tell_expired(checked, &chosen, Timestamp::now());

    let mut text = Vec::new();
    let prefix = workspace.root().prefix();
    let report = Report {
        prefix,
        findings: &findings,
        ..report_of(checked)
    };
    output::render(
        &report,
        args.format,
        print::choose_style(shell.color),
        &mut text,
    )?;
    let text = String::from_utf8_lossy(&text);
    match args.format {
        Format::Human => shell.write_page(&text)?,
        _ => print::write_results(&text)?,
    }
    let errors = findings.iter().any(Finding::is_error);
    Ok(Exit::fault_if(
        errors || (args.levels.deny_warnings && !findings.is_empty()),
    ))
}

/// Attachments that are expired, and named.
const MAX_EXPIRED: usize = 3;

/// Says what has expired: it matches nothing any more. That is no fault of the set, whatever its
/// rules are.
fn tell_expired(checked: &Checked, chosen: &ChosenFiles, now: Timestamp) {
    let Some(set) = &checked.set else { return };
    let attachments = set
        .attachments
        .iter()
        .filter(|it| chosen.has_file(&it.place.file));
    let expired: Vec<_> = attachments.filter(|it| it.is_expired(now)).collect();
    if expired.is_empty() {
        return;
    }

    let named = expired.iter().take(MAX_EXPIRED).filter_map(|attachment| {
        let (place, policy) = (&attachment.place, set.policy(attachment.policy)?);
        let ended = attachment.expires?;
        Some(format!(
            "{}:{} of `{}` ended {ended}",
            place.file, place.line, policy.name
        ))
    });
    let named: Vec<String> = named.collect();
    let (count, more) = (expired.len(), expired.len().saturating_sub(MAX_EXPIRED));
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    let (attachments, it) = if count == 1 {
        ("attachment is", "it")
    } else {
        ("attachments are", "they")
    };
    print::write_message(&format!(
        "note: {count} {attachments} expired: {it} can be deleted, which changes no answer: \
         {}{more}",
        named.join("; ")
    ));
}

/// Says that files that were not asked for have errors: what is said of the others may hang on
/// them.
fn warn_of_others(checked: &Checked, chosen: &ChosenFiles) {
    let others = checked
        .findings
        .iter()
        .filter(|it| it.is_error() && !chosen.has_file(&it.location.file));
    let others = others.count();
    if others > 0 {
        let errors = if others == 1 { "error" } else { "errors" };
        print::write_message(&format!(
            "warning: {others} {errors} in other files: see `refguard validate`"
        ));
    }
}
