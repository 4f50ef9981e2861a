//! How the process ends: the one place where errors become exit codes.

use std::process::{ExitCode, Termination};

use super::print;
use crate::ops::{Lost, Refused};
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

/// Prints an error with its causes and gives its exit code.
pub(super) fn report(error: &anyhow::Error) -> Exit {
    // A reader that has seen enough (`| head`) is no trouble.
    let broken_pipe = error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    });
    if broken_pipe {
        return Exit::Fine;
    }
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    print::message(&format!("error: {}", causes.join(": ")));
    let help =
        error.chain().find_map(|cause| cause.downcast_ref::<RepoError>()).and_then(RepoError::help);
    if let Some(help) = help {
        print::message(&format!("help: {help}"));
    }
    let is = |found: fn(&(dyn std::error::Error + 'static)) -> bool| error.chain().any(found);
    if is(|cause| cause.is::<Lost>()) {
        Exit::Lost
    } else if is(|cause| cause.is::<Refused>()) {
        Exit::Fault
    } else {
        Exit::Trouble
    }
}
