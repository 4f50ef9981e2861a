"""refguard's engine in the place of LiteLLM's: the same answers by the proxy's own path, the same set for its pages."""

from __future__ import annotations

import asyncio
import contextvars
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import litellm
import pytest
from fastapi import HTTPException
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.proxy import litellm_pre_call_utils, proxy_server
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.litellm_pre_call_utils import move_guardrails_to_metadata
from litellm.proxy.management_endpoints.policy_endpoints import endpoints as policy_pages
from litellm.proxy.policy_engine import policy_endpoints, response_retrieval
from litellm.proxy.policy_engine.attachment_registry import get_attachment_registry
from litellm.proxy.policy_engine.init_policies import get_policies_summary
from litellm.proxy.policy_engine.policy_matcher import PolicyMatcher
from litellm.proxy.policy_engine.policy_registry import get_policy_registry
from litellm.proxy.policy_engine.policy_resolver import PolicyResolver
from litellm.types.proxy.policy_engine import PolicyAttachment, PolicyMatchContext

from refguard_litellm import engine, request_path
from refguard_litellm.bundle import BundleRejected, build
from refguard_litellm.client import Bundle
from refguard_litellm.engine import BrokenExtension
from refguard_litellm.proxy import RefguardCallback
from refguard_litellm.settings import Settings
from sets import bundle, core_bundle, core_bundle_of
from support import until

VECTORS = Path(__file__).parents[3] / "crates/core/tests/data/conformance/litellm-resolve.jsonl"

POLICIES: dict[str, dict[str, Any]] = {
    "base": {"description": "for all", "guardrails": {"add": ["a", "b"]}},
    "child": {
        "inherit": "base",
        "guardrails": {"add": ["c"], "remove": ["b"]},
        "condition": {"model": ["gpt-.*", "o1"]},
        "requestable": True,
    },
    "piped": {
        "guardrails": {"add": ["d"]},
        "condition": {"model": "gpt-.*"},
        "pipeline": {"mode": "post_call", "steps": [{"guardrail": "d", "on_fail": "modify_response"}]},
    },
}
ATTACHMENTS: list[dict[str, Any]] = [
    {"policy": "base", "scope": "*", "priority": 2},
    {"policy": "child", "teams": ["health-*"], "tags": ["phi"]},
    {"policy": "piped", "keys": ["ci"], "models": ["gpt-*"]},
    {"policy": "piped", "teams": ["late"], "default": True},
]


def start(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> RefguardCallback:
    monkeypatch.setattr(proxy_server, "prisma_client", None)
    # Who pays for LiteLLM may give keys, teams and projects policies.
    monkeypatch.setattr(proxy_server, "premium_user", True)
    callback = RefguardCallback(Settings(**settings))
    # No daemon here: sets are given by the tests.
    monkeypatch.setattr(callback.follower, "start", lambda: None)
    return callback


def enforce(callback: RefguardCallback, found: Bundle) -> None:
    built = build(found)
    litellm.callbacks[:] = [CustomGuardrail(guardrail_name=name) for name in built.guardrails]
    callback.follower._pending = built
    callback.follower._recheck()
    assert callback.follower._pending is None, callback.follower.status()["rejected"]


@pytest.fixture
def callback(monkeypatch: pytest.MonkeyPatch) -> RefguardCallback:
    made = start(monkeypatch, engine="refguard")
    enforce(made, core_bundle_of("c1", POLICIES, ATTACHMENTS))
    return made


def alone(story: Awaitable[Any]) -> Any:
    """Each call has a context of its own."""

    async def run() -> Any:
        return await story

    return contextvars.Context().run(asyncio.run, run())


async def ask(key: UserAPIKeyAuth, **more: Any) -> dict[str, Any]:
    """What the proxy does with a call before its hooks."""
    data: dict[str, Any] = {"metadata": {}, **more}
    await move_guardrails_to_metadata(data, "metadata", key)
    assert "policies" not in data
    found: dict[str, Any] = data["metadata"]
    return found


def key(**more: Any) -> UserAPIKeyAuth:
    return UserAPIKeyAuth(api_key="k", **more)


# By the proxy's own path.


@pytest.mark.parametrize("name", [pytest.param("refguard", marks=pytest.mark.extension), "litellm"])
def test_every_answer_is_litellms_by_the_proxys_own_path(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    callback = start(monkeypatch, engine=name)
    queries = 0

    async def story(scenario: dict[str, Any]) -> None:
        nonlocal queries
        for query in scenario["queries"]:
            queries += 1
            context, expected = query["context"], query["expect"]
            asked = {"model": context["model"]} if "model" in context else {}
            caller = key(team_alias=context.get("team_alias"), key_alias=context.get("key_alias"))
            found = await ask(caller, metadata={"tags": context.get("tags", [])}, policies=query["requested"], **asked)
            pipelines = found.get("_guardrail_pipelines", [])
            assert {
                "policies": found.get("applied_policies", []),
                "sources": found.get("policy_sources", {}),
                "guardrails": sorted(found.get("guardrails", [])),
                "pipelines": [(name, p.mode, [s.guardrail for s in p.steps]) for name, p in pipelines],
                "managed": sorted(found.get("_pipeline_managed_guardrails", [])),
            } == {
                "policies": [policy["policy"] for policy in expected["policies"]],
                "sources": {p["policy"]: p["matched_via"] for p in expected["policies"] if p["matched_via"]},
                "guardrails": expected["guardrails"],
                "pipelines": [(p["policy"], p["mode"], p["steps"]) for p in expected["pipelines"]],
                "managed": expected["pipeline_guardrails"],
            }, (scenario["id"], query)

    for line in VECTORS.read_text().splitlines():
        scenario = json.loads(line)
        policies, attachments = scenario["policies"], scenario["policy_attachments"]
        if name == "refguard":
            enforce(callback, core_bundle_of(scenario["id"], policies, attachments))
        else:
            body = json.dumps({"policies": policies, "policy_attachments": attachments})
            enforce(callback, Bundle(body.encode(), scenario["id"], scenario["id"], is_json=True))
        alone(story(scenario))
    assert queries == 3_000


@pytest.mark.extension
def test_a_request_that_asks_for_a_policy_builds_only_what_it_needs(callback: RefguardCallback) -> None:
    found = alone(ask(key(team_alias="health-eu"), model="gpt-4", metadata={"tags": ["phi"]}, policies=["base"]))
    assert found["applied_policies"] == ["base", "child"]
    assert found["policy_sources"] == {"base": "scope:*", "child": "tag:phi+team:health-eu"}
    assert sorted(found["guardrails"]) == ["a", "b", "c"]
    current = callback.follower.current()
    assert current is not None
    assert vars(current.policies)["_policies"]._made == {}


@pytest.mark.extension
def test_policies_are_matched_by_the_user_whose_key_it_is(callback: RefguardCallback) -> None:
    attachments = [{"policy": "base", "users": ["ada"]}, {"policy": "child", "users": ["b*"]}]
    enforce(callback, core_bundle_of("c2", POLICIES, attachments))
    assert alone(ask(key(user_id="ada"), model="m"))["policy_sources"] == {"base": "user:ada"}
    assert alone(ask(key(user_id="bob"), model="gpt-4"))["policy_sources"] == {"child": "user:bob"}
    assert "guardrails" not in alone(ask(key(), model="m"))
    # They are matched, and not shown: without their users they would seem to be for everybody.
    assert get_attachment_registry().get_all_attachments() == []


@pytest.mark.extension
@pytest.mark.parametrize(
    ("attachment", "said"),
    [
        ({"policy": "base", "tools": ["x/*"]}, "attachment 1, of `base`, names `tools`"),
        ({"policy": "piped", "users": ["ada"]}, "attachment 1, of `piped`, names `users`"),
    ],
)
def test_what_a_proxy_cannot_match_by_is_rejected_with_the_place(attachment: dict[str, Any], said: str) -> None:
    with pytest.raises(BundleRejected, match=said):
        build(core_bundle_of("c", POLICIES, [attachment]))


@pytest.mark.extension
def test_a_value_beyond_the_limits_is_refused(callback: RefguardCallback) -> None:
    for metadata in ({"tags": ["x" * 1025]}, {"tags": ["x"] * 257}):
        with pytest.raises(HTTPException) as raised:
            alone(ask(key(), model="m", metadata=metadata))
        assert raised.value.status_code == 400
        assert "the limit `request-" in str(raised.value.detail)


@pytest.mark.extension
def test_what_expires_ends_at_its_instant_without_another_set(callback: RefguardCallback) -> None:
    soon = datetime.now(timezone.utc) + timedelta(seconds=2)
    ends = {
        "base": "2020-01-01T00:00:00Z",
        "child": soon.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "piped": "2100-01-01T00:00:00Z",
    }
    attachments = [{"policy": name, "scope": "*", "expires": end, "reason": "a pilot"} for name, end in ends.items()]
    enforce(callback, core_bundle_of("c2", POLICIES, attachments))
    # What is expired was never in force, what ends later stays.
    until("the pilot ends", lambda: alone(ask(key(), model="gpt-4"))["applied_policies"] == ["piped"])
    assert [a.policy for a in get_attachment_registry().get_all_attachments()] == ["piped"]
    status = callback.follower.status()
    assert (status["commit"], status["valid_until"]) == ("c2", "2100-01-01T00:00:00Z")


# What a call, its key, team or project names.


@pytest.mark.parametrize("name", [pytest.param("refguard", marks=pytest.mark.extension), "litellm"])
def test_a_version_that_is_not_enforced_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    callback = start(monkeypatch, engine=name)
    enforce(callback, core_bundle("c1", "a") if name == "refguard" else bundle("c1", "a"))
    asked: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["a-policy@2"]),
        ({}, ["nobody@1"]),
        ({"metadata": {"policies": ["a-policy@3"]}}, []),
        ({"team_metadata": {"policies": ["a-policy@2"]}}, []),
        ({"project_metadata": {"policies": ["nobody@2"]}}, []),
    ]
    for more, policies in asked:
        with pytest.raises(HTTPException) as raised:
            alone(ask(key(**more), model="m", policies=policies))
        assert raised.value.status_code == 400
        assert "refguard: the " in str(raised.value.detail)
    assert alone(ask(key(), model="m", policies=["unknown"]))["guardrails"] == ["a"]


@pytest.mark.extension
def test_the_version_that_is_enforced_may_be_named(callback: RefguardCallback) -> None:
    assert alone(ask(key(), model="gpt-4", policies=["child@3"]))["applied_policies"] == ["base", "child"]


@pytest.mark.parametrize("name", [pytest.param("refguard", marks=pytest.mark.extension), "litellm"])
def test_strict_requests_may_name_requestable_policies_only(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    callback = start(monkeypatch, engine=name, strict_requests=True)
    if name == "refguard":
        enforce(callback, core_bundle_of("c1", POLICIES, ATTACHMENTS))
        assert alone(ask(key(), model="gpt-4", policies=["child"]))["applied_policies"] == ["base", "child"]
    else:
        enforce(callback, bundle("c1", "a"))
    asked: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["base"]),
        ({}, ["unknown"]),
        ({"metadata": {"policies": ["base"]}}, []),
    ]
    for more, policies in asked:
        with pytest.raises(HTTPException) as raised:
            alone(ask(key(**more), model="m", policies=policies))
        assert raised.value.status_code == 400
    alone(ask(key(), model="m"))


# Every reader of the registries sees the set.


def expected_policies() -> dict[str, Any]:
    """What LiteLLM's own registry makes of the set."""
    policies = {name: {**raw} for name, raw in POLICIES.items()}
    del policies["child"]["requestable"]
    body = json.dumps({"policies": policies, "policy_attachments": ATTACHMENTS})
    return build(Bundle(body.encode(), "e", "c", is_json=True)).policies.get_all_policies()


def spelled(policy: Any) -> Any:
    """A policy without what may be written in two ways."""
    found = policy.model_dump()
    for step in (found["pipeline"] or {"steps": []})["steps"]:
        step["on_error"] = step["on_error"] or step["on_fail"]
    if found["condition"] and isinstance(found["condition"]["model"], str):
        found["condition"]["model"] = [found["condition"]["model"]]
    return found


@pytest.mark.extension
def test_the_policies_are_shown_as_litellm_reads_them(callback: RefguardCallback) -> None:
    registry, expected = get_policy_registry(), expected_policies()
    shown = registry.list_config_policies()
    assert {name: spelled(p) for name, p in shown.items()} == {name: spelled(p) for name, p in expected.items()}
    assert registry.get_policy_names() == sorted(expected)
    assert (registry.has_policy("base"), registry.has_policy("none")) == (True, False)
    assert (registry.get_policy("none"), registry.get_source("base"), registry.get_source("none")) == (
        None,
        "config",
        None,
    )
    assert dict(registry.get_all_policies()).keys() == expected.keys()
    assert len(registry.get_all_policies()) == 3


@pytest.mark.extension
def test_the_attachments_are_shown_in_the_order_of_evaluation(callback: RefguardCallback) -> None:
    shown = list(get_attachment_registry().get_config_attachments())
    assert [(a.policy, a.priority, a.default) for a in shown] == [
        ("base", 2, False),
        ("piped", None, True),
        ("child", None, False),
        ("piped", None, False),
    ]
    assert get_attachment_registry().get_attachments_for_policy("child")[0].tags == ["phi"]
    listed = alone(policy_endpoints.list_policy_attachments())
    assert [a.policy_name for a in listed.attachments] == ["base", "piped", "child", "piped"]
    assert alone(policy_endpoints.list_policies()).total_count == 3


@pytest.mark.extension
def test_the_proxys_pages_answer_by_the_set(callback: RefguardCallback) -> None:
    context = PolicyMatchContext(team_alias="health-eu", key_alias=None, model="gpt-4", tags=["phi"])
    get_policy_registry().is_initialized()
    assert PolicyMatcher.get_matching_policies(context) == ["base", "child"]
    assert sorted(PolicyResolver.resolve_guardrails_for_context(context)) == ["a", "b", "c"]
    ci = PolicyMatchContext(team_alias=None, key_alias="ci", model="gpt-4")
    assert [name for name, _ in PolicyResolver.resolve_pipelines_for_context(ci)] == ["piped"]
    assert sorted(PolicyResolver.get_all_resolved_policies()["child"].guardrails) == ["a", "c"]
    tested = alone(policy_pages.test_policy_matching(request=None, context=context, user_api_key_dict=key()))
    assert sorted(tested.resolved_guardrails) == ["a", "b", "c"]


@pytest.mark.extension
def test_the_summary_of_policies_is_of_the_set(callback: RefguardCallback) -> None:
    assert len(get_policy_registry().list_config_policies()) == 3
    summary: dict[str, Any] = get_policies_summary()
    assert (summary["initialized"], summary["policy_count"], summary["attachment_count"]) == (True, 3, 4)
    child = summary["policies"]["child"]
    assert (child["inherit"], child["guardrails_add"], child["guardrails_remove"]) == ("base", ["c"], ["b"])
    assert sorted(child["resolved_guardrails"]) == ["a", "c"]
    assert [found["policy"] for found in summary["attachments"]] == ["base", "piped", "child", "piped"]
    assert summary["attachments"][2]["teams"] == ["health-*"]


@pytest.mark.extension
def test_policies_that_are_applied_by_name_are_of_the_set(callback: RefguardCallback) -> None:
    """As LiteLLM's pages try policies on texts."""
    seen: list[str] = []

    class Noting(CustomGuardrail):
        async def apply_guardrail(
            self, inputs: Any, request_data: Any, input_type: Any, logging_obj: Any = None
        ) -> Any:
            seen.append(str(self.guardrail_name))
            return inputs

    litellm.callbacks[:] = [Noting(guardrail_name=name) for name in "abcd"]

    def apply(*names: str) -> list[str]:
        seen.clear()
        asked = policy_pages.apply_policies(list(names), {"texts": ["hello"]}, {}, "request", None)  # type: ignore[arg-type]
        assert alone(asked)["guardrail_errors"] == []
        return sorted(seen)

    assert apply("child") == ["a", "c"]
    assert apply("base", "piped") == ["a", "b", "d"]
    # Policies of an earlier set are gone with it.
    enforce(callback, core_bundle("c2", "d"))
    litellm.callbacks[:] = [Noting(guardrail_name=name) for name in "abcd"]
    assert (apply("d-policy"), apply("child")) == (["d"], [])


def test_a_reader_is_refused_before_the_first_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that none takes an empty set for one in which nothing is guarded."""
    start(monkeypatch)
    asked = policy_pages.apply_policies(["base"], {"texts": ["hello"]}, {}, "request", None)  # type: ignore[arg-type]
    for story in (asked, _summary()):
        with pytest.raises(HTTPException) as raised:
            alone(story)
        assert raised.value.status_code == 503


async def _summary() -> Any:
    return get_policies_summary()


@pytest.mark.extension
def test_an_answer_that_is_fetched_later_gets_its_pipelines(
    callback: RefguardCallback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_retrieval, "_model_group_for_response_id", lambda *_: "gpt-4")
    data: dict[str, Any] = {"response_id": "r", "metadata": {}}

    async def story() -> None:
        response_retrieval.attach_post_call_pipelines_to_retrieval(data, key(key_alias="ci"), None)

    alone(story())
    [bucket] = [value for name, value in data.items() if isinstance(value, dict) and "_guardrail_pipelines" in value]
    assert [name for name, _ in bucket["_guardrail_pipelines"]] == ["piped"]


@pytest.mark.extension
def test_another_judge_of_policies_is_honoured(callback: RefguardCallback) -> None:
    """LiteLLM hands in what applies, or nothing: then every attachment in scope counts, whatever the conditions."""
    registry = get_attachment_registry()
    late = PolicyMatchContext(team_alias="late", key_alias="ci", model="gpt-4")
    applies: list[tuple[Callable[[str], bool] | None, list[str]]] = [
        (None, ["base", "piped"]),
        (lambda name: name == "piped", ["piped"]),
        (lambda name: False, []),
    ]
    for judge, expected in applies:
        assert [m["policy_name"] for m in registry.get_attached_policies_with_reasons(late, judge)] == expected
    only_default = PolicyMatchContext(team_alias="late", key_alias=None, model="m")
    found = registry.get_attached_policies_with_reasons(only_default, lambda name: name == "piped")
    assert found == [{"policy_name": "piped", "matched_via": "default:team:late"}]
    assert registry.is_policy_attached("piped", late)


@pytest.mark.extension
def test_a_policy_that_a_key_names_is_found(callback: RefguardCallback) -> None:
    named = {"policies": ["child"]}
    for more in ({"metadata": named}, {"team_metadata": named}, {"project_metadata": named}):
        assert sorted(alone(ask(key(**more), model="gpt-4"))["guardrails"]) == ["a", "b", "c"]


@pytest.mark.extension
def test_what_comes_from_a_database_or_the_proxys_endpoints_is_put_back(callback: RefguardCallback) -> None:
    registry, attachments = get_policy_registry(), get_attachment_registry()

    class Table:
        async def find_many(self, **_: Any) -> list[Any]:
            return []

    database = SimpleNamespace(db=SimpleNamespace(litellm_policytable=Table(), litellm_policyattachmenttable=Table()))
    alone(registry.sync_policies_from_db(database))  # type: ignore[arg-type]
    alone(attachments.sync_attachments_from_db(database))  # type: ignore[arg-type]
    assert registry.get_policy_names() == ["base", "child", "piped"]
    assert len(attachments.get_all_attachments()) == 4
    assert alone(ask(key(), model="m"))["applied_policies"] == ["base"]

    registry.add_policy("base", registry.get_policy("child"))  # type: ignore[arg-type]
    registry.remove_policy("child")
    attachments.add_attachment(PolicyAttachment(policy="child", scope="*"))
    assert alone(ask(key(), model="gpt-4"))["applied_policies"] == ["base"]
    assert vars(registry.get_policy("base"))["inherit"] is None
    assert len(attachments.get_all_attachments()) == 4


# Which engine it is.


def test_the_request_path_of_this_litellm_is_known() -> None:
    assert isinstance(request_path.known_dialect(), request_path.Dialect)


@pytest.mark.extension
def test_the_engine_is_refguards_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert start(monkeypatch).follower.status()["engine"] == {"name": "refguard", "reason": None}
    assert litellm_pre_call_utils.add_guardrails_from_policy_engine is not request_path.original()


@pytest.mark.extension
def test_an_unknown_request_path_has_litellm_match(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_path, "_digest", lambda: "0" * 64)
    callback = start(monkeypatch)
    found = callback.follower.status()["engine"]
    assert (found["name"], "is not one that is known here" in found["reason"]) == ("litellm", True)
    enforce(callback, bundle("c1", "a"))
    assert alone(ask(key(), model="m"))["guardrails"] == ["a"]
    refused = start(monkeypatch, engine="refguard").follower
    assert "is not one that is known here" in str(refused.refusal())


def test_without_the_extension_litellm_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, engine.EXTENSION, None)
    monkeypatch.setattr(engine, "_foreign_extension", lambda: None)
    callback = start(monkeypatch)
    assert callback.follower.status()["engine"] == {
        "name": "litellm",
        "reason": "the extension `refguard_litellm._core` is not built",
    }
    enforce(callback, bundle("c1", "a"))
    assert alone(ask(key(), model="m"))["guardrails"] == ["a"]
    assert "is not built" in str(start(monkeypatch, engine="refguard").follower.refusal())


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (ModuleType("old"), "its interface is None"),
        (SimpleNamespace(INTERFACE=engine.INTERFACE + 1), "install both together"),
    ],
)
def test_an_extension_that_does_not_fit_refuses_calls(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, said: str
) -> None:
    monkeypatch.setitem(sys.modules, engine.EXTENSION, module)
    callback = start(monkeypatch)
    with pytest.raises(HTTPException) as raised:
        alone(ask(key(), model="m"))
    assert raised.value.status_code == 503
    assert said in str(raised.value.detail)
    status = callback.follower.status()
    assert (status["state"], said in status["engine"]["reason"]) == ("refusing", True)


def test_an_extension_for_another_interpreter_is_not_taken_for_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, engine.EXTENSION, None)
    (tmp_path / "_core.cpython-39-darwin.so").touch()
    monkeypatch.setattr(engine, "__file__", str(tmp_path / "engine.py"))
    with pytest.raises(BrokenExtension, match="is not for this interpreter"):
        engine.load_extension()


@pytest.mark.extension
@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        (lambda body: body[:-9], "cannot be parsed"),
        (lambda body: body.replace(b"a-policy", b"A-policy"), "its digest is"),
        (lambda body: body.replace(b'"version": 1', b'"version": 2'), "version 2"),
        (lambda body: body.replace(b'"expires": null', b'"expires": "2030-01-01T00:00:00Z"'), "its digest is"),
    ],
)
def test_a_bundle_that_cannot_be_read_is_rejected_and_the_last_set_stays(
    monkeypatch: pytest.MonkeyPatch, spoiled: Callable[[bytes], bytes], said: str
) -> None:
    callback = start(monkeypatch)
    enforce(callback, core_bundle("c1", "a"))
    newer = core_bundle("c2", "a")
    alone(callback.follower._consider(Bundle(spoiled(newer.body), newer.etag, "c2", is_json=True, form="refguard")))
    callback.follower._recheck()
    status = callback.follower.status()
    assert (status["state"], status["commit"]) == ("rejected", "c1")
    assert said in status["rejected"]["reason"]
    assert alone(ask(key(), model="m"))["guardrails"] == ["a"]
