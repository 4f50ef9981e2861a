//! Threads that give way to those that answer: reading a new set, or writing down the last one, takes milliseconds of
//! a core, and on a busy machine requests must not wait for them.

use std::io;
use std::thread::{Builder, JoinHandle};

/// How much less of a busy core a thread gets, in the steps of `nice`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// Somebody waits for a new set.
    Little = 5,
    /// Nobody waits for it.
    Far = 10,
}

/// Starts a thread. Those that it starts give way as it does, and their own way comes on top.
///
/// # Errors
/// Where the system gives no thread.
pub(super) fn spawn(
    name: &str,
    way: Way,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        give(way);
        work();
    })
}

/// On Linux each thread has a niceness of its own; elsewhere it would be the whole process's.
#[cfg(target_os = "linux")]
fn give(way: Way) {
    let now = rustix::process::getpriority_process(None).unwrap_or(0);
    // Where a sandbox forbids it, threads share alike as before.
    if let Err(error) = rustix::process::setpriority_process(None, now + way as i32) {
        tracing::debug!("a thread in the background cannot give way: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn give(_: Way) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn a_thread_gives_way_and_who_started_it_does_not() {
        let before = getpriority_process(None).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let thread =
            spawn("test", Way::Far, move || tell.send(getpriority_process(None).unwrap()).unwrap())
                .unwrap();
        assert_eq!(told.recv().unwrap(), (before + 10).min(19));
        thread.join().unwrap();
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
