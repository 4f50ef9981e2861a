"""Each kind of endpoint of a real proxy: whether the guardrail of a policy runs there, and what happens without a set.

The table of README.md says the same. Models and pass-through targets are a server of this test.
"""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from support import Answering, Daemon, Proxy, Reply, Repository

pytestmark = pytest.mark.skipif(
    not os.environ.get("REFGUARD_BIN"), reason="REFGUARD_BIN does not name the refguard program"
)

TEXT = "block mark-a"
MESSAGES = [{"role": "user", "content": TEXT}]
CHAT = {"model": "m", "messages": MESSAGES}

GUARDED: dict[str, Any] = {
    "/v1/chat/completions": CHAT,
    "/v1/chat/completions?stream": {**CHAT, "stream": True},
    "/v1/completions": {"model": "m", "prompt": TEXT},
    "/v1/embeddings": {"model": "m", "input": TEXT},
    "/v1/responses": {"model": "m", "input": TEXT},
    "/v1/messages": {**CHAT, "max_tokens": 9},
    "/v1/moderations": {"model": "m", "input": TEXT},
    "/v1/images/generations": {"model": "m", "prompt": TEXT},
    "/v1/audio/speech": {"model": "m", "input": TEXT, "voice": "alloy"},
    "/v1/rerank": {"model": "m", "query": TEXT, "documents": ["a"]},
    "/v1beta/models/m:generateContent": {"contents": [{"parts": [{"text": TEXT}]}]},
}
# LiteLLM runs no policy's guardrail there: only those that the endpoint's own config names.
PASSED: dict[str, Any] = {"/through": CHAT, "/openai/v1/chat/completions": CHAT}


class Upstream(http.server.ThreadingHTTPServer):
    """A provider that answers everything alike, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Answer(Answering):
    server: Upstream

    def do_POST(self) -> None:
        self.server.asked.append(self.asked().decode(errors="replace"))
        file = {"id": "file-1", "object": "file", "bytes": 1, "created_at": 1, "filename": "f", "purpose": "batch"}
        self.reply(200, json.dumps({**file, "status": "processed"}).encode())


@dataclass
class World:
    upstream: Upstream
    guarded: Proxy
    """Follows a set whose one policy gives `mark-a` to every call."""
    waiting: Proxy
    """Its daemon was never there."""

    def reached(self, reply: Reply) -> bool:
        """Whether the upstream was asked, since this was looked at last, and what it was asked held the text."""
        asked, self.upstream.asked[:] = list(self.upstream.asked), []
        return any(TEXT in body for body in asked)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("endpoints")
    upstream, repository = Upstream(), Repository(folder / "repository")
    commit = repository.promote({"base": "mark-a"})
    daemon = Daemon(repository, "127.0.0.1:0")
    config = (
        "files_settings: [{custom_llm_provider: openai, api_key: none}]\n"
        "general_settings:\n  pass_through_endpoints:\n"
        f"    - {{path: /through, target: {upstream.url}/v1, headers: {{content-type: application/json}}}}\n"
    )
    provider = {"OPENAI_API_BASE": upstream.url, "OPENAI_BASE_URL": upstream.url, "OPENAI_API_KEY": "none"}

    def proxy(name: str, url: str) -> Proxy:
        return Proxy(folder / name, {"REFGUARD_URL": url}, environment=provider, config=config)

    made = World(upstream, proxy("guarded", daemon.url), proxy("waiting", "http://127.0.0.1:1"))
    try:
        made.guarded.until_alive()
        made.waiting.until_alive()
        made.guarded.until_running(commit)
        yield made
    finally:
        for process in (made.guarded, made.waiting, daemon):
            process.kill()
        upstream.shutdown()
        upstream.server_close()


@pytest.mark.parametrize("path", GUARDED)
def test_a_policys_guardrail_runs(world: World, path: str) -> None:
    reply = world.guarded.post(path.partition("?")[0], GUARDED[path])
    assert (reply.status, "blocked by mark-a" in reply.body, world.reached(reply)) == (400, True, False), reply


@pytest.mark.parametrize("path", [*GUARDED, *PASSED])
def test_without_a_set_nothing_passes(world: World, path: str) -> None:
    reply = world.waiting.post(path.partition("?")[0], (GUARDED | PASSED)[path])
    refused = "refguard: no policy set has been loaded yet" in reply.body
    assert (reply.status, refused, world.reached(reply)) == (503, True, False), reply


@pytest.mark.parametrize("path", PASSED)
def test_a_pass_through_endpoint_runs_no_policys_guardrail(world: World, path: str) -> None:
    reply = world.guarded.post(path, PASSED[path])
    assert (reply.status, world.reached(reply)) == (200, True), reply


def test_the_requests_in_a_batchs_file_are_guarded(world: World) -> None:
    line = json.dumps({"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": CHAT})
    reply = world.guarded.upload("batch.jsonl", line)
    assert (reply.status, "blocked by a guardrail" in reply.body, world.reached(reply)) == (400, True, False), reply
    # A file without such a request is taken.
    assert world.guarded.upload("batch.jsonl", line.replace(TEXT, "hello")).status == 200
    reply = world.waiting.upload("batch.jsonl", line.replace(TEXT, "hello"))
    assert (reply.status, "no policy set has been loaded yet" in reply.body) == (503, True), reply
