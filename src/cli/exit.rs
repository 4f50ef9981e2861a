//! How the process ends: the one place where errors are printed and become exit codes.

use std::error::Error;
use std::io;
use std::process::{ExitCode, Termination};

use refguard_core::document::Finding;
use refguard_core::interop::BeyondLitellm;
use refguard_core::policy::Checked;
use serde_json::json;

use super::args::Color;
use super::print;
use super::shell::report_of;
use crate::ops::{Lost, Refused};
use crate::output::{self, Format, Report};
use crate::repo::RepoError;

/// Exit codes, as scripts and hooks read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: fine, warnings too.
    Fine,
    /// 1: the policies are at fault: an error, a failed test, a refused gate, a false invariant.
    Fault,
    /// 2: usage, I/O or git trouble.
    Trouble,
    /// 3: somebody else was first.
    Lost,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Fine => 0,
            Self::Fault => 1,
            Self::Trouble => 2,
            Self::Lost => 3,
        })
    }
}

impl Exit {
    /// [`Exit::Fault`] where something is at fault.
    pub fn fault_if(fault: bool) -> Self {
        if fault { Self::Fault } else { Self::Fine }
    }
}

/// The set that a verb needs has errors. They are printed with it.
#[derive(Debug, thiserror::Error)]
#[error("the policies have errors")]
pub(super) struct FaultySet(pub Box<Checked>);

/// The results are written already, and the policies are at fault for a reason beside them.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct FaultBesideResults(pub String);

/// What kind of end an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorKind {
    /// The reader of stdout has seen enough (`| head`): no trouble.
    ReaderGone,
    PoliciesAtFault,
    LostRace,
    Trouble,
}

impl ErrorKind {
    fn of(error: &anyhow::Error) -> Self {
        let has = |test: fn(&(dyn Error + 'static)) -> bool| error.chain().any(test);
        if has(is_broken_pipe) {
            Self::ReaderGone
        } else if has(|cause| cause.is::<Lost>()) {
            Self::LostRace
        } else if has(|cause| {
            cause.is::<Refused>()
                || cause.is::<FaultySet>()
                || cause.is::<FaultBesideResults>()
                || cause.is::<BeyondLitellm>()
        }) {
            Self::PoliciesAtFault
        } else {
            Self::Trouble
        }
    }

    fn exit(self) -> Exit {
        match self {
            Self::ReaderGone => Exit::Fine,
            Self::PoliciesAtFault => Exit::Fault,
            Self::LostRace => Exit::Lost,
            Self::Trouble => Exit::Trouble,
        }
    }
}

fn is_broken_pipe(cause: &(dyn Error + 'static)) -> bool {
    cause
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints an error with its causes and gives its exit code. With `json`, the error goes to stdout
/// too, as an object, unless the verb wrote its results there already.
pub(super) fn report_error(error: &anyhow::Error, color: Color, json: bool) -> Exit {
    let kind = ErrorKind::of(error);
    if kind == ErrorKind::ReaderGone {
        return kind.exit();
    }

    let message = join_chain(error);
    let help = find_cause::<RepoError>(error).and_then(RepoError::help);
    match find_cause::<FaultySet>(error) {
        Some(faulty) => print_findings(&faulty.0, color),
        None => print::write_message(&format!("error: {message}")),
    }
    if let Some(help) = &help {
        print::write_message(&format!("help: {help}"));
    }
    if json && find_cause::<FaultBesideResults>(error).is_none() {
        let mut object = json!({ "version": 1, "error": { "message": message, "help": help } });
        if let (Some(faulty), Some(fields)) =
            (find_cause::<FaultySet>(error), object.pointer_mut("/error"))
        {
            let errors = faulty
                .0
                .findings
                .iter()
                .filter(|finding| finding.is_error());
            fields["findings"] = errors.map(output::finding_json).collect();
        }
        // The exit code and stderr say it too, should stdout be closed.
        let _ = print::write_json(&object);
    }
    kind.exit()
}

/// A command line that was not understood, as an object on stdout.
pub(super) fn print_usage_error(error: &clap::Error) {
    let text = error.to_string();
    let mut paragraphs = text.trim().split("\n\n");
    let message = paragraphs
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned();
    let help = paragraphs.find_map(|paragraph| paragraph.trim().strip_prefix("tip: "));
    let object = json!({ "version": 1, "error": { "message": message, "help": help } });
    // The exit code and stderr say it too, should stdout be closed.
    let _ = print::write_json(&object);
}

fn find_cause<E: Error + 'static>(error: &anyhow::Error) -> Option<&E> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

/// The causes in one line, from what was tried to what stood in the way. A cause whose words the
/// one before it ends with already is left out.
fn join_chain(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain() {
        let words = cause.to_string();
        if message.ends_with(&words) {
            continue;
        }
        if !message.is_empty() {
            message.push_str(": ");
        }
        message.push_str(&words);
    }
    message
}

/// The errors among the findings of a set, on stderr.
pub(super) fn print_findings(checked: &Checked, color: Color) {
    let errors: Vec<Finding> = checked
        .findings
        .iter()
        .filter(|finding| finding.is_error())
        .cloned()
        .collect();
    let report = Report {
        findings: &errors,
        ..report_of(checked)
    };
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = output::render(
        &report,
        Format::Human,
        print::choose_error_style(color),
        &mut text,
    );
    print::write_report(String::from_utf8_lossy(&text).trim_end());
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn a_cause_that_was_said_is_not_said_twice() {
        let twice = anyhow!("no such file").context("cannot read `a`: no such file");
        assert_eq!(join_chain(&twice), "cannot read `a`: no such file");
        let once = anyhow!("no such file").context("cannot read `a`");
        assert_eq!(join_chain(&once), "cannot read `a`: no such file");
    }

    #[test]
    fn the_kind_is_found_below_any_context() {
        let kind = |error: anyhow::Error| ErrorKind::of(&error.context("while doing this"));
        assert_eq!(kind(anyhow!("x")), ErrorKind::Trouble);
        assert_eq!(kind(Lost("x".to_owned()).into()), ErrorKind::LostRace);
        assert_eq!(
            kind(Refused("x".to_owned()).into()),
            ErrorKind::PoliciesAtFault
        );
        assert_eq!(
            kind(FaultBesideResults("x".to_owned()).into()),
            ErrorKind::PoliciesAtFault
        );
        let gone = Err::<(), _>(io::Error::from(io::ErrorKind::BrokenPipe)).context("x");
        assert_eq!(kind(gone.unwrap_err()), ErrorKind::ReaderGone);
    }
}
