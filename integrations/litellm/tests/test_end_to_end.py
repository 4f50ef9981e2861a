"""The real daemon over a real repository, and real LiteLLM proxies that follow it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from refguard_litellm.bundle import build
from sets import bundle
from support import Daemon, Proxy, Repository, ask_daemon, clean_environment, free_port, until
from test_decisions import judged

pytestmark = pytest.mark.skipif(
    not os.environ.get("REFGUARD_BIN"), reason="REFGUARD_BIN does not name the refguard program"
)

EXAMPLE = Path(__file__).parents[3] / "policies-example"

Cleaning = Callable[[Any], Any]


@pytest.fixture
def ending() -> Iterator[Cleaning]:
    """What is given here is killed at the end, whatever happens."""
    running: list[Any] = []

    def keep(process: Any) -> Any:
        running.append(process)
        return process

    yield keep
    for process in running:
        process.kill()


@pytest.mark.parametrize("engine", [pytest.param("refguard", marks=pytest.mark.extension), "litellm"])
def test_a_proxy_follows_the_daemon_through_its_life(tmp_path: Path, ending: Cleaning, engine: str) -> None:
    repository = Repository(tmp_path / "repository")
    first = repository.promote({"base": "mark-a"})
    address = f"127.0.0.1:{free_port()}"

    # No daemon at the beginning: nothing passes.
    settings = {"REFGUARD_URL": f"http://{address}", "REFGUARD_RETRY_MAX": "0.5", "REFGUARD_ENGINE": engine}
    proxy: Proxy = ending(Proxy(tmp_path / "proxy", settings))
    proxy.until_alive()
    refused = proxy.complete()
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert "no policy set has been loaded yet" in refused.body
    assert "x-refguard-commit" not in refused.headers
    assert proxy.get("/refguard/readyz", key=None).status == 503
    status = proxy.until_status("it knows that the daemon is away", lambda status: status["state"] == "away")
    assert (status["serving"], status["commit"], status["engine"]["name"]) == (False, None, engine)
    assert proxy.get("/refguard/status", key="sk-another").status != 200

    # The daemon comes: calls work, and are guarded.
    daemon: Daemon = ending(Daemon(repository, address))
    reply = proxy.until_running(first)
    assert reply.status == 200
    assert reply.listed("x-litellm-applied-guardrails") == {"mark-a"}
    assert reply.listed("x-litellm-applied-policies") == {"base"}
    assert "x-refguard-state" not in reply.headers
    assert proxy.get("/refguard/readyz", key=None).json() == {"ready": True, "state": "current"}
    assert proxy.complete("block mark-b").status == 200

    # A change is promoted: without a restart, the next calls are guarded by it.
    second = repository.promote({"base": "mark-a", "more": "mark-b"})
    reply = proxy.until_running(second)
    assert reply.listed("x-litellm-applied-guardrails") == {"mark-a", "mark-b"}
    assert reply.listed("x-litellm-applied-policies") == {"base", "more"}
    blocked = proxy.complete("block mark-b")
    assert (blocked.status, blocked.headers["x-refguard-commit"]) == (400, second)
    streamed = proxy.complete(stream=True)
    assert (streamed.status, streamed.headers["x-refguard-commit"]) == (200, second)
    assert streamed.listed("x-litellm-applied-guardrails") == {"mark-a", "mark-b"}

    # A set that this proxy cannot enforce: the last good one stays, and it says so.
    third = repository.promote({"base": "mark-c"})
    status = proxy.until_status("it has rejected the set", lambda status: status["rejected"])
    assert (status["commit"], status["rejected"]["commit"], status["serving"]) == (second, third, True)
    assert "`mark-c`" in status["rejected"]["reason"]
    reply = proxy.complete()
    assert (reply.headers["x-refguard-commit"], reply.headers["x-refguard-state"]) == (second, "rejected")

    # The daemon dies: the last good one stays.
    fourth = repository.promote({"other": "mark-b"})
    assert proxy.until_running(fourth).listed("x-litellm-applied-policies") == {"other"}
    daemon.kill()
    status = proxy.until_status("it knows that the daemon is gone", lambda status: status["state"] == "away")
    assert (status["commit"], status["serving"]) == (fourth, True)
    reply = proxy.complete()
    assert (reply.status, reply.headers["x-refguard-commit"], reply.headers["x-refguard-state"]) == (
        200,
        fourth,
        "away",
    )
    assert reply.listed("x-litellm-applied-guardrails") == {"mark-b"}
    assert proxy.complete("block mark-b").status == 400

    # It comes back with a newer set.
    fifth = repository.promote({"base": "mark-a"})
    ending(Daemon(repository, address))
    assert proxy.until_running(fifth).listed("x-litellm-applied-guardrails") == {"mark-a"}

    # The end of the proxy does not wait for the end of its long poll, and leaves nothing behind.
    began = time.monotonic()
    proxy.end()
    assert time.monotonic() - began < 25, "the long poll was waited for"
    log = proxy.log.read_text()
    assert "Task was destroyed" not in log and "never awaited" not in log, proxy.tail()
    for said in (
        f"refguard: running commit {second} (2 policies, 2 attachments, 2 guardrails)",
        f"refguard: commit {third} is not enforced",
        f"commit {fourth} keeps running",
        "refguard: the daemon is back",
    ):
        assert said in log, proxy.tail()


@pytest.mark.extension
def test_what_ends_is_over_for_the_proxy_and_the_daemon_at_one_instant(tmp_path: Path, ending: Cleaning) -> None:
    repository = Repository(tmp_path / "repository")
    first = repository.promote({"base": "mark-a"})
    address = f"127.0.0.1:{free_port()}"
    ending(Daemon(repository, address))
    settings = {"REFGUARD_URL": f"http://{address}", "REFGUARD_ENGINE": "refguard"}
    proxy: Proxy = ending(Proxy(tmp_path / "proxy", settings))
    proxy.until_alive()
    proxy.until_running(first)

    # Two end at one instant, after the proxy has enforced them.
    end = datetime.fromtimestamp(int(time.time()) + 15, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    ends = {"pilot": end, "trial": end}
    second = repository.promote({"base": "mark-a", "pilot": "mark-b", "trial": "mark-b"}, ends)
    assert proxy.until_running(second).listed("x-litellm-applied-guardrails") == {"mark-a", "mark-b"}

    def told() -> dict[str, Any]:
        first: dict[str, Any] = ask_daemon(address, "/v1/status")["sets"][0]
        return first

    status = proxy.until_status("it runs", lambda status: status["commit"] == second)
    assert status["valid_until"] == told()["valid_until"] == end

    # What a call gets, by the clock that both have: never the one without the other.
    until("it has ended", lambda: datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") >= end)
    reply = proxy.complete()
    assert reply.listed("x-litellm-applied-guardrails") == {"mark-a"}
    assert (reply.headers["x-refguard-commit"], proxy.complete("block mark-b").status) == (second, 200)
    status = proxy.until_status("nothing ends any more", lambda status: status["valid_until"] is None)
    assert (told()["commit"], told()["instant"], told()["valid_until"]) == (second, end, None)

    def reported() -> bool:
        (client,) = ask_daemon(address, "/v1/clients")["clients"]
        return bool(client["instant"] == end and client["commit"] == second and client["state"] == "current")

    until("the daemon knows that the proxy enforces the same instant", reported)


def test_every_worker_follows_by_itself_over_a_socket_with_a_token(tmp_path: Path, ending: Cleaning) -> None:
    repository = Repository(tmp_path / "repository")
    first = repository.promote({"base": "mark-a"})
    hashes, token = tmp_path / "tokens", tmp_path / "token"
    hashes.write_text(hashlib.sha256(b"s3cret").hexdigest() + "\n")
    token.write_text("wrong\n")
    daemon: Daemon = ending(Daemon(repository, f"unix:{tmp_path}/refguard.sock", "--tokens", str(hashes)))
    settings = {"REFGUARD_URL": daemon.url, "REFGUARD_TOKEN_FILE": str(token), "REFGUARD_SET": "production"}
    proxy: Proxy = ending(Proxy(tmp_path / "proxy", {**settings, "REFGUARD_RETRY_MAX": "0.5"}, workers=2))
    proxy.until_alive()

    workers: dict[int, Any] = {}

    def both(wanted: Callable[[Any], bool]) -> Callable[[], bool]:
        def look() -> bool:
            seen = proxy.get("/refguard/status").json()
            workers[seen["worker"]] = seen
            return len(workers) == 2 and all(wanted(status) for status in workers.values())

        return look

    # After many wrong tokens the daemon answers them 429.
    refused = ("401", "429")
    until(
        "both workers are refused",
        both(lambda status: any(code in (status["daemon"]["error"] or "") for code in refused)),
    )
    assert proxy.complete().status == 503
    # The right token is put there: nothing has to be restarted.
    token.write_text("s3cret\n")
    until("both workers run the first set", both(lambda status: status["commit"] == first))
    second = repository.promote({"base": "mark-b"})
    until("both workers run the second set", both(lambda status: status["commit"] == second))
    assert proxy.complete().listed("x-litellm-applied-guardrails") == {"mark-b"}


def test_a_daemon_that_restarts_is_found_again_and_knows_its_clients(tmp_path: Path, ending: Cleaning) -> None:
    repository = Repository(tmp_path / "repository")
    first = repository.promote({"base": "mark-a"})
    address = f"127.0.0.1:{free_port()}"
    daemon: Daemon = ending(Daemon(repository, address))
    # A question that the restarted daemon held would leave the proxy `away` for a minute.
    settings = {"REFGUARD_URL": f"http://{address}", "REFGUARD_WAIT": "60", "REFGUARD_MAX_STALENESS": "65"}
    proxy: Proxy = ending(Proxy(tmp_path / "proxy", settings))
    proxy.until_alive()
    proxy.until_running(first)
    client = until("the proxy is known", lambda: reported(address, lambda client: client["commit"] == first))
    assert (client["set"], client["state"], client["instant"]) == ("production", "current", None)
    assert client["guardrails"] == [{"name": name, "modes": ["pre_call"]} for name in ("mark-a", "mark-b")]
    assert client["id"] == proxy.get("/refguard/status").json()["daemon"]["client"]

    # It restarts with nothing new: the proxy is `current` long before a parked question would have ended.
    daemon.kill()
    proxy.until_status("it knows that the daemon is gone", lambda status: status["state"] == "away")
    ending(Daemon(repository, address))
    until("it is found", lambda: proxy.get("/refguard/status").json()["state"] == "current", patience=30)
    reply = proxy.complete()
    assert (reply.status, reply.headers["x-refguard-commit"]) == (200, first)
    assert "x-refguard-state" not in reply.headers
    # The restarted daemon had forgotten its clients.
    again = until("the proxy is known again", lambda: reported(address, lambda client: client["state"] == "current"))
    assert again["id"] == client["id"]

    # A set that this proxy cannot run is told with the reason.
    repository.promote({"base": "mark-c"})
    told = until("it is told", lambda: reported(address, lambda client: client["state"] == "rejected"))
    assert (told["commit"], "`mark-c`" in told["reason"]) == (first, True)

    # A worker that ends takes its leave.
    proxy.end()
    until("it is gone", lambda: not ask_daemon(address, "/v1/clients")["clients"], patience=60)


def test_a_commit_that_the_daemon_holds_back_is_told(tmp_path: Path, ending: Cleaning) -> None:
    repository = Repository(tmp_path / "repository")
    first = repository.promote({"base": "mark-a"})
    daemon: Daemon = ending(Daemon(repository, "127.0.0.1:0"))
    proxy: Proxy = ending(Proxy(tmp_path / "proxy", {"REFGUARD_URL": daemon.url}))
    proxy.until_alive()
    proxy.until_running(first)

    # No validation stood in its way: the daemon rejects it, and serves the one before.
    second = repository.promote({"base": "mark-a], of: [nothing"})
    status = proxy.until_status("the daemon is behind", lambda status: status["state"] == "behind")
    assert (status["commit"], status["serving"], status["rejected"]) == (first, True, None)
    assert f"the daemon holds back commit {second}: " in status["held_back"]
    reply = proxy.complete()
    assert (reply.status, reply.headers["x-refguard-commit"], reply.headers["x-refguard-state"]) == (
        200,
        first,
        "behind",
    )
    assert proxy.get("/refguard/readyz", key=None).json() == {"ready": True, "state": "behind"}
    assert f"refguard: the daemon holds back commit {second}" in proxy.log.read_text(), proxy.tail()
    address = daemon.url.removeprefix("http://")
    told = until("the daemon hears of it", lambda: reported(address, lambda client: client["state"] == "behind"))
    assert (told["commit"], second in told["reason"]) == (first, True)

    third = repository.promote({"base": "mark-b"})
    assert proxy.until_running(third).listed("x-litellm-applied-guardrails") == {"mark-b"}
    status = proxy.until_status("nothing is held back", lambda status: status["state"] == "current")
    assert status["held_back"] is None


def reported(address: str, wanted: Callable[[Any], bool]) -> Any:
    """The one client of a daemon, if it is as wanted."""
    clients = ask_daemon(address, "/v1/clients")["clients"]
    return next(filter(wanted, clients), None)


def test_policies_in_the_config_are_a_conflict(tmp_path: Path, ending: Cleaning) -> None:
    repository = Repository(tmp_path / "repository")
    repository.promote({"base": "mark-a"})
    daemon: Daemon = ending(Daemon(repository, "127.0.0.1:0"))
    own = 'policies: {own: {guardrails: {add: [mark-b]}}}\npolicy_attachments: [{policy: own, scope: "*"}]\n'
    proxy: Proxy = ending(Proxy(tmp_path / "proxy", {"REFGUARD_URL": daemon.url}, config=own))
    proxy.until_alive()
    proxy.until_status("it has seen the daemon", lambda status: status["daemon"]["last_answer_at"])
    refused = proxy.complete()
    assert (refused.status, refused.headers["x-refguard-state"]) == (503, "refusing")
    assert "remove `policies`" in refused.body


def test_the_proxy_writes_the_same_decisions_as_the_daemon(tmp_path: Path, ending: Cleaning) -> None:
    repository = Repository(tmp_path / "repository")
    commit = repository.promote({"base": "mark-a", "more": "mark-b"})
    theirs, ours = tmp_path / "daemon.log", tmp_path / "proxy.log"
    daemon: Daemon = ending(Daemon(repository, "127.0.0.1:0", "--decision-log", str(theirs)))
    settings = {"REFGUARD_URL": daemon.url, "REFGUARD_SET": "production", "REFGUARD_DECISION_LOG": str(ours)}
    proxy: Proxy = ending(Proxy(tmp_path / "proxy", settings))
    proxy.until_alive()
    # Calls that are refused because there is no set are not decided: the first line is of the first call that was.
    proxy.until_running(commit)

    def lines(path: Path) -> list[Any]:
        return [judged(line) for line in path.read_text().splitlines()]

    before = len(until("the first call is written down", lambda: lines(ours)))
    assert proxy.complete("block mark-b", metadata={"tags": ["y", "x"]}).status == 400
    # The user of the master key, where policies are matched by users too.
    is_ours = proxy.get("/refguard/status").json()["engine"]["name"] == "refguard"
    user = "default_user_id" if is_ours else None
    request = {"context": {"model": "m", "tags": ["y", "x"], "user": user}}
    asked = urllib.request.Request(
        f"{daemon.url}/v1/resolve", data=json.dumps(request).encode(), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=30) as reply:
        assert reply.status == 200
    ours_last = until("the proxy's line is written", lambda: lines(ours)[before:])[-1]
    theirs_last = until("the daemon's line is written", lambda: lines(theirs))[-1]
    assert (ours_last.pop("by"), theirs_last.pop("by")) == ("litellm", "resolve")
    assert ours_last.pop("time") and theirs_last.pop("time")
    assert ours_last == theirs_last
    assert (ours_last["commit"], ours_last["guardrails"]) == (commit, ["mark-a", "mark-b"])
    assert proxy.get("/refguard/status").json()["decisions"] == {"log": str(ours), "lost": 0, "error": None}


def test_what_the_program_exports_is_taken_as_it_is() -> None:
    command = [os.environ["REFGUARD_BIN"], "-C", str(EXAMPLE), "export", "litellm"]
    done = subprocess.run(command, env=clean_environment(), check=True, capture_output=True, text=True)
    found = build(bundle("c", body=done.stdout))
    assert "pii_masker" in found.guardrails
    assert found.policies.has_policy("baseline")
    assert found.attachment_count > 0
