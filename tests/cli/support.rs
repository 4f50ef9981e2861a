//! Real repositories in folders that vanish, and the program run in them: nothing of the tester's
//! own environment or configuration is seen, and time is what the test says.
//!
//! ```ignore
//! let repo = TestRepo::new();
//! repo.policy("base", "guardrails: {add: [pii]}").commit("one");
//! let versions = repo.run(["versions", "base", "--format", "json"]).json();
//! ```

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// When the first commit is made: 2024-01-01T00:00:00Z.
const START: u64 = 1_704_067_200;

/// A repository with a work tree, a bare one, or a folder in none.
pub struct TestRepo {
    _dir: TempDir,
    path: PathBuf,
    home: PathBuf,
    /// Seconds since [`START`]; each commit is a minute after the last.
    clock: Cell<u64>,
}

impl TestRepo {
    /// An empty repository on branch `main`.
    pub fn new() -> Self {
        let repo = Self::plain();
        repo.git(["init", "-q", "-b", "main"]);
        repo
    }

    /// An empty bare repository.
    pub fn bare() -> Self {
        let repo = Self::plain();
        repo.git(["init", "-q", "--bare", "-b", "main"]);
        repo
    }

    /// A clone of this one, which it knows as `origin`; `options` are those of `git clone`.
    pub fn cloned(&self, options: &[&str]) -> Self {
        let clone = Self::plain();
        clone.clock.set(self.clock.get());
        let url = format!("file://{}", self.path.display());
        clone.git(
            ["clone", "-q"]
                .into_iter()
                .chain(options.iter().copied())
                .chain([url.as_str(), "."]),
        );
        clone
    }

    /// A folder in no repository.
    pub fn plain() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(dir.path()).unwrap();
        let (path, home) = (top.join("repo"), top.join("home"));
        fs::create_dir(&path).unwrap();
        fs::create_dir(&home).unwrap();
        Self {
            _dir: dir,
            path,
            home,
            clock: Cell::new(0),
        }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs git here; it must succeed.
    pub fn git<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> String {
        let args: Vec<&str> = args.into_iter().collect();
        let out = self.try_git(&args);
        assert!(
            out.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap().trim_end().to_owned()
    }

    /// As [`Self::git`], with variables besides.
    pub fn git_with(&self, args: &[&str], env: &[(&str, &str)]) -> String {
        let mut git = self.prepared(Command::new("git"));
        let out = git.args(args).envs(env.iter().copied()).output().unwrap();
        assert!(
            out.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap().trim_end().to_owned()
    }

    /// Runs git here, whatever comes of it.
    pub fn try_git(&self, args: &[&str]) -> Output {
        self.prepared(Command::new("git"))
            .args(args)
            .output()
            .unwrap()
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.path.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Writes `policies/NAME.yaml` with one policy; `fields` are its lines after the name.
    pub fn policy(&self, name: &str, fields: &str) -> &Self {
        self.write(&format!("policies/{name}.yaml"), &policy(name, fields))
    }

    /// Reads a file.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path.join(path)).unwrap()
    }

    /// Removes a file.
    pub fn remove(&self, path: &str) -> &Self {
        fs::remove_file(self.path.join(path)).unwrap();
        self
    }

    /// Commits everything that is not ignored, and gives the commit's id.
    pub fn commit(&self, message: &str) -> String {
        self.git(["add", "-A"]);
        self.git(["commit", "-q", "--allow-empty", "-m", message]);
        self.tick();
        self.id("HEAD")
    }

    /// Merges a branch with a merge commit, and gives its id.
    pub fn merge(&self, branch: &str, message: &str) -> String {
        self.git(["merge", "-q", "--no-ff", "-m", message, branch]);
        self.tick();
        self.id("HEAD")
    }

    /// The commit that a revision names.
    pub fn id(&self, revision: &str) -> String {
        self.git(["rev-parse", "--verify", &format!("{revision}^{{commit}}")])
    }

    /// Runs refguard here.
    pub fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Run {
        self.run_with(args, &[])
    }

    /// Runs refguard here with more in its environment.
    pub fn run_with<'a>(
        &self,
        args: impl IntoIterator<Item = &'a str>,
        env: &[(&str, &str)],
    ) -> Run {
        let args: Vec<&str> = args.into_iter().collect();
        let mut command = self.refguard();
        let out = command
            .args(&args)
            .envs(env.iter().copied())
            .output()
            .unwrap();
        Run {
            args: args.join(" "),
            code: out.status.code(),
            stdout: String::from_utf8(out.stdout).unwrap(),
            stderr: String::from_utf8(out.stderr).unwrap(),
        }
    }

    /// Runs refguard here with something on its standard input.
    pub fn run_with_input<'a>(&self, args: impl IntoIterator<Item = &'a str>, input: &str) -> Run {
        let args: Vec<&str> = args.into_iter().collect();
        let mut command = self.refguard();
        command
            .args(&args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let out = std::thread::scope(|scope| {
            // It may end without reading all.
            scope.spawn(move || stdin.write_all(input.as_bytes()));
            child.wait_with_output().unwrap()
        });
        Run {
            args: args.join(" "),
            code: out.status.code(),
            stdout: String::from_utf8(out.stdout).unwrap(),
            stderr: String::from_utf8(out.stderr).unwrap(),
        }
    }

    /// Runs refguard here on a terminal: what it shows on it is `stdout`, messages too.
    pub fn on_terminal(&self, args: &[&str], screen: Screen, env: &[(&str, &str)]) -> Run {
        let mut command = self.refguard();
        command.args(args).envs(env.iter().copied());
        let (mut child, mut terminal) = screen.spawn(command);
        let mut shown = Vec::new();
        // The end of a terminal is an error of input.
        let _ = terminal.read_to_end(&mut shown);
        let status = child.wait().unwrap();
        let stdout = String::from_utf8(shown).unwrap().replace("\r\n", "\n");
        Run {
            args: args.join(" "),
            code: status.code(),
            stdout,
            stderr: String::new(),
        }
    }

    /// Types into a shell on a terminal, each text once the one before it was answered by what
    /// stands beside it; gives what the terminal shows.
    pub fn at_prompt(&self, shell: Command, screen: Screen, typed: &[(&str, &str)]) -> String {
        /// Longer than anything here takes: then what is waited for never comes.
        const PATIENCE: Duration = Duration::from_secs(120);
        let (mut child, mut terminal) = screen.spawn(shell);
        let pid = rustix::process::Pid::from_child(&child);
        let (_ended, end) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            if end.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        });
        let (mut shown, mut typed) = (Vec::new(), typed.iter());
        let mut next = typed.next();
        let (mut piece, mut answered) = ([0; 4096], 0);
        while let Ok(count @ 1..) = terminal.read(&mut piece) {
            shown.extend_from_slice(&piece[..count]);
            let text = String::from_utf8_lossy(&shown[answered..]).into_owned();
            if let Some((_, keys)) = next.filter(|(prompt, _)| text.contains(prompt)) {
                answered = shown.len();
                terminal.write_all(keys.as_bytes()).unwrap();
                next = typed.next();
            }
        }
        child.wait().unwrap();
        String::from_utf8_lossy(&shown).replace("\r\n", "\n")
    }

    /// The command that runs refguard here, for a test that talks to it or kills it.
    pub fn refguard(&self) -> Command {
        self.prepared(Command::new(env!("CARGO_BIN_EXE_refguard")))
    }

    /// A year passes.
    pub fn pass_year(&self) {
        self.clock.set(self.clock.get() + 366 * 86_400);
    }

    /// One minute passes.
    fn tick(&self) {
        self.clock.set(self.clock.get() + 60);
    }

    /// A command as it is run here: in the folder, with nothing of the tester's own environment.
    pub fn prepared(&self, mut command: Command) -> Command {
        let date = format!("{} +0000", START + self.clock.get());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own: [(&str, &OsStr); 11] = [
            ("PATH", &path),
            ("HOME", self.home.as_os_str()),
            ("XDG_CONFIG_HOME", self.home.as_os_str()),
            ("GIT_CONFIG_GLOBAL", OsStr::new("/dev/null")),
            ("GIT_CONFIG_NOSYSTEM", OsStr::new("1")),
            ("GIT_AUTHOR_NAME", OsStr::new("Ada")),
            ("GIT_AUTHOR_EMAIL", OsStr::new("ada@example.org")),
            ("GIT_AUTHOR_DATE", OsStr::new(&date)),
            ("GIT_COMMITTER_NAME", OsStr::new("Bob")),
            ("GIT_COMMITTER_EMAIL", OsStr::new("bob@example.org")),
            ("GIT_COMMITTER_DATE", OsStr::new(&date)),
        ];
        command.current_dir(&self.path).env_clear().envs(own);
        command
    }
}

/// How large a terminal is.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    columns: u16,
    rows: u16,
}

impl Screen {
    /// So many columns and rows.
    pub fn of(columns: u16, rows: u16) -> Self {
        Self { columns, rows }
    }

    /// Starts a command on such a terminal, and gives the side that a person sits at.
    fn spawn(self, mut command: Command) -> (Child, fs::File) {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        use rustix::termios::{Winsize, tcsetwinsize};

        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new())
            .unwrap()
            .into_string()
            .unwrap();
        let Self { columns, rows } = self;
        let size = Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).unwrap();

        let side = fs::File::options()
            .read(true)
            .write(true)
            .open(name)
            .unwrap();
        command
            .stdin(side.try_clone().unwrap())
            .stdout(side.try_clone().unwrap())
            .stderr(side);
        // The command goes, and with it what it holds of the program's side.
        (command.spawn().unwrap(), fs::File::from(terminal))
    }
}

/// The text of one policy; `fields` are its lines after the name.
pub fn policy(name: &str, fields: &str) -> String {
    format!("apiVersion: refguard/v1\nkind: Policy\nname: {name}\n{fields}\n")
}

/// How one run of refguard ended. Say what is due of it: [`Run::ok`], [`Run::json`] or
/// [`Run::fails`].
#[must_use]
#[derive(Debug)]
pub struct Run {
    args: String,
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// Results.
    pub stdout: String,
    /// Messages.
    pub stderr: String,
}

impl Run {
    /// It exits 0; what it wrote to stdout.
    pub fn ok(self) -> String {
        self.ends(0).stdout
    }

    /// It exits 0 and writes one JSON value.
    pub fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// It exits with a code that is not 0; what it wrote to stderr.
    pub fn fails(self, code: i32) -> String {
        assert_ne!(code, 0);
        self.ends(code).stderr
    }

    /// It exits with this code.
    pub fn ends(self, code: i32) -> Self {
        let Self {
            args,
            stdout,
            stderr,
            ..
        } = &self;
        assert_eq!(
            self.code,
            Some(code),
            "refguard {args}\nstdout:\n{stdout}\nstderr:\n{stderr}"
        );
        self
    }
}
