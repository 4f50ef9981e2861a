#!/usr/bin/env python3
"""The daemon's figures, on this machine: python3 benches/daemon.py [--policies 10000] [--seconds 10]

Builds refguard, makes a repository of so many policies and as many attachments, and prints: start and restart to
ready, memory, ref moved to served, and requests a second with `wrk` (https://github.com/wg/wrk) beside the same
server without a daemon. On a busy machine all of them are worse.
"""
import argparse
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benches" / "peers"))
import model  # noqa: E402

REFGUARD = ROOT / "target" / "release" / "refguard"
FIXED = ROOT / "target" / "release" / "examples" / "fixed_body"
RELOADS = 100
TEAMS = 1000


def sh(*command, **options):
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, **options)
    return done.stdout.decode().strip()


class Repository:
    """A made-up set as a bare minimum of history: one commit, and one more for each change."""

    def __init__(self, place, count):
        self.path = place / "repository"
        made = model.make(count, count, TEAMS, 1)
        model.write_refguard(made, str(self.path))
        self.contexts = list(model.contexts(made, 1_000, 2))
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "gc.auto", "0")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=made up")
        self.git("repack", "-adq")
        self.git("update-ref", "refs/heads/production", "HEAD")
        # A step of a pipeline must be among what its policy adds.
        files = sorted(self.path.glob("policies/**/*.yaml"))
        self.policies = [file for file in files if "pipeline" not in file.read_text()]

    def git(self, *words):
        who = ["-c", "user.name=bench", "-c", "user.email=bench@example.org"]
        return sh("git", "-C", self.path, *who, *words)

    def change(self, n):
        """A commit in which one policy has another guardrail."""
        file = self.policies[n * 97 % len(self.policies)]
        text = file.read_text()
        file.write_text(re.sub(r"guardrail_\d+", f"guardrail_{n % 120:03d}", text, count=1))
        self.git("commit", "--quiet", "--all", "--allow-empty", f"--message=change {n}")
        return self.git("rev-parse", "HEAD")

    def move(self, commit):
        """As git moves a ref: a lock beside it, renamed over it."""
        ref = self.path / ".git/refs/heads/production"
        lock = ref.with_name("production.lock")
        lock.write_text(commit + "\n")
        os.rename(lock, ref)


class Daemon:
    def __init__(self, repository):
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        words = [REFGUARD, "-C", repository.path, "serve", "--listen", self.address, "--log", "warn"]
        start = time.perf_counter()
        self.process = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL)
        while not self.ready():
            time.sleep(0.001)
        self.took = time.perf_counter() - start
        self.connection = http.client.HTTPConnection("127.0.0.1", port)

    def ready(self):
        try:
            connection = http.client.HTTPConnection(self.address, timeout=5)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def ask(self, method, path, body=None):
        self.connection.request(method, path, body)
        reply = self.connection.getresponse()
        return reply, reply.read()

    def commit(self):
        return self.ask("GET", "/healthz")[0].headers["X-Refguard-Commit"]

    def resident(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def reloads(repository, daemon):
    """Milliseconds from the ref's move to the first answer of the new set, each time."""
    took = []
    for n in range(RELOADS):
        commit = repository.change(n)
        time.sleep(0.05)
        start = time.perf_counter()
        repository.move(commit)
        while daemon.commit() != commit:
            time.sleep(0.0003)
            if time.perf_counter() > start + 30:
                sys.exit(daemon.ask("GET", "/v1/status")[1].decode())
        took.append((time.perf_counter() - start) * 1000)
    return took


def wrk(url, seconds, script=None):
    """Requests a second, and the 99th hundredth of their times in milliseconds."""
    words = ["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", *(["-s", str(script)] if script else []), url]
    text = sh(*words)
    if "Non-2xx" in text or "Socket errors" in text:
        sys.exit(text)
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def load(place, repository, daemon, seconds):
    bodies = [json.dumps({"context": context}) for context in repository.contexts]
    script = place / "bodies.lua"
    quoted = ",\n".join(f"[==[{body}]==]" for body in bodies)
    script.write_text(f'local bodies = {{{quoted}}}\nlocal n = 0\nfunction request()\n  n = n % #bodies + 1\n'
                      '  return wrk.format("POST", nil, {["Content-Type"] = "application/json"}, bodies[n])\nend\n')
    size = int(statistics.median(len(daemon.ask("POST", "/v1/resolve", body)[1]) for body in bodies))
    address = f"127.0.0.1:{free_port()}"
    fixed = subprocess.Popen([str(FIXED), address, str(size)])
    time.sleep(0.5)
    url = f"http://{daemon.address}"
    # In turns, so that what else the machine does meets all of them; the best of each counts.
    runs = {"fixed": [], "resolve": [], "fields": [], "health": []}
    for _ in range(3):
        runs["fixed"].append(wrk(f"http://{address}/", seconds, script))
        runs["resolve"].append(wrk(f"{url}/v1/resolve", seconds, script))
        runs["fields"].append(wrk(f"{url}/v1/resolve?fields=guardrails", seconds, script))
        runs["health"].append(wrk(f"{url}/healthz", seconds))
    fixed.terminate()
    return size, {name: max(found) for name, found in runs.items()}


def p99_under_reloads(place, repository, daemon, seconds):
    """The 99th hundredth while the ref moves ten times a second."""
    commits = [repository.change(RELOADS + n) for n in range(seconds * 10)]
    words = ["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", "-s", str(place / "bodies.lua"),
             f"http://{daemon.address}/v1/resolve"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    for commit in commits:
        repository.move(commit)
        time.sleep(0.1)
    text = process.communicate()[0].decode()
    if "Non-2xx" in text or "Socket errors" in text:
        sys.exit(text)
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policies", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=10, help="of each run of wrk")
    parser.add_argument("--no-build", action="store_true")
    arguments = parser.parse_args()
    if not arguments.no_build:
        sh("cargo", "build", "--release", "--bin", "refguard", "--example", "fixed_body", cwd=ROOT)
    place = pathlib.Path(tempfile.mkdtemp(prefix="refguard-bench-"))
    try:
        measure(place, arguments)
    finally:
        shutil.rmtree(place)


def measure(place, arguments):
    repository = Repository(place, arguments.policies)
    say = lambda what, value: print(f"{what:<58}{value}", flush=True)
    daemon = Daemon(repository)
    say("start to ready", f"{daemon.took:.3f} s")
    say("resident", f"{daemon.resident():.0f} MB")
    took = sorted(reloads(repository, daemon))
    say(f"ref moved to served, of {RELOADS}: p50 / p99 / worst",
        f"{statistics.median(took):.1f} / {took[int(len(took) * 0.99) - 1]:.1f} / {took[-1]:.1f} ms")
    say(f"resident after {RELOADS} reloads", f"{daemon.resident():.0f} MB")
    daemon.stop()
    daemon = Daemon(repository)
    say("restart to ready", f"{daemon.took:.3f} s")
    if shutil.which("wrk"):
        size, best = load(place, repository, daemon, arguments.seconds)
        say("median answer", f"{size} bytes")
        for name, what in [("fixed", "POST, a fixed body of that size, no daemon"), ("resolve", "POST /v1/resolve"),
                           ("fields", "POST /v1/resolve?fields=guardrails"), ("health", "GET /healthz")]:
            say(what, f"{best[name][0]:.0f}/s, p99 {best[name][1]:.2f} ms")
        say("resolve / fixed", f"{best['resolve'][0] / best['fixed'][0]:.2f}")
        say("fields=guardrails / healthz", f"{best['fields'][0] / best['health'][0]:.2f}")
        say("p99 while the ref moves ten times a second", f"{p99_under_reloads(place, repository, daemon, 10):.2f} ms")
    else:
        print("wrk is not installed: no figures under load")
    say("resident at the end", f"{daemon.resident():.0f} MB")
    daemon.stop()


main()
