"""Calls of MCP tools over both ways of a real proxy: the guardrails that policies give run on a tool's arguments."""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import HTTPException
from litellm.proxy.utils import ProxyLogging

from refguard_litellm import tool_calls
from support import Answering, Daemon, Proxy, Repository
from test_proxy import alone, callback, enforce, hooks, match  # noqa: F401 (a fixture)

needs_daemon = pytest.mark.skipif(
    not os.environ.get("REFGUARD_BIN"), reason="REFGUARD_BIN does not name the refguard program"
)


class Tools(http.server.ThreadingHTTPServer):
    """An MCP server with one tool, which remembers what it was called with."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.called: list[Any] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Answer(Answering):
    protocol_version = "HTTP/1.1"
    server: Tools

    def do_POST(self) -> None:
        asked = json.loads(self.asked())
        if "id" not in asked:
            self.reply(202, b"")
            return
        answer = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": self._result(asked)})
        self.reply(200, answer.encode())

    def _result(self, asked: Any) -> Any:
        method, parameters = asked["method"], asked.get("params", {})
        if method == "initialize":
            about = {"name": "echo", "version": "1"}
            version = parameters["protocolVersion"]
            return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about}
        if method == "tools/list":
            schema = {"type": "object", "properties": {"text": {"type": "string"}}}
            return {"tools": [{"name": "say", "description": "says it", "inputSchema": schema}]}
        if method == "tools/call":
            self.server.called.append(parameters["arguments"])
            return {"content": [{"type": "text", "text": "it is said"}], "isError": False}
        return {}

    def do_GET(self) -> None:
        self.reply(405, b"")


@dataclass
class World:
    tools: Tools
    guarded: Proxy
    """`mark-a` runs on calls of tools too, `mark-b` only on those of models; policies give both to every call."""
    waiting: Proxy
    """Its daemon was never there."""

    def call(self, proxy: Proxy, way: str, text: str) -> tuple[bool, str]:
        """Whether the tool was called, and what the answer says."""
        self.tools.called.clear()
        arguments = {"text": text}
        if way == "/mcp-rest/tools/call":
            reply = proxy.post(way, {"name": "echo-say", "server_id": "echo", "arguments": arguments})
        else:
            asked = {"name": "echo-say", "arguments": arguments}
            reply = proxy.post(way, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": asked})
        return bool(self.tools.called), reply.body


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("tools")
    repository, tools = Repository(folder / "repository"), Tools()
    commit = repository.promote({"base": "mark-a", "other": "mark-b"})
    daemon = Daemon(repository, "127.0.0.1:0")
    address = f"http://127.0.0.1:{tools.server_port}/mcp"
    config = f"mcp_servers:\n  echo: {{url: '{address}', transport: http, allow_all_keys: true}}\n"

    def proxy(name: str, url: str) -> Proxy:
        return Proxy(folder / name, {"REFGUARD_URL": url}, config=config, modes={"mark-a": "[pre_call, pre_mcp_call]"})

    made = World(tools, proxy("guarded", daemon.url), proxy("waiting", "http://127.0.0.1:1"))
    try:
        made.guarded.until_alive()
        made.waiting.until_alive()
        made.guarded.until_running(commit)
        yield made
    finally:
        for process in (made.guarded, made.waiting, daemon):
            process.kill()
        tools.shutdown()
        tools.server_close()


@needs_daemon
@pytest.mark.parametrize("way", ["/mcp-rest/tools/call", "/mcp/"])
def test_a_policys_guardrail_runs_on_a_tools_arguments(world: World, way: str) -> None:
    assert world.call(world.guarded, way, "hello")[0]
    was_called, said = world.call(world.guarded, way, "block mark-a")
    assert (was_called, "blocked by mark-a" in said) == (False, True), said
    # By LiteLLM's rule one that has no mode for tools is not run on them.
    was_called, said = world.call(world.guarded, way, "block mark-b")
    assert (was_called, "it is said" in said) == (True, True), said


@needs_daemon
@pytest.mark.parametrize("way", ["/mcp-rest/tools/call", "/mcp/"])
def test_without_a_set_no_tool_is_called(world: World, way: str) -> None:
    was_called, said = world.call(world.waiting, way, "hello")
    assert (was_called, "no policy set has been loaded yet" in said) == (False, True), said


@pytest.mark.parametrize("metadata", [{}, {"guardrails": ["b"]}])
def test_a_tools_call_that_lost_its_guardrails_is_refused(callback: Any, metadata: dict[str, Any]) -> None:  # noqa: F811
    """Another LiteLLM may lose them elsewhere."""

    async def story() -> None:
        data = await match()
        assert data["metadata"]["guardrails"] == ["a"]
        call = {"metadata": dict(metadata)}
        with pytest.raises(HTTPException) as raised:
            await callback.async_pre_call_hook(None, None, call, "call_mcp_tool")
        assert raised.value.status_code == 503 and "policies want a" in str(raised.value.detail)
        # What is handed on is run, and a call of a model is another thing.
        await callback.async_pre_call_hook(None, None, {"metadata": {"guardrails": ["a"]}}, "call_mcp_tool")
        await hooks(callback, {"metadata": {}})

    enforce(callback, "c1", "a")
    alone(story())


def test_this_litellm_can_be_made_to_hand_them_on() -> None:
    tool_calls.install()
    assert hasattr(vars(ProxyLogging)["_convert_mcp_to_llm_format"], "__refguard_original__")
