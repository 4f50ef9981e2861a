//! Running `git` itself: in a clean environment, under a time limit, never asking anybody.

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{GitEnv, Repo, RepoError};

/// For commands that only look something up.
pub(super) const QUICK: Duration = Duration::from_secs(30);
/// For commands that write here: a hook may run, a person may be asked for the key of a signature.
pub(super) const LOCAL: Duration = Duration::from_secs(120);
/// For commands that talk to another machine.
const NETWORK: Duration = Duration::from_secs(300);

/// Ends git commands that run, from another thread.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Ends the commands that run, and those that would start.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether they were told to end.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Repo {
    /// A git command on this repository.
    pub(super) fn git_command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> GitCommand {
        let mut command = GitCommand::new(self.working_folder(), &self.env, args);
        command.with_env("GIT_DIR", self.git_dir());
        for name in ["GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"] {
            if let Some(path) = self.env.read_path(name, self.opened_at()) {
                command.with_env(name, path);
            }
        }
        let alternates = self
            .env
            .read_paths("GIT_ALTERNATE_OBJECT_DIRECTORIES", self.opened_at());
        if let (false, Ok(joined)) = (alternates.is_empty(), std::env::join_paths(alternates)) {
            command.with_env("GIT_ALTERNATE_OBJECT_DIRECTORIES", joined);
        }
        if let Some(top) = self.work_tree() {
            command.with_env("GIT_WORK_TREE", top);
        }
        command
    }
}

/// A git command that has not run yet.
pub(super) struct GitCommand {
    verb: String,
    command: Command,
    input: Vec<u8>,
    limit: Duration,
    cancel: Option<Cancel>,
    /// The user's `GIT_ALLOW_PROTOCOL`.
    own_protocols: Option<OsString>,
}

/// What a git command that succeeded wrote.
pub(super) struct Answer {
    pub stdout: Vec<u8>,
}

impl Answer {
    /// Its output without the final line break.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }
}

/// How a git command ended, well or not.
pub(super) struct Ending {
    pub success: bool,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl GitCommand {
    /// A git command in a folder; options before the verb may lead.
    pub fn new<'a>(dir: &Path, env: &GitEnv, args: impl IntoIterator<Item = &'a str>) -> Self {
        let args: Vec<&str> = args.into_iter().collect();
        // What stands before the verb: options, and the values of `-c`.
        let mut words = args.iter();
        let mut verb = words.next();
        while let Some(option) = verb.filter(|word| word.starts_with('-')) {
            verb = if *option == "-c" {
                words.nth(1)
            } else {
                words.next()
            };
        }
        let mut command = Command::new("git");
        let no_monitor = ["-c", "core.fsmonitor=false"];
        command
            .args(no_monitor)
            .args(&args)
            .current_dir(dir)
            .env_clear()
            .envs(env.without_location());
        // Replaced objects: libgit2 does not know them, so git must not either. The language: what
        // git says is read by us.
        let fixed = [
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("LC_ALL", "C"),
        ];
        // A crafted repository must run nothing: a missing object is an error and never fetched,
        // and no transport may start, not even a configured `ext::` command. See
        // `Self::over_network`.
        let no_transport = [("GIT_NO_LAZY_FETCH", "1"), ("GIT_ALLOW_PROTOCOL", "none")];
        command.envs(fixed).envs(no_transport);
        let own_protocols = env.get("GIT_ALLOW_PROTOCOL").map(OsStr::to_owned);
        Self {
            verb: verb.copied().unwrap_or("").to_owned(),
            command,
            input: Vec::new(),
            limit: LOCAL,
            cancel: None,
            own_protocols,
        }
    }

    /// Lets it talk to other repositories, by the protocols that the user's own settings allow.
    pub fn over_network(mut self) -> Self {
        match self.own_protocols.take() {
            Some(allowed) => self.command.env("GIT_ALLOW_PROTOCOL", allowed),
            None => self.command.env_remove("GIT_ALLOW_PROTOCOL"),
        };
        self.with_limit(NETWORK)
    }

    pub fn with_env(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.command.env(name, value);
        self
    }

    pub fn with_input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Lets another thread end it, with every process that it starts: it gets a process group of
    /// its own. Not for commands of a terminal, where such a group could not ask for a password.
    pub fn cancelled_by(mut self, cancel: &Cancel) -> Self {
        self.command.process_group(0);
        self.cancel = Some(cancel.clone());
        self
    }

    /// Runs it; a failure is an error with git's last words.
    pub fn run(self) -> Result<Answer, RepoError> {
        let verb = self.verb.clone();
        let ending = self.finish_call()?;
        if ending.success {
            Ok(Answer {
                stdout: ending.stdout,
            })
        } else {
            Err(describe_failure(&verb, &ending.stderr))
        }
    }

    /// Runs it to its end, whatever that is.
    pub fn finish_call(mut self) -> Result<Ending, RepoError> {
        let input = std::mem::take(&mut self.input);
        self.start_process()?.wait_for_end(input)
    }

    /// Starts it, for a dialogue.
    pub fn start_process(mut self) -> Result<Running, RepoError> {
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => RepoError::NoGit,
            _ => RepoError::io_error("run", "git")(error),
        })?;
        let (sender, pipes) = channel();
        let mut open = 0;
        if let Some(pipe) = child.stdout.take() {
            follow_output(pipe, Chunk::Out, sender.clone());
            open += 1;
        }
        if let Some(pipe) = child.stderr.take() {
            follow_output(pipe, Chunk::Err, sender);
            open += 1;
        }
        let stdin = child.stdin.take();
        let (verb, limit, cancel) = (self.verb, self.limit, self.cancel);
        let deadline = Instant::now() + limit;
        Ok(Running {
            verb,
            child,
            stdin,
            pipes,
            open,
            stdout: Vec::new(),
            stderr: Vec::new(),
            limit,
            deadline,
            cancel,
        })
    }
}

enum Chunk {
    Out(Vec<u8>),
    Err(Vec<u8>),
    End,
}

/// Passes on what comes out of a pipe, until nothing more does.
fn follow_output(
    mut pipe: impl Read + Send + 'static,
    wrap: fn(Vec<u8>) -> Chunk,
    to: Sender<Chunk>,
) {
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            if to
                .send(wrap(buffer.iter().take(length).copied().collect()))
                .is_err()
            {
                return;
            }
        }
        let _ = to.send(Chunk::End);
    });
}

/// A git command that runs. Dropped, it sees the end of its input, and is given the rest of its
/// time to end.
pub(super) struct Running {
    verb: String,
    child: Child,
    stdin: Option<ChildStdin>,
    pipes: Receiver<Chunk>,
    open: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    limit: Duration,
    deadline: Instant,
    /// Who may end it; it leads a process group then.
    cancel: Option<Cancel>,
}

impl Running {
    /// How long to wait for a pipe before asking whether the child has ended.
    const TICK: Duration = Duration::from_millis(50);
    /// How long the pipes of a child that has ended may stay open in silence: a hook may have left
    /// a process behind that holds them.
    const SILENCE: Duration = Duration::from_secs(2);

    /// Says something. That nobody listens any more is seen at the end, from the child's own words.
    pub fn send_input(&mut self, text: &str) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin
                .write_all(text.as_bytes())
                .and_then(|()| stdin.flush());
        }
    }

    /// Waits until a line of the answer is `due`; `false` if the child ended before.
    pub fn await_line(&mut self, due: &str) -> Result<bool, RepoError> {
        loop {
            let text = String::from_utf8_lossy(&self.stdout);
            if text
                .split_inclusive('\n')
                .any(|line| line.trim_end() == due && line.ends_with('\n'))
            {
                return Ok(true);
            }
            if !self.pump_output()? {
                return Ok(false);
            }
        }
    }

    /// Gives the rest of the input and waits for the end.
    pub fn wait_for_end(mut self, input: Vec<u8>) -> Result<Ending, RepoError> {
        if let Some(mut stdin) = self.stdin.take() {
            // On a thread of its own: the child may write before it has read all.
            thread::spawn(move || stdin.write_all(&input));
        }
        while self.pump_output()? {}
        let status = self
            .child
            .wait()
            .map_err(RepoError::io_error("wait for", "git"))?;
        let stderr = String::from_utf8_lossy(&self.stderr).into_owned();
        Ok(Ending {
            success: status.success(),
            stdout: std::mem::take(&mut self.stdout),
            stderr,
        })
    }

    /// Takes in what comes next; `false` at the end, an error past the time limit.
    fn pump_output(&mut self) -> Result<bool, RepoError> {
        let mut ended = None;
        while self.open > 0 {
            match self.pipes.recv_timeout(Self::TICK) {
                Ok(Chunk::Out(bytes)) => self.stdout.extend(bytes),
                Ok(Chunk::Err(bytes)) => self.stderr.extend(bytes),
                Ok(Chunk::End) => {
                    self.open -= 1;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
                Err(RecvTimeoutError::Timeout) if matches!(self.child.try_wait(), Ok(Some(_))) => {
                    if ended.get_or_insert_with(Instant::now).elapsed() > Self::SILENCE {
                        return Ok(false);
                    }
                    continue;
                }
                Err(RecvTimeoutError::Timeout) if self.is_cancelled() => {
                    self.stop_process();
                    return Err(RepoError::Cancelled {
                        verb: self.verb.clone(),
                    });
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < self.deadline => continue,
                Err(RecvTimeoutError::Timeout) => {
                    self.stop_process();
                    return Err(RepoError::Timeout {
                        verb: self.verb.clone(),
                        limit: self.limit,
                    });
                }
            }
            return Ok(true);
        }
        Ok(false)
    }
}

impl Running {
    fn is_cancelled(&self) -> bool {
        self.cancel.as_ref().is_some_and(Cancel::is_cancelled)
    }

    /// Ends the child, and its process group if it leads one: first kindly, so that git removes the
    /// locks it holds.
    fn stop_process(&mut self) {
        self.stdin = None;
        self.signal_group(Signal::TERM);
        for _ in 0..100 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        // What the child had started may have outlived it.
        if self.cancel.is_some() {
            self.signal_group(Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn signal_group(&self, signal: Signal) {
        let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else {
            return;
        };
        // The child, or its group, may be gone already.
        let _ = match &self.cancel {
            Some(_) => kill_process_group(id, signal),
            None => kill_process(id, signal),
        };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stdin = None;
        while let Ok(true) = self.pump_output() {}
        let _ = self.child.wait();
    }
}

/// Git's own words as an error.
pub(super) fn describe_failure(verb: &str, stderr: &str) -> RepoError {
    const NOBODY: [&str; 4] = [
        "Please tell me who you are",
        "empty ident name",
        "unable to auto-detect email address",
        "no email was given",
    ];
    if NOBODY.iter().any(|words| stderr.contains(words)) {
        return RepoError::NoIdentity;
    }
    let lines = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("hint:"));
    let bare = lines.map(|line| {
        line.strip_prefix("fatal: ")
            .or_else(|| line.strip_prefix("error: "))
            .unwrap_or(line)
    });
    let message = bare.collect::<Vec<_>>().join("; ");
    let message = if message.is_empty() {
        "it gave no reason".to_owned()
    } else {
        message
    };
    RepoError::Git {
        verb: verb.to_owned(),
        message,
    }
}
