"""The decision log: whole lines, as its schema says, that hold up nobody."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from litellm.types.proxy.policy_engine import PolicyMatchContext

from refguard_litellm.bundle import build
from refguard_litellm.decisions import DecisionLog, Matching
from refguard_litellm.line_log import LineLog
from refguard_litellm.settings import Settings
from sets import bundle
from support import until

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "decision-log.schema.json").read_text())


def judged(line: str) -> Any:
    """A line as JSON, if it is one by the schema."""
    found = json.loads(line)
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    return found


class Written(LineLog):
    """Keeps the lines."""

    def __init__(self) -> None:
        super().__init__("-", lambda error: None)
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        self.lines.append(line)


def told(settings: Settings, *matchings: Matching, applied: object = ("b-policy", "a-policy", "other")) -> list[Any]:
    log = Written()
    decisions = DecisionLog(settings, log)
    for matching in matchings:
        decisions.tell(matching, applied)
    return [judged(line) for line in log.lines]


def matching(**context: Any) -> Matching:
    return Matching(build(bundle("c1", "a", "b")), PolicyMatchContext(**context))


def test_a_line_says_what_a_call_got() -> None:
    call = matching(team_alias="t", key_alias="k", model="m", tags=["y", "x", "y"])
    (line,) = told(Settings(set_name="production"), call, call)
    time = line.pop("time")
    assert time.endswith("Z")
    assert line == {
        "by": "litellm",
        "set": "production",
        "commit": "c1",
        "policies": ["b-policy", "a-policy"],
        "guardrails": ["a", "b"],
        "unknown": ["other"],
        "team": "t",
        "key": "k",
        "user": None,
        "tags": ["y", "x"],
        "model": "m",
        "tool": None,
    }


@pytest.mark.parametrize("applied", [None, [], "a-policy", [{}]])
def test_a_call_that_got_nothing_is_told_too(applied: object) -> None:
    (line,) = told(Settings(), matching(), applied=applied)
    assert (line["policies"], line["guardrails"], line["set"], line["team"]) == ([], [], None, None)


def test_one_of_so_many_is_told_and_keys_may_be_hashed() -> None:
    settings = Settings(decision_sample=3, decision_hash_keys=True)
    lines = told(settings, *(matching(key_alias=f"k{number}") for number in range(7)))
    hashed = [f"sha256:{hashlib.sha256(key).hexdigest()}" for key in (b"k0", b"k3", b"k6")]
    assert [line["key"] for line in lines] == hashed
    assert told(settings, matching())[0]["key"] is None


def test_lines_of_many_threads_stay_whole_and_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path, old = tmp_path / "log", tmp_path / "log.1"
    # As two workers: each has the file open for itself.
    logs = [LineLog(str(path), lambda error: None) for _ in range(2)]

    def write(log: LineLog, first: int) -> None:
        for number in range(first, first + 500):
            log.write(f"{number} {'x' * 200}")

    threads = [threading.Thread(target=write, args=(log, n * 500)) for n, log in enumerate(logs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for log in logs:
        log.flush()
    assert sorted(int(line.removesuffix(" " + "x" * 200)) for line in path.read_text().splitlines()) == [*range(1000)]

    path.rename(old)
    logs[0].write("new")
    logs[0].flush()
    assert path.read_text() == "new\n"
    assert logs[0].status() == {"log": str(path), "lost": 0, "error": None}


def test_what_cannot_be_written_is_counted_and_told_once(tmp_path: Path) -> None:
    errors: list[str] = []
    log = LineLog("/dev/full", errors.append)
    for _ in range(3):
        log.write("line")
        log.flush()
    assert log.status()["lost"] == 3
    assert errors == ["decisions are lost: cannot write `/dev/full`: No space left on device"]

    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    log = LineLog(str(fifo), errors.append)
    log.write("nobody reads this")
    log.flush()
    assert log.status()["lost"] == 1
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log.write("but this")
    log.flush()
    assert os.read(reader, 100) == b"but this\n"
    assert log.status()["error"] is None
    os.close(reader)


def test_a_thread_that_is_behind_loses_lines_and_holds_up_nobody(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log = LineLog(str(fifo), lambda error: None)
    for _ in range(30_000):
        log.write("x" * 100)
    # The pipe and the queue are full, and the thread waits for who reads.
    lost = log.status()["lost"]
    assert 0 < lost < 30_000
    seen = 0

    def drained() -> bool:
        nonlocal seen
        try:
            seen += os.read(reader, 1 << 20).count(b"\n")
        except BlockingIOError:
            return False
        return bool(seen == 30_000 - lost)

    until("all that was not lost is read", drained)
    os.close(reader)
