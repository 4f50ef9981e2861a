//! A log of lines, written by a thread of its own so that it never holds up who writes to it.
//!
//! Lines are lost where the thread is behind, and where they cannot be written (a full disk, a FIFO
//! that nobody reads): both are counted, and the second is also a note. Knows nothing of what the
//! lines say.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::Hub;
use super::notes::{Notes, Subject};

/// Lines that may wait to be written.
const WAITING: usize = 10_000;
/// Bytes that are written at once.
const BATCH: usize = 64 << 10;
/// How long to wait before a file that could not be opened is tried again.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the lines that wait at the end may take to be written.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where lines are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Stderr.
    Stderr,
    /// A file, which is appended to.
    File(PathBuf),
}

impl LogTarget {
    /// Whether it can be written, as far as that is known before the first line. A FIFO that nobody
    /// reads yet is fine.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn check_target(&self) -> io::Result<()> {
        match self {
            Self::Stderr => Ok(()),
            Self::File(path) => match open_file(path) {
                Err(error) if is_without_reader(&error) => Ok(()),
                opened => opened.map(drop),
            },
        }
    }

    fn shown_path(&self) -> String {
        match self {
            Self::Stderr => "stderr".to_owned(),
            Self::File(path) => format!("`{}`", path.display()),
        }
    }
}

/// The way to a log's thread.
pub struct LineLog {
    messages: SyncSender<Message>,
    reopen: Arc<AtomicBool>,
    lost: Counter,
}

enum Message {
    Line(String),
    /// Answered once all lines before it were written, or lost.
    Flush(SyncSender<()>),
}

impl LineLog {
    /// Starts the thread. Lines that are lost are counted, and told, in the hub.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start_writer(target: LogTarget, hub: &Hub) -> io::Result<Self> {
        let (messages, inbox) = sync_channel(WAITING);
        let reopen = Arc::<AtomicBool>::default();
        let lost = hub.metrics().lost_decisions();
        let writer = LineWriter {
            target,
            reopen: reopen.clone(),
            out: None,
            failed: None,
            is_torn: false,
            lost: lost.clone(),
            notes: hub.notes().clone(),
        };
        let thread = thread::Builder::new().name("refguard-decisions".to_owned());
        thread.spawn(move || writer.write_until_stopped(&inbox))?;
        Ok(Self {
            messages,
            reopen,
            lost,
        })
    }

    /// Writes a line soon, or counts it as lost. The line ends with a line break.
    pub fn write_line(&self, line: String) {
        if self.messages.try_send(Message::Line(line)).is_err() {
            self.lost.inc();
        }
    }

    /// Closes the file and opens it anew before the next line: a program has moved it away.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
    }

    /// Waits until the lines so far are written, unless that takes long.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.messages.try_send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FAREWELL);
        }
    }
}

/// Messages that were taken together.
#[derive(Default)]
struct Batch {
    text: String,
    lines: u64,
    flushes: Vec<SyncSender<()>>,
}

impl Batch {
    fn take_lines(&mut self, message: Message) {
        match message {
            Message::Line(line) => {
                self.text.push_str(&line);
                self.lines += 1;
            }
            Message::Flush(done) => self.flushes.push(done),
        }
    }
}

struct LineWriter {
    target: LogTarget,
    reopen: Arc<AtomicBool>,
    out: Option<Box<dyn Write + Send>>,
    /// When the file could not be opened, and why.
    failed: Option<(Instant, Option<i32>)>,
    /// The last write broke off within a line.
    is_torn: bool,
    lost: Counter,
    notes: Arc<Notes>,
}

impl LineWriter {
    fn write_until_stopped(mut self, inbox: &Receiver<Message>) {
        let mut batch = Batch::default();
        loop {
            match inbox.recv_timeout(PATIENCE) {
                Ok(message) => batch.take_lines(message),
                // A rotated file is closed also where no decision comes.
                Err(RecvTimeoutError::Timeout) => self.close_if_asked(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while batch.text.len() < BATCH
                && let Ok(message) = inbox.try_recv()
            {
                batch.take_lines(message);
            }

            if batch.lines > 0 {
                self.write_batch(&batch.text, batch.lines);
            }
            for done in std::mem::take(&mut batch).flushes {
                let _ = done.send(());
            }
        }
    }

    fn write_batch(&mut self, batch: &str, count: u64) {
        self.close_if_asked();
        let (written, trouble) = match self.open_target() {
            Ok(()) => self.write_to_end(batch.as_bytes()),
            Err(error) => (0, Some(error)),
        };
        let (done, _) = batch.split_at_checked(written).unwrap_or((batch, ""));
        let whole = u64::try_from(done.matches('\n').count()).unwrap_or(count);
        self.lost.inc_by(count.saturating_sub(whole));

        let shown = self.target.shown_path();
        let sentence = trouble.map(|error| match is_without_reader(&error) {
            true => format!("decisions are lost: nobody reads the FIFO {shown}"),
            false => format!("decisions are lost: cannot write {shown}: {error}"),
        });
        self.notes.report_trouble(Subject::Decisions, "", sentence);
    }

    /// Writes as much as can be; returns the bytes of it, and why it broke off.
    fn write_to_end(&mut self, batch: &[u8]) -> (usize, Option<io::Error>) {
        let Some(out) = &mut self.out else {
            return (0, None);
        };
        // After a broken line, so that the next one stays readable.
        if self.is_torn {
            match out.write_all(b"\n") {
                Ok(()) => self.is_torn = false,
                Err(error) => return (0, Some(error)),
            }
        }

        let mut written = 0;
        while let Some(rest) = batch.get(written..).filter(|rest| !rest.is_empty()) {
            let trouble = match out.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(bytes) => {
                    written += bytes;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let before = written.checked_sub(1).and_then(|last| batch.get(last));
            self.is_torn = before.is_some_and(|byte| *byte != b'\n');
            if trouble.kind() == io::ErrorKind::BrokenPipe {
                self.out = None;
            }
            return (written, Some(trouble));
        }
        (written, None)
    }

    fn open_target(&mut self) -> io::Result<()> {
        if self.out.is_some() {
            return Ok(());
        }
        if let Some((_, why)) = self.failed.filter(|(when, _)| when.elapsed() < PATIENCE) {
            return Err(why.map_or(io::ErrorKind::Other.into(), io::Error::from_raw_os_error));
        }

        let opened: io::Result<Box<dyn Write + Send>> = match &self.target {
            LogTarget::Stderr => Ok(Box::new(io::stderr())),
            LogTarget::File(path) => open_file(path).map(|file| Box::new(file) as _),
        };
        match opened {
            Ok(out) => {
                (self.out, self.failed, self.is_torn) = (Some(out), None, false);
                Ok(())
            }
            Err(error) => {
                self.failed = Some((Instant::now(), error.raw_os_error()));
                Err(error)
            }
        }
    }

    fn close_if_asked(&mut self) {
        if self.reopen.swap(false, Ordering::Relaxed) {
            (self.out, self.failed) = (None, None);
        }
    }
}

/// Opens a file to append to it, without waiting for who reads a FIFO.
fn open_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .custom_flags(flags)
        .open(path)?;

    // From here on a slow reader holds up the log's thread, which may wait.
    if file.metadata()?.file_type().is_fifo() {
        let now = rustix::fs::fcntl_getfl(&file)?;
        rustix::fs::fcntl_setfl(&file, now - OFlags::NONBLOCK)?;
    }
    Ok(file)
}

fn is_without_reader(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NXIO)
}
