"""Realtime sessions of a real proxy: a guardrail that a policy wants sees each message, or none passes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.sync.connection import Connection
from websockets.sync.server import Server, ServerConnection, serve

from support import Daemon, Proxy, Repository, losing_guards

pytestmark = pytest.mark.skipif(
    not os.environ.get("REFGUARD_BIN"), reason="REFGUARD_BIN does not name the refguard program"
)

# `mark-a` reads the messages of a realtime session, `mark-b` only whole requests. A call says which one is lost.
GUARDS = losing_guards(
    """

class Guard(CustomGuardrail):
    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        self.judge(str(data.get("messages")) + str(data.get("input")))
        return data

    def judge(self, text):
        if f"block {self.guardrail_name}" in text:
            raise HTTPException(status_code=400, detail={"error": f"blocked by {self.guardrail_name}"})


class Reader(Guard):
    async def apply_guardrail(self, inputs, request_data, input_type, logging_obj=None):
        self.judge(" ".join(inputs.get("texts") or []))
        return inputs
"""
)


@dataclass
class Upstream:
    """A provider of realtime sessions, which remembers what it was told."""

    server: Server
    told: list[Any] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.socket.getsockname()[1]}"


def start_upstream() -> Upstream:
    told: list[Any] = []

    def answer(socket: ServerConnection) -> None:
        session = {"id": "s", "object": "realtime.session", "model": "m"}
        socket.send(json.dumps({"type": "session.created", "event_id": "e", "session": session}))
        for message in socket:
            event = json.loads(message)
            told.append(event)
            if event["type"] == "conversation.item.create":
                socket.send(json.dumps({"type": "conversation.item.added", "event_id": "e", "item": event["item"]}))

    server = serve(answer, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return Upstream(server, told)


@dataclass
class World:
    upstream: Upstream
    repository: Repository
    proxy: Proxy
    lossy: Proxy
    waiting: Proxy
    """Its daemon was never there."""

    def give(self, guardrail: str) -> None:
        """Has a policy give a guardrail to every call."""
        self.proxy.until_running(self.repository.promote({"base": guardrail}))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("sockets")
    repository, upstream = Repository(folder / "repository"), start_upstream()
    repository.promote({"base": "mark-a"})
    daemon = Daemon(repository, "127.0.0.1:0")

    def proxy(name: str, url: str) -> Proxy:
        return Proxy(
            folder / name,
            {"REFGUARD_URL": url},
            environment={"UPSTREAM": upstream.url},
            callbacks=("guards.switch", "refguard_litellm.proxy.callback"),
            files={"guards.py": GUARDS},
            classes={"mark-a": "Reader"},
        )

    made = World(
        upstream,
        repository,
        proxy("proxy", daemon.url),
        proxy("lossy", daemon.url),
        proxy("waiting", "http://127.0.0.1:1"),
    )
    try:
        made.proxy.until_alive()
        made.lossy.until_alive()
        made.waiting.until_alive()
        yield made
    finally:
        for process in (made.proxy, made.lossy, made.waiting, daemon):
            process.kill()
        upstream.server.shutdown()


def say(socket: Connection, text: str) -> Any:
    """What comes back for a typed message: that it was taken, or an error."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    while True:
        event = json.loads(socket.recv(timeout=60))
        if event["type"] in ("error", "conversation.item.added", "conversation.item.created"):
            return event


def was_told(world: World, text: str) -> bool:
    return any(text in json.dumps(event) for event in world.upstream.told)


def test_a_typed_message_of_a_realtime_session_is_seen(world: World) -> None:
    world.give("mark-a")
    with world.proxy.open_socket("/v1/realtime?model=m") as socket:
        assert say(socket, "hello")["type"] != "error"
        refused = say(socket, "block mark-a, one")
        assert (refused["type"], "blocked by mark-a" in json.dumps(refused)) == ("error", True), refused
    assert was_told(world, "hello") and not was_told(world, "block mark-a, one")


def test_a_guardrail_that_cannot_see_its_messages_ends_the_opening(world: World) -> None:
    world.give("mark-b")
    with world.proxy.open_socket("/v1/realtime?model=m") as socket:
        refused = json.loads(socket.recv(timeout=60))
        assert (refused["type"], "policies want mark-b" in json.dumps(refused)) == ("error", True), refused


def test_without_a_set_no_session_opens(world: World) -> None:
    with world.waiting.open_socket("/v1/realtime?model=m") as socket:
        refused = json.loads(socket.recv(timeout=60))
        said = json.dumps(refused)
        assert (refused["type"], "no policy set has been loaded yet" in said) == ("error", True), refused


def test_a_guardrail_that_is_lost_meanwhile_lets_no_message_pass(world: World) -> None:
    """In a proxy of its own, which stays without it."""
    world.give("mark-a")
    world.lossy.until_running(world.repository.git("rev-parse", "HEAD"))
    with world.lossy.open_socket("/v1/realtime?model=m") as socket:
        assert say(socket, "hello there")["type"] != "error"
        world.lossy.complete("lose mark-a")
        refused = say(socket, "block mark-a, two")
        assert "this proxy has lost the guardrail mark-a" in json.dumps(refused), refused
    assert was_told(world, "hello there") and not was_told(world, "block mark-a, two")
