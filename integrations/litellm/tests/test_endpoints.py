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

# What is sent as a form with files, in the place of JSON.
FORM: dict[str, Any] = {"model": "m", "prompt": TEXT, "name": TEXT}

GUARDED: dict[str, Any] = {
    "/v1/chat/completions": CHAT,
    "/v1/chat/completions?stream": {**CHAT, "stream": True},
    "/engines/m/chat/completions": CHAT,
    "/openai/deployments/m/chat/completions": CHAT,
    "/cursor/chat/completions": CHAT,
    "/v1/completions": {"model": "m", "prompt": TEXT},
    "/v1/embeddings": {"model": "m", "input": TEXT},
    "/v1/responses": {"model": "m", "input": TEXT},
    "/v1/responses/compact": {"model": "m", "input": TEXT},
    "/v1/messages": {**CHAT, "max_tokens": 9},
    "/v1/moderations": {"model": "m", "input": TEXT},
    "/v1/images/generations": {"model": "m", "prompt": TEXT},
    "/v1/images/edits": FORM,
    "/v1/audio/speech": {"model": "m", "input": TEXT, "voice": "alloy"},
    "/v1/audio/transcriptions": FORM,
    "/v1/videos": {"model": "m", "prompt": TEXT},
    "/v1/videos/v/remix": {"prompt": TEXT},
    "/v1/videos/edits": {"prompt": TEXT, "video": {"id": "v"}},
    "/v1/videos/extensions": {"prompt": TEXT, "video": {"id": "v"}, "seconds": "4"},
    "/v1/videos/characters": FORM,
    "/v1/ocr": {"model": "m", "document": {"type": "document_url", "document_url": f"http://x/{TEXT}"}},
    "/v1/rerank": {"model": "m", "query": TEXT, "documents": ["a"]},
    "/v1/search": {"query": TEXT, "search_tool_name": "s"},
    "/v1/search/s": {"query": TEXT},
    "/v1beta/models/m:generateContent": {"contents": [{"parts": [{"text": TEXT}]}]},
    "/v1beta/models/m:streamGenerateContent": {"contents": [{"parts": [{"text": TEXT}]}]},
    "/v1beta/interactions": {"model": "m", "input": TEXT},
    "/v1beta/agents": {"model": "m", "name": TEXT},
    "/v1/containers": {"name": TEXT},
    "/v1/containers/c/files": FORM,
    "/v1/vector_stores": {"name": TEXT, "custom_llm_provider": "openai"},
    "/v1/vector_stores/v/search": {"query": TEXT, "custom_llm_provider": "openai"},
    "/v1/vector_stores/v/files": {"file_id": TEXT, "custom_llm_provider": "openai"},
    "/v1/evals": {"name": TEXT, "data_source_config": {}, "testing_criteria": []},
    "/v1/skills": FORM,
    "/v1/realtime/client_secrets": {"session": {"type": "realtime", "model": "m", "instructions": TEXT}},
    "/v1/realtime/transcription_sessions": {"model": "m", "input": TEXT},
}
# LiteLLM runs no policy's guardrail there: only those that the endpoint's own config names.
PASSED: dict[str, Any] = {
    "/through": CHAT,
    "/openai/v1/chat/completions": CHAT,
    "/openai_passthrough/v1/chat/completions": CHAT,
    "/anthropic/v1/messages": CHAT,
}
# LiteLLM matches policies there, and runs none of their guardrails.
UNGUARDED: dict[str, Any] = {
    "/v1/rag/query": {
        "model": "m",
        "messages": MESSAGES,
        "retrieval_config": {"vector_store_id": "v", "custom_llm_provider": "openai"},
    },
    "/v1/rag/ingest": {
        "ingest_options": {"vector_store": {"custom_llm_provider": "openai"}},
        "file": {"filename": TEXT, "content": "YQ==", "content_type": "text/plain"},
    },
    "/v1/assistants": {"model": "m", "instructions": TEXT},
    "/v1/threads": {"messages": MESSAGES},
    "/v1/threads/t/messages": {"role": "user", "content": TEXT},
}
# Nor is any policy matched where a text is only sent to be counted.
COUNTED: dict[str, Any] = {
    "/v1/messages/count_tokens": CHAT,
    "/v1beta/models/m:countTokens": {"contents": [{"parts": [{"text": TEXT}]}]},
    "/v1/responses/input_tokens": {"model": "m", "input": TEXT},
}
# Without a text of their own.
TEXTLESS: dict[str, Any] = {
    "/v1/responses/r/cancel": {},
    "/v1/batches": {"input_file_id": "f", "endpoint": "/v1/chat/completions", "completion_window": "24h"},
    "/v1/batches/b/cancel": {},
}
QUEUE = "/queue/chat/completions"

# Blocks a call whose own fields, whatever they are, hold its name.
GUARDS = """
from fastapi import HTTPException
from litellm.integrations.custom_guardrail import CustomGuardrail

NOT_SAID = ("proxy_server_request", "metadata", "litellm_metadata", "secret_fields", "litellm_logging_obj")


class Guard(CustomGuardrail):
    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        said = [value for name, value in data.items() if name not in NOT_SAID]
        if f"block {self.guardrail_name}" in str(said):
            raise HTTPException(status_code=400, detail={"error": f"blocked by {self.guardrail_name}"})
        return data
"""


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

    def ask(self, proxy: Proxy, path: str, body: Any) -> Reply:
        """Asks a proxy; what the upstream was asked before is forgotten."""
        self.upstream.asked.clear()
        plain = path.partition("?")[0]
        return proxy.post_form(plain, body, TEXT) if body is FORM else proxy.post(plain, body)

    def reached(self) -> bool:
        """Whether the upstream was asked since then, and what it was asked held the text."""
        return any(TEXT in body for body in self.upstream.asked)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("endpoints")
    upstream, repository = Upstream(), Repository(folder / "repository")
    commit = repository.promote({"base": "mark-a"})
    daemon = Daemon(repository, "127.0.0.1:0")
    config = (
        "files_settings: [{custom_llm_provider: openai, api_key: none}]\n"
        "search_tools:\n  - search_tool_name: s\n"
        f"    litellm_params: {{search_provider: tavily, api_key: none, api_base: '{upstream.url}'}}\n"
        "assistant_settings:\n  custom_llm_provider: openai\n"
        f"  litellm_params: {{api_key: none, api_base: '{upstream.url}'}}\n"
        "general_settings:\n  pass_through_endpoints:\n"
        f"    - {{path: /through, target: {upstream.url}/v1, headers: {{content-type: application/json}}}}\n"
    )
    provider = {"OPENAI_API_BASE": upstream.url, "OPENAI_BASE_URL": upstream.url, "OPENAI_API_KEY": "none"}
    provider |= {"ANTHROPIC_API_BASE": upstream.url, "ANTHROPIC_API_KEY": "none"}

    def proxy(name: str, url: str) -> Proxy:
        return Proxy(
            folder / name, {"REFGUARD_URL": url}, environment=provider, config=config, files={"guards.py": GUARDS}
        )

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
    reply = world.ask(world.guarded, path, GUARDED[path])
    assert (reply.status, "blocked by mark-a" in reply.body, world.reached()) == (400, True, False), reply


@pytest.mark.parametrize("path", [*GUARDED, *PASSED, *UNGUARDED])
def test_without_a_set_nothing_passes(world: World, path: str) -> None:
    reply = world.ask(world.waiting, path, (GUARDED | PASSED | UNGUARDED)[path])
    refused = "refguard: no policy set has been loaded yet" in reply.body
    assert (reply.status, refused, world.reached()) == (503, True, False), reply


@pytest.mark.parametrize("path", PASSED)
def test_a_pass_through_endpoint_runs_no_policys_guardrail(world: World, path: str) -> None:
    reply = world.ask(world.guarded, path, PASSED[path])
    assert (reply.status, world.reached()) == (200, True), reply


@pytest.mark.parametrize("path", UNGUARDED)
def test_where_litellm_runs_no_policys_guardrail(world: World, path: str) -> None:
    """What the upstream answers there is no assistant, thread or vector store, which LiteLLM may not like."""
    reply = world.ask(world.guarded, path, UNGUARDED[path])
    assert world.upstream.asked and "blocked by mark-a" not in reply.body, reply


@pytest.mark.parametrize("path", COUNTED)
def test_a_text_that_is_only_counted_is_sent_with_and_without_a_set(world: World, path: str) -> None:
    for proxy in (world.guarded, world.waiting):
        reply = world.ask(proxy, path, COUNTED[path])
        assert (reply.status, world.reached()) == (200, True), reply


@pytest.mark.parametrize("path", TEXTLESS)
def test_without_a_set_nothing_is_begun_or_cancelled(world: World, path: str) -> None:
    """LiteLLM needs its database's library to say so of batches, and says 500 without it."""
    reply = world.ask(world.waiting, path, TEXTLESS[path])
    assert (reply.status in (500, 503), world.upstream.asked) == (True, []), reply
    assert reply.status == 503 or "503: {'error': 'refguard: no policy set" in world.waiting.log.read_text()


def test_a_call_that_waits_in_a_queue_is_refused(world: World) -> None:
    """LiteLLM runs no guardrail there, and matches no policy."""
    for proxy in (world.guarded, world.waiting):
        reply = world.ask(proxy, QUEUE, {**CHAT, "priority": 1})
        assert (reply.status, "use `/v1/chat/completions`" in reply.body, world.reached()) == (403, True, False), reply
        # The door of the proxy is before it, which without its database's library says 500.
        assert proxy.post_without_key(QUEUE, CHAT).status in (401, 500)


def test_the_requests_in_a_batchs_file_are_guarded(world: World) -> None:
    line = json.dumps({"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": CHAT})
    world.upstream.asked.clear()
    reply = world.guarded.upload("batch.jsonl", line)
    assert (reply.status, "blocked by a guardrail" in reply.body, world.reached()) == (400, True, False), reply
    # A file without such a request is taken.
    assert world.guarded.upload("batch.jsonl", line.replace(TEXT, "hello")).status == 200
    reply = world.waiting.upload("batch.jsonl", line.replace(TEXT, "hello"))
    assert (reply.status, "no policy set has been loaded yet" in reply.body) == (503, True), reply
