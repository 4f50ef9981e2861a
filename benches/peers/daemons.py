"""`refguard serve` beside Cerbos with its git storage driver: the same set, the same machine, one after the other.

Each follows the branch `production` of a repository of its own (Cerbos by `file://`), listens on loopback without TLS
and tokens, and keeps no log of decisions. Cerbos polls every second, so half of that is in what it takes to serve a new
commit; its audit log, telemetry and messages below warnings are off, schemas are not enforced (its default), everything
else is as it comes. It is asked over its HTTP API. What one request asks is not the same: refguard finds which of all
attachments meet a context and merges their policies, Cerbos evaluates the one policy that the request names, drawn by
lot, and mostly denies. refguard keeps answers for those who ask the same again, so there is also a run in which nobody
does.

Of the runs of `wrk` the best counts, of the reloads the median.

Two policies more, the pair, carry a number that one commit changes in both. An answer with two numbers, or with one
missing, is that of no commit: it is torn.
"""
import concurrent.futures
import json
import pathlib
import random
import shutil
import statistics
import sys
import threading
import time

import model

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from harness import Daemon, Repository, Server, free_port, post_anew, post_in_turns, wrk  # noqa: E402

PAIR = ("first", "second")
MOVES = 40
CLIENTS = 8
RUNS = 3
PAUSE = 0.25
NUMBERS = 100
SERVED_LIMIT = 60
TURNS = "32 connections, a thousand requests in turns"
ANEW = "each for the first time"


class Refguard:
    reloads = 20
    paths = {TURNS: "/v1/resolve", ANEW: "/v1/resolve", "guardrails only, in turns": "/v1/resolve?fields=guardrails"}

    def __init__(self, place, made):
        self.path = place / "refguard"
        model.write_refguard(made, str(self.path))
        self.repository = Repository(self.path)
        self.bodies = [{"context": context} for context in model.contexts(made, 1_000, 2)]
        both = {"context": {"team": "pair"}}
        each = {"requests": [{"context": {"team": f"pair-{half}"}} for half in PAIR]}
        self.questions = {
            " for one context": ("/v1/resolve", both, lambda answer: numbers(answer["guardrails"])),
            " for a batch of two": ("/v1/resolve", each, lambda answer: [
                n for one in answer["results"] for n in numbers(one["guardrails"])]),
        }

    def write(self, half, n):
        file = self.path / f"policies/{half[-2:]}/pair-{half}.yaml"
        file.write_text("apiVersion: refguard/v1\nkind: Policy\n"
                        f"name: pair-{half}\nguardrails:\n  add:\n    - {half}_{n}\n")

    def serve(self):
        return Daemon(self.repository)


class Cerbos:
    reloads = 5
    paths = {TURNS: "/api/check/resources"}

    def __init__(self, place, made, program):
        self.place, self.program, self.path = place, program, place / "cerbos"
        model.write_cerbos(made, str(self.path))
        for half in PAIR:
            self.write(half, 0)
        self.repository = Repository(self.path)
        dice = random.Random(3)
        kinds = [name.replace("-", "_") for name in made["policies"] if not name.startswith("pair-")]
        self.bodies = [asked([dice.choice(kinds)], context) for context in model.contexts(made, 1_000, 2)]
        pair = asked([f"pair_{half}" for half in PAIR], {"team_alias": "pair", "key_alias": "", "model": ""})
        self.questions = {" for two resources": ("/api/check/resources", pair, lambda answer: [
            output["val"] for result in answer["results"] for output in result.get("outputs", [])])}

    def write(self, half, n):
        (self.path / half[-2:] / f"pair-{half}.yaml").write_text(
            "apiVersion: api.cerbos.dev/v1\nresourcePolicy:\n  version: default\n"
            f"  resource: pair_{half}\n  rules:\n    - actions: ['apply']\n      effect: EFFECT_ALLOW\n"
            f"      roles: ['*']\n      output:\n        when:\n          ruleActivated: '{n}'\n")

    def serve(self):
        http, grpc = (f"127.0.0.1:{free_port()}" for _ in range(2))
        # JSON is YAML.
        config = self.place / "cerbos.yaml"
        config.write_text(json.dumps({
            "server": {"httpListenAddr": http, "grpcListenAddr": grpc},
            "audit": {"enabled": False},
            "telemetry": {"disabled": True},
            "storage": {"driver": "git", "git": {
                "protocol": "file", "url": f"file://{self.path}", "branch": "production",
                "checkoutDir": str(self.place / "checkout"), "updatePollInterval": "1s"}},
        }))
        return Server([self.program, "server", "--config", config, "--log-level", "warn"], http, "/_cerbos/health",
                      self.place / "cerbos.log")


def asked(kinds, context):
    attributes = {"team": context["team_alias"], "key": context["key_alias"], "model": context["model"],
                  "tags": context.get("tags", [])}
    return {"principal": {"id": "bench", "roles": ["user"]}, "resources": [
        {"actions": ["apply"], "resource": {"kind": kind, "id": "1", "attr": attributes}} for kind in kinds]}


def numbers(guardrails):
    return [int(name.split("_")[1]) for name in guardrails if name.startswith(PAIR)]


def with_pair(made):
    names = [f"{half}_{n}" for half in PAIR for n in range(NUMBERS)]
    made["catalog"]["guardrails"] += names
    made["catalog"]["teams"] += ["pair", *(f"pair-{half}" for half in PAIR), "pair-names"]
    for half in PAIR:
        made["policies"][f"pair-{half}"] = {"guardrails": {"add": [f"{half}_0"]}}
        made["attachments"].append({"policy": f"pair-{half}", "teams": ["pair", f"pair-{half}"]})
    # As most changes, one of the pair then adds what another policy has: a name that is new to a set is slower.
    made["policies"]["pair-names"] = {"guardrails": {"add": names}}
    made["attachments"].append({"policy": "pair-names", "teams": ["pair-names"]})


def change(peer, server, halves, n, pause):
    """Seconds from the ref's move to the first answer with the new number."""
    for half in halves:
        peer.write(half, n)
    commit = peer.repository.commit(f"number {n}")
    time.sleep(pause)
    path, body, read = next(iter(peer.questions.values()))
    # A connection of its own: one that was idle for long may be closed.
    connection, start = server.connect(), time.perf_counter()
    peer.repository.move(commit)
    while read(json.loads(server.ask("POST", path, json.dumps(body), connection)[1])).count(n) != len(halves):
        if time.perf_counter() > start + SERVED_LIMIT:
            sys.exit("the new commit is not served")
        time.sleep(0.0003)
    return time.perf_counter() - start


def reloads(peer, server, halves, first):
    """The median of some; the ref moves anywhere between two polls."""
    dice = random.Random(4)
    took = [change(peer, server, halves, n, dice.random()) for n in range(first, first + peer.reloads)]
    return f"{duration(statistics.median(took))} (of {peer.reloads})"


def torn(peer, server, first):
    """Torn answers and all answers to each question, while a commit after the other changes both of the pair."""
    change(peer, server, PAIR, first, 0)
    stop = threading.Event()
    names = list(peer.questions)
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        clients = [(names[i % len(names)], pool.submit(client, server, peer.questions[names[i % len(names)]], stop))
                   for i in range(CLIENTS)]
        try:
            for n in range(first + 1, first + 1 + MOVES):
                change(peer, server, PAIR, n, PAUSE)
        finally:
            stop.set()
    counts = {name: [0, 0] for name in names}
    for name, done in clients:
        counts[name] = [old + new for old, new in zip(counts[name], done.result())]
    return counts


def client(server, question, stop):
    path, body, read = question
    body, connection, bad, every = json.dumps(body), server.connect(), 0, 0
    while not stop.is_set():
        found = read(json.loads(server.ask("POST", path, body, connection)[1]))
        bad += len(found) != 2 or found[0] != found[1]
        every += 1
    return bad, every


def measure(peer, script, seconds):
    """The column of this peer, by row."""
    column = {}
    with peer.serve() as server:
        column["first start to ready"] = duration(server.took)
    with peer.serve() as server:
        column["start again to ready"] = duration(server.took)
        column["resident after that"] = f"{server.resident():.0f} MB"
        column["ref moved to new answer, one file changed"] = reloads(peer, server, PAIR[:1], 1)
        column["the same, two files changed"] = reloads(peer, server, PAIR, 1 + peer.reloads)
        if shutil.which("wrk"):
            for what, path in peer.paths.items():
                post_anew(script, peer.bodies) if what == ANEW else post_in_turns(script, peer.bodies)
                rate, p99 = max(wrk(f"http://{server.address}{path}", seconds, script) for _ in range(RUNS))
                column[what] = f"{rate:,.0f}/s, p99 {p99:.1f} ms"
        column["resident after the load"] = f"{server.resident():.0f} MB"
        column[f"torn answers while the ref moves {MOVES} times"] = ", ".join(
            f"{bad:,} of {every:,}{what}" for what, (bad, every) in torn(peer, server, 1 + 2 * peer.reloads).items())
    return column


def duration(seconds):
    return f"{seconds:.1f} s" if seconds >= 10 else f"{seconds:.2f} s" if seconds >= 0.5 else f"{seconds * 1000:.0f} ms"


def compare(place, program, made, seconds):
    """A table: its title, its header, its rows."""
    shutil.rmtree(place, ignore_errors=True)
    title = f"Serving {len(made['policies']):,} policies with {len(made['attachments']):,} attachments from git"
    if not shutil.which("wrk"):
        title += " (wrk is not installed: no requests a second)"
    with_pair(made)
    ours = measure(Refguard(place, made), place / "bodies.lua", seconds)
    theirs = measure(Cerbos(place, made, program), place / "bodies.lua", seconds)
    rows = [[what, ours.get(what, "-"), theirs.get(what, "-")] for what in {**ours, **theirs}]
    return title, ["", "refguard serve", "Cerbos 0.55.0, git driver"], rows
