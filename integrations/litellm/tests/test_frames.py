"""A websocket of `/v1/responses`: what is sent is seen by the guardrails that policies want, or it is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import litellm
import pytest
from fastapi import HTTPException
from litellm.caching.dual_cache import DualCache
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.proxy import proxy_server
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.utils import ProxyLogging
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from refguard_litellm import proxy
from refguard_litellm.bundle import build
from refguard_litellm.proxy import RefguardCallback
from refguard_litellm.settings import Settings
from sets import bundle
from support import MASTER_KEY, Daemon, Proxy, Repository
from test_proxy import alone

KEY = UserAPIKeyAuth(api_key="k")


@pytest.mark.parametrize(
    ("shows", "call_type", "guardrails", "is_refused"),
    [
        (False, "_aresponses_websocket", ["a"], True),
        (False, "_aresponses_websocket", [{"a": {}}], True),
        # No policy wants it.
        (False, "_aresponses_websocket", ["other"], False),
        (False, "_aresponses_websocket", [], False),
        (False, "aresponses", ["a"], False),
        (True, "_aresponses_websocket", ["a"], False),
    ],
)
def test_only_a_socket_whose_messages_nobody_would_see_is_refused(
    monkeypatch: pytest.MonkeyPatch, shows: bool, call_type: str, guardrails: list[Any], is_refused: bool
) -> None:
    monkeypatch.setattr(proxy_server, "prisma_client", None)
    monkeypatch.setattr(proxy, "_shows_frames", lambda: shows)
    litellm.callbacks.append(CustomGuardrail(guardrail_name="a"))
    callback = RefguardCallback(Settings())
    monkeypatch.setattr(callback.follower, "start", lambda: None)
    callback.follower._pending = build(bundle("c1", "a"))
    callback.follower._recheck()

    async def story() -> None:
        data = {"model": "m", "litellm_metadata": {"guardrails": guardrails}}
        if not is_refused:
            await callback.async_pre_call_hook(KEY, DualCache(), data, call_type)
            return
        with pytest.raises(HTTPException) as raised:
            await callback.async_pre_call_hook(KEY, DualCache(), data, call_type)
        assert raised.value.status_code == 503
        assert "policies want a: use HTTP" in str(raised.value.detail)

    alone(story())


def test_a_message_whose_guardrail_is_lost_meanwhile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an open websocket, or a request in a file: LiteLLM asks for them what enforces something only."""
    monkeypatch.setattr(proxy_server, "prisma_client", None)
    guardrails = [CustomGuardrail(guardrail_name=name) for name in "ab"]
    litellm.callbacks.extend(guardrails)
    callback = RefguardCallback(Settings())
    litellm.callbacks.append(callback)
    monkeypatch.setattr(callback.follower, "start", lambda: None)
    callback.follower._pending = build(bundle("c1", "a", "b"))
    callback.follower._recheck()
    logging = ProxyLogging(user_api_key_cache=proxy_server.user_api_key_cache)

    async def story(guardrail: str) -> None:
        data = {"model": "m", "input": "hello", "metadata": {"guardrails": [guardrail]}}
        await logging.pre_call_hook(user_api_key_dict=KEY, data=data, call_type="aresponses", guardrails_only=True)

    alone(story("a"))
    litellm.callbacks.remove(guardrails[0])
    with pytest.raises(HTTPException) as raised:
        alone(story("a"))
    assert "this proxy has lost the guardrail a" in str(raised.value.detail)
    alone(story("b"))


@pytest.mark.skipif(not os.environ.get("REFGUARD_BIN"), reason="REFGUARD_BIN does not name the refguard program")
@pytest.mark.skipif(proxy._shows_frames(), reason="this LiteLLM shows every message to the guardrails")
def test_a_real_proxy_refuses_the_socket(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    commit = repository.promote({"base": "mark-a"})
    daemon = Daemon(repository, "127.0.0.1:0")
    followed = Proxy(tmp_path / "proxy", {"REFGUARD_URL": daemon.url})
    try:
        followed.until_alive()
        followed.until_running(commit)
        with connect(
            f"ws://127.0.0.1:{followed.port}/v1/responses",
            additional_headers={"Authorization": f"Bearer {MASTER_KEY}"},
            proxy=None,
        ) as socket:
            socket.send(json.dumps({"type": "response.create", "model": "m", "input": "block mark-a"}))
            answer = json.loads(socket.recv(timeout=60))
            assert answer["type"] == "error", answer
            assert "policies want mark-a: use HTTP" in answer["error"]["message"]
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=60)
    finally:
        followed.kill()
        daemon.kill()
