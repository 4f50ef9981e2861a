"""The callback among LiteLLM's own code, in one process."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import litellm
import pytest
from fastapi import HTTPException
from litellm.caching.dual_cache import DualCache
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.proxy import proxy_server
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.litellm_pre_call_utils import move_guardrails_to_metadata
from litellm.types.guardrails import GuardrailEventHooks, Mode

from refguard_litellm import proxy
from refguard_litellm.bundle import build
from refguard_litellm.proxy import RefguardCallback
from refguard_litellm.settings import Settings, SettingsError
from sets import bundle, core_bundle

KEY = UserAPIKeyAuth(api_key="k", team_alias="t", key_alias="k")


@pytest.fixture(params=["litellm", pytest.param("refguard", marks=pytest.mark.extension)])
def callback(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> RefguardCallback:
    """With each of the engines."""
    monkeypatch.setattr(proxy_server, "prisma_client", None)
    litellm.callbacks.extend([CustomGuardrail(guardrail_name="a"), CustomGuardrail(guardrail_name="b")])
    made = RefguardCallback(Settings(engine=request.param))
    # No daemon here: sets are given by the tests.
    monkeypatch.setattr(made.follower, "start", lambda: None)
    return made


def enforce(callback: RefguardCallback, name: str, *guardrails: str) -> None:
    is_ours = callback.follower.status()["engine"]["name"] == "refguard"
    callback.follower._pending = build((core_bundle if is_ours else bundle)(name, *guardrails))
    callback.follower._recheck()
    assert callback.follower._pending is None


async def match(**more: Any) -> dict[str, Any]:
    """What the proxy does with a call before its hooks."""
    data: dict[str, Any] = {"model": "m", "metadata": {}, **more}
    await move_guardrails_to_metadata(data, "metadata", KEY)
    return data


async def hooks(callback: RefguardCallback, data: dict[str, Any]) -> dict[str, str]:
    await callback.async_pre_call_hook(KEY, DualCache(), data, "acompletion")
    return await callback.async_post_call_response_headers_hook(data, KEY, None)


def alone(story: Any) -> None:
    """Each call has a context of its own."""
    contextvars.Context().run(asyncio.run, story)


def refused(raised: pytest.ExceptionInfo[HTTPException]) -> str:
    assert raised.value.status_code == 503
    assert raised.value.headers == {"retry-after": "1"}
    return str(raised.value.detail["error"])  # type: ignore[index]


def test_a_call_is_refused_where_its_policies_are_matched(callback: RefguardCallback) -> None:
    async def story() -> None:
        with pytest.raises(HTTPException) as raised:
            await match()
        assert refused(raised) == "refguard: no policy set has been loaded yet"
        # Those whose policies nobody matches, a little later.
        with pytest.raises(HTTPException) as raised:
            await hooks(callback, {})
        assert refused(raised) == "refguard: no policy set has been loaded yet"
        assert await callback.async_post_call_response_headers_hook({}, KEY, None) == {"x-refguard-state": "starting"}

    alone(story())


def test_a_call_that_names_its_own_guardrails_is_refused_too(callback: RefguardCallback) -> None:
    async def story() -> None:
        asked: list[dict[str, Any]] = [{"guardrails": ["a"]}, {"policies": ["a-policy"]}, {"guardrail_config": {}}]
        for more in asked:
            with pytest.raises(HTTPException):
                await match(**more)

    alone(story())


def test_a_call_gets_the_guardrails_and_the_name_of_its_set(callback: RefguardCallback) -> None:
    async def story() -> None:
        data = await match(metadata={"refguard_commit": "forged"})
        assert data["metadata"]["guardrails"] == ["a"]
        # A swap comes between the matching and the hooks.
        enforce(callback, "c2", "a", "b")
        assert await hooks(callback, data) == {"x-refguard-commit": "c1"}
        assert (data["metadata"]["refguard_commit"], data["metadata"]["guardrails"]) == ("c1", ["a"])
        data = await match()
        assert await hooks(callback, data) == {"x-refguard-commit": "c2"}
        assert sorted(data["metadata"]["guardrails"]) == ["a", "b"]

    enforce(callback, "c1", "a")
    alone(story())


def test_a_call_that_nobody_matched_has_no_commit(callback: RefguardCallback) -> None:
    async def story() -> None:
        data: dict[str, Any] = {"metadata": {"refguard_commit": "forged"}}
        assert await hooks(callback, data) == {}
        assert data["metadata"] == {}

    enforce(callback, "c1", "a")
    alone(story())


def test_only_calls_that_need_a_lost_guardrail_are_refused(callback: RefguardCallback) -> None:
    async def story() -> None:
        with pytest.raises(HTTPException) as raised:
            await hooks(callback, await match())
        assert refused(raised) == "refguard: this proxy has lost the guardrail b"
        with pytest.raises(HTTPException):
            await hooks(callback, {"metadata": {"_pipeline_managed_guardrails": frozenset({"b"})}})
        await hooks(callback, {"metadata": {"guardrails": ["a", "unknown", {"a": {}}]}})

    enforce(callback, "c1", "a", "b")
    litellm.callbacks.pop()
    alone(story())


@pytest.mark.parametrize("entries", [["b"], [{"b": {}}], [{"a": {}, "b": {"threshold": 1}}], ("b",), {"b"}])
def test_a_lost_guardrail_is_known_by_its_name_whatever_the_form(callback: RefguardCallback, entries: object) -> None:
    async def story() -> None:
        with pytest.raises(HTTPException) as raised:
            await hooks(callback, {"metadata": {"guardrails": entries}})
        assert refused(raised) == "refguard: this proxy has lost the guardrail b"

    enforce(callback, "c1", "a", "b")
    litellm.callbacks.pop()
    alone(story())


def test_a_proxy_that_reads_policies_from_a_database_is_refused(
    callback: RefguardCallback, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        await match()
        monkeypatch.setattr(proxy_server, "prisma_client", object())
        with pytest.raises(HTTPException) as raised:
            await match()
        assert "supported_db_objects" in refused(raised)
        assert callback.follower.status()["state"] == "refusing"
        monkeypatch.setitem(proxy_server.general_settings, "supported_db_objects", ["models"])
        await match()

    enforce(callback, "c1", "a")
    alone(story())


def test_beside_a_database_only_if_told(callback: RefguardCallback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_server, "prisma_client", object())
    assert proxy._database_conflict(Settings()) is not None
    assert proxy._database_conflict(Settings(allow_database=True)) is None


def test_a_setting_that_cannot_be_used_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFGUARD_URL", "nonsense")
    with pytest.raises(SettingsError, match="REFGUARD_URL"):
        _ = proxy.callback
    with pytest.raises(AttributeError, match="callbak"):
        _ = proxy.callbak


@pytest.mark.parametrize(
    ("hook", "modes"),
    [
        (GuardrailEventHooks.pre_call, {"pre_call"}),
        ([GuardrailEventHooks.pre_call, GuardrailEventHooks.post_call], {"pre_call", "post_call"}),
        # One whose mode depends on a request's tags: what holds for every request.
        (Mode(tags={"phi": ["pre_call", "post_call"]}, default="pre_call"), {"pre_call"}),
        (Mode(tags={"phi": "pre_call"}), set()),
        (None, proxy.ALL_MODES),
    ],
)
def test_a_guardrail_is_known_with_its_modes(hook: Any, modes: set[str]) -> None:
    litellm.callbacks.append(CustomGuardrail(guardrail_name="g", event_hook=hook))
    assert proxy._guardrails() == {"g": modes}


@pytest.mark.parametrize(
    ("opted_out", "is_refused"),
    [
        ({"disable_global_guardrails": True}, True),
        ({"opted_out_global_guardrails": ["b"]}, True),
        ({"opted_out_global_guardrails": ["a"]}, False),
        ({}, False),
    ],
)
def test_a_key_that_opts_out_of_what_its_policies_want_is_refused(
    callback: RefguardCallback, opted_out: dict[str, Any], is_refused: bool
) -> None:
    """LiteLLM would skip a guardrail that is on by default for such a key, though a policy names it."""
    litellm.callbacks[-1].default_on = True  # type: ignore[union-attr]

    async def story() -> None:
        data = await match(metadata={"user_api_key_metadata": opted_out})
        if not is_refused:
            await hooks(callback, data)
            return
        with pytest.raises(HTTPException) as raised:
            await hooks(callback, data)
        assert "has opted out of the guardrail b, which its policies want" in refused(raised)

    enforce(callback, "c1", "b")
    alone(story())
