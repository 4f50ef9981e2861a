"""What the daemon is told, and that a report that fails disturbs nothing."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from refguard_litellm import report as module
from refguard_litellm.client import Client, DaemonAway
from refguard_litellm.report import Report, Reporter, client_id, fit
from refguard_litellm.settings import Settings

CURRENT: Report = {
    "set": None,
    "commit": "c1",
    "instant": None,
    "state": "current",
    "reason": None,
    "guardrails": [{"name": "a", "modes": ["pre_call"]}],
}


class Desk:
    """A daemon whose answers are given by the test."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[Report] = asyncio.Queue()
        self.answers: asyncio.Queue[Report | Exception | None] = asyncio.Queue()
        self.left: list[str] = []
        self.farewell: Exception | None = None

    async def report(self, client_id: str, report: Report) -> Report | None:
        self.came.put_nowait(report)
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def leave(self, client_id: str) -> None:
        self.left.append(client_id)
        if self.farewell is not None:
            raise self.farewell


class World:
    """A reporter, and what is around it."""

    def __init__(self) -> None:
        self.now: Report = CURRENT
        self.desk = Desk()
        self.heard: list[Report | None] = []
        self.troubles: list[str] = []
        self.reporter = Reporter(lambda: self.now, self.heard.append, self.troubles.append)


def run(story: Callable[[World], Awaitable[None]]) -> World:
    async def whole() -> World:
        world = World()
        running = asyncio.create_task(world.reporter.run(world.desk))
        try:
            await asyncio.wait_for(story(world), 30)
        finally:
            world.desk.answers.put_nowait(None)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return world

    return asyncio.run(whole())


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_change_is_told_at_once_and_what_is_known_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPORT_SECONDS", 3600.0)

    async def story(world: World) -> None:
        assert await world.desk.came.get() == CURRENT
        world.desk.answers.put_nowait({"set": {}})
        await settle()
        world.reporter.notice()
        await settle()
        assert world.desk.came.empty()
        world.now = {**CURRENT, "commit": "c2"}
        world.reporter.notice()
        assert (await world.desk.came.get())["commit"] == "c2"
        world.desk.answers.put_nowait(None)
        await settle()
        assert world.heard == [{"set": {}}, None]

    run(story)


def test_the_same_is_told_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPORT_SECONDS", 0.0)

    async def story(world: World) -> None:
        for _ in range(5):
            assert await world.desk.came.get() == CURRENT
            world.desk.answers.put_nowait(None)

    run(story)


@pytest.mark.parametrize("error", [DaemonAway("the daemon answers 429"), RuntimeError("a bug")])
def test_a_report_that_fails_is_sent_again(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(module, "REPORT_SECONDS", 0.0)

    async def story(world: World) -> None:
        await world.desk.came.get()
        world.desk.answers.put_nowait(error)
        assert await world.desk.came.get() == CURRENT
        assert str(error) in world.troubles[0]

    run(story)


def test_a_daemon_that_was_away_is_told_as_soon_as_the_follower_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPORT_SECONDS", 3600.0)

    async def story(world: World) -> None:
        await world.desk.came.get()
        world.desk.answers.put_nowait(DaemonAway("connection refused"))
        await settle()
        # Nothing has changed here, but the daemon that was restarted knows nothing of it.
        world.reporter.notice()
        assert await world.desk.came.get() == CURRENT

    run(story)


def test_a_report_fits_into_what_the_daemon_takes() -> None:
    assert fit(CURRENT) == CURRENT
    many = [{"name": f"guardrail-{number:05}", "modes": ["pre_call", "post_call"]} for number in range(5_000)]
    cut = fit({**CURRENT, "reason": "x" * 100_000, "guardrails": many})
    assert len(json.dumps(cut).encode()) < 64 << 10
    assert 0 < len(cut["guardrails"]) < len(many)
    assert cut["reason"].endswith("…")


def test_an_id_is_of_one_worker_and_can_stand_in_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "gäteway/1 " + "x" * 200)
    first, second = client_id(), client_id()
    assert first != second
    assert first.startswith("g-teway-1-xx") and len(first) <= 128


def test_how_the_daemon_takes_a_report() -> None:
    def ask(answer: httpx.Response | Exception) -> Any:
        def handle(request: httpx.Request) -> httpx.Response:
            assert (request.method, request.url.path) == ("PUT", "/v1/clients/gateway.1")
            assert request.headers["authorization"] == "Bearer s3cret"
            assert json.loads(request.content) == CURRENT
            if isinstance(answer, Exception):
                raise answer
            return answer

        async def put() -> Report | None:
            async with Client(Settings(token="s3cret"), httpx.MockTransport(handle)) as client:
                return await client.report("gateway.1", CURRENT)

        return asyncio.run(put())

    assert ask(httpx.Response(200, json={"version": 1, "set": {"behind": False}})) == {
        "version": 1,
        "set": {"behind": False},
    }
    # A daemon that takes no reports yet.
    assert ask(httpx.Response(404)) is None
    assert ask(httpx.Response(405)) is None
    assert ask(httpx.Response(200, json=[])) is None
    for answer in (httpx.Response(403), httpx.Response(200, content=b"{"), httpx.ConnectError("refused")):
        with pytest.raises(DaemonAway):
            ask(answer)


@pytest.mark.parametrize("error", [None, DaemonAway("connection refused")])
def test_a_worker_that_ends_says_so_and_ends_all_the_same(error: Exception | None) -> None:
    async def story(world: World) -> None:
        world.desk.farewell = error
        await world.desk.came.get()

    world = run(story)
    assert world.desk.left == [world.reporter.client_id]
