//! The first process of a container.
//!
//! What git starts (ssh, a helper) may outlive git; its parent is then the first process, which
//! must collect it when it ends. A daemon that waits for its own children cannot collect all others
//! too. So where refguard is that process, it starts itself again, passes signals on, and collects.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::exit::Exit;

/// What a process that was ended by a signal gives as its exit code, less the signal's number.
const BY_SIGNAL: i32 = 128;

/// Where this is the first process: runs the daemon as a child of it to its end. Elsewhere `None`.
///
/// # Errors
/// Where the program cannot be started again.
pub(super) fn supervise_if_first() -> Result<Option<Exit>> {
    if std::process::id() != 1 {
        return Ok(None);
    }
    // Without `/proc` the program does not find itself: it serves all the same, and collects
    // nothing.
    let Ok(program) = env::current_exe() else {
        return Ok(None);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let code = runtime.block_on(supervise_daemon(&program))?;
    std::process::exit(code)
}

async fn supervise_daemon(program: &Path) -> Result<i32> {
    // Caught before the child is there: none of its signals may be missed.
    let mut ended = signal(SignalKind::child())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;

    let mut args = env::args_os();
    let name = args.next().unwrap_or_default();
    let child = Command::new(program).arg0(name).args(args).spawn();
    let child = child.context("cannot start the daemon")?;
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let id = id.context("the daemon has no process id")?;

    loop {
        tokio::select! {
            _ = ended.recv() => if let Some(code) = collect_orphans(id) { return Ok(code) },
            _ = terminate.recv() => pass_on(id, Signal::TERM),
            _ = interrupt.recv() => pass_on(id, Signal::INT),
            _ = hangup.recv() => pass_on(id, Signal::HUP),
        }
    }
}

/// Collects every process that has ended; the exit code, once the daemon is among them.
fn collect_orphans(daemon: Pid) -> Option<i32> {
    let mut code = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((id, status))) if id == daemon => code = Some(exit_code(status)),
            Ok(Some(_)) => {}
            Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return code,
        }
    }
}

fn exit_code(status: WaitStatus) -> i32 {
    let by_signal = status.terminating_signal().map(|signal| BY_SIGNAL + signal);
    status.exit_status().or(by_signal).unwrap_or(BY_SIGNAL)
}

fn pass_on(daemon: Pid, signal: Signal) {
    // It may have ended in this moment, which is seen next.
    let _ = kill_process(daemon, signal);
}
