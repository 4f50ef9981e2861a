//! A repository, a daemon over it, and a small HTTP client.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A policy repository in a folder that vanishes.
pub struct Repo {
    top: TempDir,
}

impl Repo {
    /// An empty repository on branch `main`.
    pub fn new() -> Self {
        let repo = Self {
            top: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(repo.path()).unwrap();
        repo.git(&["init", "-q", "-b", "main"]);
        repo
    }

    /// A repository whose production branch holds generation 1.
    pub fn serving() -> Self {
        let repo = Self::new();
        repo.generation(1);
        repo.promote("HEAD");
        repo
    }

    pub fn path(&self) -> PathBuf {
        self.top.path().join("repo")
    }

    /// A path beside the repository.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    pub fn git(&self, args: &[&str]) -> String {
        let out = clean(Command::new("git").arg("-C").arg(self.path()))
            .args(args)
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn commit(&self) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "a change"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Commits a set in which every policy gives the same guardrail, `gen-N`: an answer with two of
    /// them is torn.
    pub fn generation(&self, n: usize) -> String {
        for p in 0..5 {
            self.write(
                &format!("policies/p{p}.yaml"),
                &policy(&format!("p{p}"), &format!("gen-{n}")),
            );
        }
        self.commit()
    }

    /// Commits a set that does not validate.
    pub fn broken(&self) -> String {
        self.write(
            "policies/p0.yaml",
            "apiVersion: refguard/v1\nkind: Policy\nname: p0\nguardrail: {}\n",
        );
        self.commit()
    }

    /// Moves the production branch, as plain git does.
    pub fn promote(&self, revision: &str) -> String {
        self.git(&["update-ref", "refs/heads/production", revision]);
        self.git(&["rev-parse", revision])
    }

    /// Runs refguard in the repository; it must succeed.
    pub fn refguard(&self, args: &[&str]) {
        let out = refguard()
            .arg("-C")
            .arg(self.path())
            .args(args)
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
    }

    /// The pack files.
    pub fn packs(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.path().join(".git/objects/pack")).unwrap();
        files
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "pack"))
            .collect()
    }
}

/// An object of a repository that takes for ever to read: a FIFO stands in its place.
pub struct StuckObject {
    object: PathBuf,
    away: PathBuf,
    fifo: PathBuf,
}

impl StuckObject {
    pub fn new(repo: &Repo, revision: &str) -> Self {
        let id = repo.git(&["rev-parse", revision]);
        let (folder, file) = id.split_at(2);
        let object = repo.path().join(".git/objects").join(folder).join(file);
        let (away, fifo) = (repo.beside("object"), repo.beside("fifo"));
        fs::rename(&object, &away).unwrap();
        assert!(
            Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        fs::hard_link(&fifo, &object).unwrap();
        Self { object, away, fifo }
    }

    /// Puts the object back, and ends the wait of whoever reads it.
    pub fn release(self) {
        fs::rename(&self.away, &self.object).unwrap();
        let fifo = self.fifo;
        // Opening it waits for a reader; where there is none, the thread ends with the test.
        thread::spawn(move || fs::OpenOptions::new().write(true).open(fifo));
    }
}

/// Waits until something is so.
pub fn until(what: &str, mut wanted: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !wanted() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A policy that gives one guardrail to every request.
pub fn policy(name: &str, guardrail: &str) -> String {
    format!(
        "apiVersion: refguard/v1\nkind: Policy\nname: {name}\nguardrails:\n  add: [{guardrail}]\n\
         ---\n\
         apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {name}\nscope: \"*\"\n"
    )
}

fn clean(command: &mut Command) -> &mut Command {
    let names = [
        "GIT_AUTHOR_NAME",
        "GIT_COMMITTER_NAME",
        "GIT_AUTHOR_EMAIL",
        "GIT_COMMITTER_EMAIL",
    ];
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", "/dev/null")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs(names.map(|name| (name, "a@example.org")))
}

/// Whether a program must be there: REFGUARD_TEST_REQUIRE lists those that no test may do without.
pub fn required(program: &str) -> bool {
    let list = std::env::var("REFGUARD_TEST_REQUIRE").unwrap_or_default();
    list.split(',').any(|name| name.trim() == program)
}

/// The program, with a clean environment.
pub fn refguard() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_refguard"));
    clean(&mut command);
    command
}

/// How a body is declared to be JSON.
pub const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A running daemon.
pub struct Daemon {
    child: Child,
    /// `127.0.0.1:PORT`
    pub address: String,
}

impl Daemon {
    /// A daemon over a folder, on a free port, with a short poll.
    pub fn start(dir: &Path, options: &[&str]) -> Self {
        Self::start_with(refguard(), dir, options)
    }

    pub fn start_with(command: Command, dir: &Path, options: &[&str]) -> Self {
        Self::start_logged(command, dir, options, Stdio::null())
    }

    /// A daemon whose log goes somewhere.
    pub fn start_logged(mut command: Command, dir: &Path, options: &[&str], log: Stdio) -> Self {
        command
            .arg("-C")
            .arg(dir)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(options);
        if !options.contains(&"--poll") {
            command.args(["--poll", "300ms"]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .rsplit_once("//")
            .map(|(_, address)| address.to_owned());
        Self {
            child,
            address: address.unwrap_or_else(|| panic!("no address: {line:?}")),
        }
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "")
    }

    pub fn post(&self, path: &str, body: &str) -> Reply {
        self.ask("POST", path, &[JSON], body)
    }

    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        Client::new(&self.address).ask(method, path, headers, body)
    }

    /// What every request gets.
    pub fn guardrails(&self) -> Vec<String> {
        let reply = self.post(
            "/v1/resolve?fields=guardrails",
            r#"{"context":{"model":"m"}}"#,
        );
        assert_eq!(reply.status, 200, "{}", reply.body);
        serde_json::from_value(reply.json()["guardrails"].clone()).unwrap()
    }

    /// The status of the first set.
    pub fn set(&self) -> Value {
        self.get("/v1/status").json()["sets"][0].clone()
    }

    /// Asks for the status of the first set until it is as wanted.
    pub fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.until_status(what, |status| wanted(&status["sets"][0]))["sets"][0].clone()
    }

    /// Asks for the status until it is as wanted.
    pub fn until_status(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.get("/v1/status").json();
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "not {what}: {status:#}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks for the metrics until they have all of these.
    pub fn until_metrics(&self, wanted: &[&str]) -> String {
        let mut metrics = String::new();
        until(&format!("{wanted:?}"), || {
            metrics = self.get("/metrics").body;
            wanted.iter().all(|line| metrics.contains(line))
        });
        metrics
    }

    /// Waits until a commit is served.
    pub fn until_served(&self, commit: &str) -> Value {
        self.until(&format!("serving {commit}"), |set| {
            set["commit"] == json!(commit)
        })
    }

    /// Waits until a commit is rejected.
    pub fn until_rejected(&self, commit: &str) -> Value {
        self.until(&format!("rejecting {commit}"), |set| {
            set["rejected"]["commit"] == json!(commit)
        })
    }

    /// Waits until a policy's version has a number: serving does not wait for history.
    pub fn until_numbered(&self, policy: &str, number: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.get(&format!("/v1/policies/{policy}")).json()["number"] != json!(number) {
            assert!(Instant::now() < deadline, "history is not read");
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.wait().unwrap()
    }

    /// Resident memory in kB.
    pub fn resident(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A connection that is kept.
pub struct Client {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Client {
    pub fn new(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream: BufReader::new(stream),
            host: address.to_owned(),
        }
    }

    pub fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.send(method, path, headers, body);
        self.reply().unwrap()
    }

    /// What is said of a page without the page.
    pub fn head(&mut self, path: &str) -> Reply {
        self.send("HEAD", path, &[], "");
        read_reply_without_body(&mut self.stream).unwrap()
    }

    /// Asks for a stream of events: its first one has come when this returns.
    pub fn open_stream(&mut self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send("GET", path, headers, "");
        let mut reply = read_reply_without_body(&mut self.stream).unwrap();
        if reply.status == 200 {
            reply.body = self.piece();
        }
        reply
    }

    /// Reads on until the stream has ended.
    pub fn until_stream_ends(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.piece().is_empty() {
            assert!(Instant::now() < deadline, "the stream goes on");
        }
    }

    /// The next piece of a stream; empty: it has ended.
    fn piece(&mut self) -> String {
        let mut size = String::new();
        self.stream.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut piece = vec![0; size + 2];
        std::io::Read::read_exact(&mut self.stream, &mut piece).unwrap();
        String::from_utf8_lossy(piece.get(..size).unwrap()).into_owned()
    }

    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\ncontent-length: {}\r\n",
            body.len()
        );
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            text += &format!("host: {}\r\n", self.host);
        }
        headers
            .iter()
            .for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
        self.stream
            .get_mut()
            .write_all(format!("{text}\r\n{body}").as_bytes())
            .unwrap();
    }

    pub fn reply(&mut self) -> std::io::Result<Reply> {
        read_reply(&mut self.stream)
    }

    /// The beginning of what comes next, which is left to be read.
    pub fn peek(&mut self) -> String {
        let bytes = self.stream.fill_buf().unwrap();
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Whether the server has not ended the connection, nor sent anything.
    pub fn is_open(&mut self) -> bool {
        let stream = self.stream.get_ref();
        stream.set_nonblocking(true).unwrap();
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false).unwrap();
        peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// Takes all places for connections by long-polls: these wait for the daemon, and make place for
/// nobody.
pub fn fill_with_polls(daemon: &Daemon, places: usize) -> Vec<Client> {
    // The tag becomes another one when history is read.
    daemon.until_numbered("p0", 1);
    let etag = daemon.get("/v1/bundle").header("etag").unwrap().to_owned();
    let mut polls = Vec::new();
    // One that has not been heard yet may make place for the next question.
    until("every place is taken", || {
        polls.retain_mut(|poll: &mut Client| poll.is_open());
        while polls.len() < places {
            let mut poll = Client::new(&daemon.address);
            let headers = [("If-None-Match", etag.as_str()), ("Prefer", "wait=60")];
            poll.send("GET", "/v1/bundle", &headers, "");
            polls.push(poll);
        }
        daemon.get("/v1/status").status == 503
    });
    polls
}

/// Reads one answer; its body has the length that it says.
pub fn read_reply(stream: &mut impl BufRead) -> std::io::Result<Reply> {
    let mut reply = read_reply_without_body(stream)?;
    let length = reply
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; if reply.status == 304 { 0 } else { length }];
    std::io::Read::read_exact(stream, &mut body)?;
    reply.body = String::from_utf8(body).unwrap();
    Ok(reply)
}

/// Reads the head of an answer.
fn read_reply_without_body(stream: &mut impl BufRead) -> std::io::Result<Reply> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let Some(status) = line.split(' ').nth(1).and_then(|code| code.parse().ok()) else {
        return Err(std::io::Error::other(format!("no answer: {line:?}")));
    };
    let mut headers = Vec::new();
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        match line.trim().split_once(':') {
            Some((name, value)) => headers.push((name.to_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    Ok(Reply {
        status,
        headers,
        body: String::new(),
    })
}

/// A clock that a test sets, for a program that is started with [`Clock::bind`]: its wall clock
/// stands at a second until it is set to another. Time that passes is measured as ever.
pub struct Clock {
    dir: TempDir,
    library: PathBuf,
}

impl Clock {
    /// `None` where libfaketime is not there, which the test says; CI must have it.
    pub fn at(second: i64) -> Option<Self> {
        let folders = fs::read_dir("/usr/lib").into_iter().flatten();
        let library = folders
            .map(|folder| folder.unwrap().path().join("faketime/libfaketimeMT.so.1"))
            .find(|path| path.is_file());
        let Some(library) = library else {
            assert!(!required("faketime"), "libfaketime is not installed");
            eprintln!("skipped: libfaketime is not installed");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let clock = Self { dir, library };
        clock.set(second);
        Some(clock)
    }

    /// Sets it, forwards or back.
    pub fn set(&self, second: i64) {
        let next = self.dir.path().join("next");
        fs::write(&next, format!("{second}\n")).unwrap();
        fs::rename(next, self.dir.path().join("now")).unwrap();
    }

    /// Has a program tell its time by this clock.
    pub fn bind(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", self.dir.path().join("now"))
            .env("FAKETIME_FMT", "%s")
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
}
