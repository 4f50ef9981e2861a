#!/usr/bin/env python3
"""What evidence costs, on this machine: python3 benches/evidence.py [--followers 2000] [--policies 10000] [--seconds 10]

Builds refguard and prints: how soon all followers of one daemon are woken by a promotion, what memory each takes, and what
proxies feel of it (with `wrk`); what of its requests a second a daemon loses with `--shadow`; how many rows of a log `replay`
reads in a second. The followers live in this process. They are to be on other machines: the daemon and who asks it have one core, they the
others (with `taskset` and two cores at least; else they are part of what is measured).
"""
import argparse
import collections
import json
import os
import random
import re
import resource
import selectors
import shutil
import socket
import statistics
import sys
import time

import harness
from harness import ROOT, Repository, Server, free_port, post_in_turns, read_wrk, sh, start_wrk

sys.path.insert(0, str(ROOT / "benches" / "peers"))
import model  # noqa: E402

PROMOTIONS = 10
ROUNDS = 5
FEW_ROUNDS = 3


def say(what, value):
    print(f"{what:<64}{value}", flush=True)


class Set(Repository):
    def __init__(self, place, count):
        made = model.make(count, count, 1000, 1)
        model.write_refguard(made, str(place))
        super().__init__(place)
        self.contexts = list(model.contexts(made, 1_000, 2))


class Daemon(Server):
    def __init__(self, repository, followers=0, options=(), by=()):
        address = f"127.0.0.1:{free_port()}"
        room = ["--max-parked", followers + 10, "--max-connections", 2 * followers + 200]
        words = [*by, harness.REFGUARD, "-C", repository.path, "serve", "--listen", address, "--log", "warn", *room, *options]
        super().__init__(words, address, "/readyz")

    def etag(self):
        reply, _ = self.ask("GET", "/v1/bundle?format=refguard")
        return reply.headers["ETag"]


class Followers:
    """Connections that each wait for another set than the last one, as the LiteLLM package does."""

    def __init__(self, daemon, count):
        host, port = daemon.address.split(":")
        self.daemon, self.selector = daemon, selectors.DefaultSelector()
        self.sockets = [socket.create_connection((host, int(port))) for _ in range(count)]
        for number, connection in enumerate(self.sockets):
            self.report(connection, number)
        for connection in self.sockets:
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ)

    def report(self, connection, number):
        body = json.dumps({"set": "production", "state": "away", "reason": "", "guardrails": []})
        connection.sendall(f"PUT /v1/clients/worker-{number} HTTP/1.1\r\nHost: {self.daemon.address}\r\n"
                           f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        answer = connection.recv(65536)
        if b" 200 " not in answer[:20] and b" 204 " not in answer[:20]:
            sys.exit(answer.decode())

    def park(self, etag):
        for connection in self.sockets:
            self.ask(connection, etag)

    def ask(self, connection, etag):
        connection.send((f"GET /v1/bundle?format=refguard HTTP/1.1\r\nHost: {self.daemon.address}\r\n"
                         f"If-None-Match: {etag}\r\nPrefer: wait=60\r\n\r\n").encode())

    def woken(self, start):
        """Milliseconds until each has the first bytes of its answer; each reads it to its end and waits for the next."""
        first, left, tags = {}, {}, {}
        while len(first) < len(self.sockets) or left:
            for key, _ in self.selector.select(30) or sys.exit("some are not woken"):
                bytes_read = key.fileobj.recv(1 << 20)
                if key.fd not in first:
                    first[key.fd] = (time.perf_counter() - start) * 1000
                    head, _, body = bytes_read.partition(b"\r\n\r\n")
                    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
                    left[key.fd], tags[key.fd] = int(fields[b"content-length"]) - len(body), fields[b"etag"].decode()
                else:
                    left[key.fd] -= len(bytes_read)
                if left[key.fd] <= 0:
                    del left[key.fd]
                    self.ask(key.fileobj, tags[key.fd])
        return sorted(first.values())


def follow(place, arguments):
    repository = Set(place / "followed", 100)
    script = post_in_turns(place / "bodies.lua", [{"context": context} for context in repository.contexts])
    file = next(file for file in sorted(repository.path.glob("policies/**/*.yaml")) if "description" in file.read_text())
    commits = []
    for number in range(PROMOTIONS + FEW_ROUNDS * arguments.seconds):
        file.write_text(file.read_text().replace('description: "', 'description: "again ', 1))
        commits.append(repository.commit(f"change {number}"))
    cores = sorted(os.sched_getaffinity(0))
    by = ("taskset", "--cpu-list", str(cores[0])) if len(cores) > 1 and shutil.which("taskset") else ()

    def load(daemon):
        return start_wrk(f"http://{daemon.address}/v1/resolve", arguments.seconds, script, by)

    with Daemon(repository, arguments.followers, by=by) as daemon:
        if by:
            os.sched_setaffinity(0, cores[1:])
        alone = [read_wrk(load(daemon))[1] for _ in range(FEW_ROUNDS)]
        before = daemon.resident()
        followers = Followers(daemon, arguments.followers)
        followers.park(daemon.etag())
        time.sleep(2)
        say(f"memory of a follower, {arguments.followers} parked",
            f"{(daemon.resident() - before) * 1024 / arguments.followers:.0f} kB")
        took = []
        for commit in commits[:PROMOTIONS]:
            time.sleep(0.2)
            start = time.perf_counter()
            repository.move(commit)
            took.extend(followers.woken(start))
        took.sort()
        say(f"woken by a promotion, {PROMOTIONS} of them: median, p99, worst",
            f"{took[len(took) // 2]:.0f}, {took[int(len(took) * 0.99)]:.0f}, {took[-1]:.0f} ms")
        say("memory of a follower after that",
            f"{(daemon.resident() - before) * 1024 / arguments.followers:.0f} kB")

        parked = [read_wrk(load(daemon))[1] for _ in range(FEW_ROUNDS)]
        moving = []
        for _ in range(FEW_ROUNDS):
            run = load(daemon)
            for _ in range(arguments.seconds):
                start = time.perf_counter()
                repository.move(commits.pop())
                followers.woken(start)
                time.sleep(max(0, 1 - (time.perf_counter() - start)))
            moving.append(read_wrk(run)[1])
    os.sched_setaffinity(0, cores)
    figures = "; ".join(f"{statistics.median(found):.2f}" for found in [alone, parked, moving])
    say(f"p99 of /v1/resolve, median of {FEW_ROUNDS}: alone; all parked; all woken each second", f"{figures} ms")


def change_ten_policies(repository):
    """A commit in which ten policies give one guardrail more."""
    files = [file for file in sorted(repository.path.glob("policies/**/*.yaml")) if "pipeline" not in file.read_text()]
    for file in files[:10]:
        file.write_text(file.read_text().replace("  add:", "  add:\n    - guardrail_001", 1))
    return repository.commit("ten policies")


def shadow(place, arguments):
    repository = Set(place / "shadowed", arguments.policies)
    script = post_in_turns(place / "bodies.lua", [{"context": context} for context in repository.contexts])
    head = change_ten_policies(repository)
    with Daemon(repository) as plain, Daemon(repository, options=["--shadow", head]) as shadowed:
        rates = {plain: [], shadowed: []}
        for _ in range(ROUNDS):
            for daemon, found in rates.items():
                found.append(read_wrk(start_wrk(f"http://{daemon.address}/v1/resolve", arguments.seconds, script))[0])
        without, beside = (statistics.median(found) for found in rates.values())
        counted = re.findall(r'refguard_shadow_requests_total\{[^}]*result="(\w+)"[^}]*\} (\d+)',
                             shadowed.ask("GET", "/metrics")[1].decode())
    say(f"requests a second, median of {ROUNDS}: without shadow; with it", f"{without:,.0f}; {beside:,.0f} ({beside / without:.2f})")
    counts = collections.Counter()
    for result, number in counted:
        counts[result] += int(number)
    total = max(1, sum(counts.values()))
    say("what the shadow counted", ", ".join(f"{result} {number / total:.1%}" for result, number in counts.items()))


def replay(place, arguments):
    repository = Set(place / "replayed", arguments.policies)
    base = repository.git("rev-parse", "HEAD")
    head = change_ten_policies(repository)
    draw = random.Random(3)
    for share in [1, 10, 100]:
        distinct = arguments.rows * share // 100
        log = place / f"log-{share}.jsonl"
        with log.open("w") as out:
            for row in range(arguments.rows):
                number = row if share == 100 else draw.randrange(distinct)
                context = repository.contexts[number % len(repository.contexts)]
                out.write(json.dumps({
                    "time": "2026-11-28T03:14:15Z", "by": "resolve", "set": "production", "commit": base, "policies": [],
                    "guardrails": [], "unknown": [], "team": context.get("team_alias"), "key": f"k-{number}",
                    "user": None, "tags": context.get("tags", []), "model": context.get("model"), "tool": None}) + "\n")
        start = time.perf_counter()
        told = sh(harness.REFGUARD, "-C", repository.path, "replay", log, base, head, "--format", "json")
        took = time.perf_counter() - start
        rows = json.loads(told)
        say(f"replay, {arguments.rows:,} rows, {share} % distinct, {arguments.policies:,} policies",
            f"{arguments.rows / took:,.0f} rows/s ({took:.1f} s, {rows['rows']:,} read)")
        log.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--followers", type=int, default=2_000)
    parser.add_argument("--policies", type=int, default=10_000, help="of the set that is replayed")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of each log")
    parser.add_argument("--seconds", type=int, default=10, help="of each run of wrk")
    harness.take_program(parser)
    arguments = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with harness.scratch_folder(arguments.refguard) as place:
        follow(place, arguments)
        shadow(place, arguments)
        replay(place, arguments)


if __name__ == "__main__":
    main()
