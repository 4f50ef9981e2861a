#!/usr/bin/env python3
"""The daemon's figures, on this machine: python3 benches/daemon.py [--policies 10000] [--seconds 10]

Builds refguard, makes a repository of so many policies and as many attachments, and prints: start and restart to
ready, memory, ref moved to served, and requests a second with `wrk` (https://github.com/wg/wrk) beside the same
server without a daemon. Then the pages: how long each takes to be made, its size, what idle ones cost, when a browser shows
them (with REFGUARD_TEST_NODE, as tests/pages has it), and what proxies feel of a browser that clicks through all of them.
On a busy machine all of them are worse.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time

import harness
from harness import Daemon, ROOT, Repository, free_port, post_anew, post_in_turns, read_wrk, sh, start_wrk, wrk

sys.path.insert(0, str(ROOT / "benches" / "peers"))
import model  # noqa: E402

FIXED = ROOT / "target" / "dist" / "examples" / "fixed_body"
RELOADS = 100
TEAMS = 1000
PAGE_LOADS = 40
IDLE_PAGES = 500
ROUNDS = 3


class MadeUp(Repository):
    """A made-up set."""

    def __init__(self, place, count):
        made = model.make(count, count, TEAMS, 1)
        model.write_refguard(made, str(place / "repository"))
        super().__init__(place / "repository")
        self.contexts = list(model.contexts(made, 1_000, 2))
        # A step of a pipeline must be among what its policy adds.
        files = sorted(self.path.glob("policies/**/*.yaml"))
        self.policies = [file for file in files if "pipeline" not in file.read_text()]

    def change(self, n):
        """A commit in which one policy has another guardrail."""
        file = self.policies[n * 97 % len(self.policies)]
        text = file.read_text()
        file.write_text(re.sub(r"guardrail_\d+", f"guardrail_{n % 120:03d}", text, count=1))
        return self.commit(f"change {n}")


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


def load(script, repository, daemon, seconds):
    bodies = [{"context": context} for context in repository.contexts]
    post_in_turns(script, bodies)
    anew = post_anew(script.with_name("anew.lua"), bodies)
    size = int(statistics.median(len(daemon.ask("POST", "/v1/resolve", json.dumps(body))[1]) for body in bodies))
    address = f"127.0.0.1:{free_port()}"
    fixed = subprocess.Popen([str(FIXED), address, str(size)])
    time.sleep(0.5)
    url = f"http://{daemon.address}"
    # In turns, so that what else the machine does meets all of them; the best of each counts.
    runs = {"fixed": [], "anew": [], "resolve": [], "fields": [], "health": []}
    try:
        for _ in range(3):
            runs["fixed"].append(wrk(f"http://{address}/", seconds, script))
            runs["anew"].append(wrk(f"{url}/v1/resolve", seconds, anew))
            runs["resolve"].append(wrk(f"{url}/v1/resolve", seconds, script))
            runs["fields"].append(wrk(f"{url}/v1/resolve?fields=guardrails", seconds, script))
            runs["health"].append(wrk(f"{url}/healthz", seconds))
    finally:
        fixed.terminate()
        fixed.wait()
    return size, {name: max(found) for name, found in runs.items()}


def under_reloads(script, repository, daemon, seconds):
    """Requests a second and the 99th hundredth while the ref moves ten times a second; of three runs the best."""
    commits = [repository.change(RELOADS + n) for n in range(seconds * 10)]
    runs = []
    for _ in range(3):
        process = start_wrk(f"http://{daemon.address}/v1/resolve", seconds, script)
        for commit in commits:
            repository.move(commit)
            time.sleep(0.1)
        runs.append(read_wrk(process))
    return max(runs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policies", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=10, help="of each run of wrk")
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--only-pages", action="store_true")
    harness.take_program(parser)
    arguments = parser.parse_args()
    with harness.scratch_folder(arguments.refguard, "--example", "fixed_body", build=not arguments.no_build) as place:
        measure(place, arguments)


def say(what, value):
    print(f"{what:<58}{value}", flush=True)


def measure(place, arguments):
    repository = MadeUp(place, arguments.policies)
    if not arguments.only_pages:
        measure_daemon(place, repository, arguments)
    with Daemon(repository) as daemon:
        measure_pages(place / "bodies.lua", repository, daemon, arguments)


def measure_daemon(place, repository, arguments):
    with Daemon(repository) as daemon:
        say("start to ready", f"{daemon.took:.3f} s")
        say("resident", f"{daemon.resident():.0f} MB")
        took = sorted(reloads(repository, daemon))
        say(f"ref moved to served, of {RELOADS}: p50 / p99 / worst",
            f"{statistics.median(took):.1f} / {took[int(len(took) * 0.99) - 1]:.1f} / {took[-1]:.1f} ms")
        say(f"resident after {RELOADS} reloads", f"{daemon.resident():.0f} MB")
    with Daemon(repository) as daemon:
        say("restart to ready", f"{daemon.took:.3f} s")
        if shutil.which("wrk"):
            under_load(place / "bodies.lua", repository, daemon, arguments.seconds)
        else:
            print("wrk is not installed: no figures under load")
        say("resident at the end", f"{daemon.resident():.0f} MB")


def measure_pages(script, repository, daemon, arguments):
    name = repository.policies[0].read_text().partition("name: ")[2].split("\n")[0]
    second = repository.change(1)
    repository.move(second)
    while daemon.commit() != second:
        time.sleep(0.01)
    while b"version 1" not in daemon.ask("GET", f"/ui/policy?name={name}")[1]:
        time.sleep(0.1)
    team = repository.contexts[0]["team_alias"]
    for address in ["/ui/", f"/ui/ask?team={team}&at={second}", "/ui/matrix?rows=each", "/ui/policies", "/ui/policies?q=9&page=3",
                    f"/ui/policy?name={name}", "/ui/history", "/ui/change"]:
        times, size = [], 0
        for _ in range(PAGE_LOADS):
            start = time.perf_counter()
            reply, body = daemon.ask("GET", address)
            times.append((time.perf_counter() - start) * 1000)
            size = max(size, len(body))
            assert reply.status == 200, (address, reply.status)
        times.sort()
        short = address.replace(second, "COMMIT")
        say(f"{short[:30]}: p95, worst of {PAGE_LOADS}, size",
            f"{times[int(PAGE_LOADS * 0.95) - 1]:.1f}, {times[-1]:.1f} ms, {size / 1000:.0f} kB")
    say(f"{IDLE_PAGES} idle pages", f"{idle_pages(daemon, arguments.seconds):.2f} % of a core")
    if not os.environ.get("REFGUARD_TEST_NODE"):
        print("REFGUARD_TEST_NODE is not set: no figures of a browser")
        return
    script_of_pages = ROOT / "benches" / "pages.mjs"
    print(sh("node", script_of_pages, "paint", f"http://{daemon.address}"), flush=True)
    if shutil.which("wrk"):
        run = post_in_turns(script, [{"context": context} for context in repository.contexts])
        url = f"http://{daemon.address}/v1/resolve"
        alone, elsewhere, here = [], [], []
        # The browser takes more of the machine than its pages do: what it does to requests when another daemon makes the
        # pages is told beside.
        with Daemon(repository) as other:
            for _ in range(ROUNDS):
                alone.append(wrk(url, arguments.seconds, run)[1])
                for clicked, found in [(other, elsewhere), (daemon, here)]:
                    with clicks(script_of_pages, clicked):
                        found.append(wrk(url, arguments.seconds, run)[1])
        say(f"p99 of /v1/resolve, median of {ROUNDS}: alone", f"{statistics.median(alone):.2f} ms")
        say("  beside a browser that clicks through another daemon's pages", f"{statistics.median(elsewhere):.2f} ms")
        say("  beside a browser that clicks through its own pages", f"{statistics.median(here):.2f} ms")

        # A browser runs on another machine: here, the daemon and who asks it have one core, the browser the others.
        first, *others = sorted(os.sched_getaffinity(0))
        if others and shutil.which("taskset"):
            sh("taskset", "--all-tasks", "--cpu-list", "--pid", first, daemon.process.pid)
            alone, here = [], []
            for _ in range(ROUNDS):
                alone.append(wrk(url, arguments.seconds, run, ("taskset", "--cpu-list", str(first)))[1])
                with clicks(script_of_pages, daemon, ("taskset", "--cpu-list", ",".join(map(str, others)))):
                    here.append(wrk(url, arguments.seconds, run, ("taskset", "--cpu-list", str(first)))[1])
            say("  the browser on cores of its own: alone", f"{statistics.median(alone):.2f} ms")
            say("  beside a browser that clicks through its own pages", f"{statistics.median(here):.2f} ms")


@contextlib.contextmanager
def clicks(script, daemon, by=()):
    """While a browser clicks through all pages of a daemon."""
    clicking = subprocess.Popen([*by, "node", str(script), "click", f"http://{daemon.address}"])
    time.sleep(2)
    try:
        yield
    finally:
        clicking.terminate()
        clicking.wait()


def idle_pages(daemon, seconds):
    """The share of a core that pages cost which follow a daemon where nothing happens."""
    host, port = daemon.address.split(":")
    streams = []
    for number in range(IDLE_PAGES):
        # One address may hold fifty.
        source = f"127.0.0.{2 + number // 50}"
        stream = socket.create_connection((host, int(port)), source_address=(source, 0))
        stream.sendall(f"GET /ui/events HTTP/1.1\r\nHost: {daemon.address}\r\n\r\n".encode())
        streams.append(stream)
    assert all(b"200 OK" in stream.recv(4096) for stream in streams)
    time.sleep(2)
    before, start = cpu_seconds(daemon), time.perf_counter()
    time.sleep(seconds)
    used = cpu_seconds(daemon) - before
    took = time.perf_counter() - start
    for stream in streams:
        stream.close()
    return used / took * 100


def cpu_seconds(daemon):
    fields = pathlib.Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def under_load(script, repository, daemon, seconds):
    size, best = load(script, repository, daemon, seconds)
    say("median answer", f"{size} bytes")
    for name, what in [("fixed", "POST, a fixed body of that size, no daemon"),
                       ("resolve", "POST /v1/resolve, a thousand requests in turns"),
                       ("anew", "POST /v1/resolve, each for the first time"),
                       ("fields", "POST /v1/resolve?fields=guardrails"), ("health", "GET /healthz")]:
        say(what, f"{best[name][0]:.0f}/s, p99 {best[name][1]:.2f} ms")
    say("resolve / fixed", f"{best['resolve'][0] / best['fixed'][0]:.2f}")
    say("each for the first time / fixed", f"{best['anew'][0] / best['fixed'][0]:.2f}")
    say("fields=guardrails / healthz", f"{best['fields'][0] / best['health'][0]:.2f}")
    rate, p99 = under_reloads(script, repository, daemon, seconds)
    say("while the ref moves ten times a second", f"{rate:.0f}/s, p99 {p99:.2f} ms")
    say("p99 then / p99 at rest", f"{p99 / best['resolve'][1]:.2f}")


main()
