"""What the daemon's benches share: a repository whose ref moves, servers on loopback, and load by `wrk`."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
REFGUARD = ROOT / "target" / "dist" / "refguard"
START_LIMIT = 180


def sh(*command, **options):
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, **options)
    return done.stdout.decode().strip()


def take_program(parser):
    """The option that names the program which is measured."""
    parser.add_argument("--refguard", type=pathlib.Path, help="measure this program, and build none")


@contextlib.contextmanager
def scratch_folder(program, *targets, build=True):
    """A folder for a bench, with the program at hand: the one that is named, or one that is built, with more targets."""
    global REFGUARD
    if program:
        REFGUARD = program.resolve()
    elif build:
        sh("cargo", "build", "--profile", "dist", "--bin", "refguard", *targets, cwd=ROOT)
    place = pathlib.Path(tempfile.mkdtemp(prefix="refguard-bench-"))
    try:
        yield place
    finally:
        shutil.rmtree(place)


class Repository:
    """A folder with the least of history: one commit, one more for each change, and a branch that is moved by hand."""

    def __init__(self, path):
        self.path = path
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "gc.auto", "0")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=made up")
        self.git("repack", "-adq")
        self.git("update-ref", "refs/heads/production", "HEAD")

    def git(self, *words):
        who = ["-c", "user.name=bench", "-c", "user.email=bench@example.org"]
        return sh("git", "-C", self.path, *who, *words)

    def commit(self, message):
        """What was written to files that are there."""
        self.git("commit", "--quiet", "--all", "--allow-empty", f"--message={message}")
        return self.git("rev-parse", "HEAD")

    def move(self, commit):
        """As git moves a ref: a lock beside it, renamed over it."""
        ref = self.path / ".git/refs/heads/production"
        lock = ref.with_name("production.lock")
        lock.write_text(commit + "\n")
        os.rename(lock, ref)


class Server:
    """A process that answers on loopback, from its start to the end of the `with` block. What it says goes to `log`."""

    def __init__(self, words, address, ready_path, log=None):
        self.address, self.ready_path = address, ready_path
        start = time.perf_counter()
        with open(log or os.devnull, "ab") as said:
            self.process = subprocess.Popen([str(word) for word in words], stdout=said, stderr=said if log else None)
        try:
            while not self.ready():
                if self.process.poll() is not None or time.perf_counter() > start + START_LIMIT:
                    sys.exit(f"{words[0]} did not become ready{f': see {log}' if log else ''}")
                time.sleep(0.001)
            self.took = time.perf_counter() - start
        except BaseException:
            self.stop()
            raise
        self.connection = self.connect()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def ready(self):
        try:
            connection = http.client.HTTPConnection(self.address, timeout=5)
            connection.request("GET", self.ready_path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

    def connect(self):
        return http.client.HTTPConnection(self.address, timeout=30)

    def ask(self, method, path, body=None, connection=None):
        connection = connection or self.connection
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        reply = connection.getresponse()
        return reply, reply.read()

    def resident(self):
        """Megabytes."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Daemon(Server):
    def __init__(self, repository):
        address = f"127.0.0.1:{free_port()}"
        super().__init__([REFGUARD, "-C", repository.path, "serve", "--listen", address, "--log", "warn"], address,
                         "/readyz")

    def commit(self):
        return self.ask("GET", "/healthz")[0].headers["X-Refguard-Commit"]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def post_in_turns(path, bodies):
    """A script for `wrk` that posts one body after the other."""
    quoted = ",\n".join(f"[==[{json.dumps(body)}]==]" for body in bodies)
    # The requests are put together before the run: the load generator must not be what is measured.
    path.write_text(f'''local bodies = {{{quoted}}}
local requests = {{}}
local n = 0
function init()
  local headers = {{["Content-Type"] = "application/json"}}
  for i, body in ipairs(bodies) do requests[i] = wrk.format("POST", nil, headers, body) end
end
function request()
  n = n % #requests + 1
  return requests[n]
end
''')
    return path


NUMBER = "########"


def post_anew(path, bodies):
    """The same, but none comes twice: each context has one more tag, a number that was not there before."""
    tagged = [{"context": {**body["context"], "tags": [*body["context"].get("tags", []), NUMBER]}} for body in bodies]
    quoted = ",\n".join(f"[==[{json.dumps(body)}]==]" for body in tagged)
    path.write_text(f'''local bodies = {{{quoted}}}
local heads, tails, n = {{}}, {{}}, os.time() % 990 * 100000
function init()
  local headers = {{["Content-Type"] = "application/json"}}
  for i, body in ipairs(bodies) do
    local request = wrk.format("POST", nil, headers, body)
    local at = request:find("{NUMBER}", 1, true)
    heads[i], tails[i] = request:sub(1, at - 1), request:sub(at + {len(NUMBER)})
  end
end
function request()
  n = n + 1
  local i = n % #heads + 1
  return heads[i] .. string.format("%0{len(NUMBER)}d", n) .. tails[i]
end
''')
    return path


def start_wrk(url, seconds, script=None, by=()):
    words = [*by, "wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", *(["-s", str(script)] if script else []), url]
    return subprocess.Popen(words, stdout=subprocess.PIPE)


def read_wrk(process):
    """Requests a second, and the 99th hundredth of their times in milliseconds."""
    text = process.communicate()[0].decode()
    if process.returncode or "Non-2xx" in text or "Socket errors" in text:
        sys.exit(f"wrk: {text}")
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    return rate, float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def wrk(url, seconds, script=None, by=()):
    """`by`: the command that starts it, such as `taskset`."""
    return read_wrk(start_wrk(url, seconds, script, by))
