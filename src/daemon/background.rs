//! Threads of lower priority than those that answer requests: reading a new set, writing the last
//! one to disk, or making a page for a person takes milliseconds of a core, and on a busy machine
//! requests must not wait for that.

use std::io;
use std::thread::{Builder, JoinHandle};

/// How much a thread's niceness is raised.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// For work that a new set waits for.
    Little = 5,
    /// For work that no request of a proxy waits for.
    Far = 10,
}

/// Starts a thread. Threads that it starts inherit its niceness, and add their own.
///
/// # Errors
/// Where the system gives no thread.
pub(super) fn spawn_thread(
    name: &str,
    way: Way,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        give_way(way);
        work();
    })
}

/// Has the threads of the process's shared pool give way: what is computed there is for people, as
/// loaders have pools of their own. To be called before anything uses that pool; afterwards it
/// changes nothing.
pub fn quieten_shared_pool() {
    let pool = rayon::ThreadPoolBuilder::new().start_handler(|_| give_way(Way::Far));
    if let Err(error) = pool.build_global() {
        tracing::debug!("the shared pool keeps its priority: {error}");
    }
}

/// Lowers the priority of the thread that calls it. On Linux each thread has a niceness of its own;
/// elsewhere it would be the whole process's, and nothing is done.
#[cfg(target_os = "linux")]
pub fn give_way(way: Way) {
    let now = rustix::process::getpriority_process(None).unwrap_or(0);
    // Where a sandbox forbids it, all threads have the same priority.
    if let Err(error) = rustix::process::setpriority_process(None, now + way as i32) {
        tracing::debug!("cannot lower the priority of a background thread: {error}");
    }
}

/// On Linux each thread has a niceness of its own; here it would be the whole process's.
#[cfg(not(target_os = "linux"))]
pub fn give_way(_: Way) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn a_thread_gives_way_and_who_started_it_does_not() {
        let before = getpriority_process(None).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = spawn_thread("test", Way::Far, move || {
            tell.send(getpriority_process(None).unwrap()).unwrap()
        })
        .unwrap();
        assert_eq!(told.recv().unwrap(), (before + 10).min(19));
        thread.join().unwrap();
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
