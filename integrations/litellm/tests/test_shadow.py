"""Policies of the proxy's own are enforced, and refguard's are compared with them; then one variable switches."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import litellm
import pytest
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.proxy import proxy_server
from litellm.proxy.policy_engine.attachment_registry import get_attachment_registry
from litellm.proxy.policy_engine.policy_registry import get_policy_registry

from refguard_litellm import __main__ as command
from refguard_litellm.bundle import build
from refguard_litellm.client import Bundle
from refguard_litellm.proxy import RefguardCallback
from refguard_litellm.settings import Settings
from sets import core_bundle_of
from support import MASTER_KEY, Daemon, Proxy, Repository, until
from test_engine import alone, ask, key

BASE: dict[str, Any] = {"base": {"guardrails": {"add": ["a"]}}, "named": {"guardrails": {"add": ["d"]}}}
THEIRS = {
    **BASE,
    "finance": {"guardrails": {"add": ["b"]}},
    "piped": {"guardrails": {"add": ["c"]}, "pipeline": {"mode": "pre_call", "steps": [{"guardrail": "c"}]}},
}
PLACES: list[dict[str, Any]] = [
    {"policy": "base", "scope": "*"},
    {"policy": "finance", "teams": ["finance"]},
    {"policy": "piped", "teams": ["piped"]},
]
OURS = {
    **THEIRS,
    # A typo on the way, and another answer.
    "finance": {"guardrails": {"add": ["e"]}},
    "piped": {
        "guardrails": {"add": ["c"]},
        "pipeline": {"mode": "pre_call", "steps": [{"guardrail": "c", "on_fail": "next", "on_pass": "next"}]},
    },
    "named": {"guardrails": {"add": ["d", "e"]}},
}


def shadow(monkeypatch: pytest.MonkeyPatch, engine: str, policies: dict[str, Any]) -> RefguardCallback:
    monkeypatch.setattr(proxy_server, "prisma_client", None)
    monkeypatch.setattr(proxy_server, "premium_user", True)
    get_policy_registry().load_policies(THEIRS)
    get_attachment_registry().load_attachments(PLACES)
    callback = RefguardCallback(Settings(mode="shadow", engine=engine))
    monkeypatch.setattr(callback.follower, "start", lambda: None)
    if engine == "refguard":
        built = build(core_bundle_of("c1", policies, PLACES))
    else:
        body = json.dumps({"policies": policies, "policy_attachments": PLACES})
        built = build(Bundle(body.encode(), "e", "c1", is_json=True))
    litellm.callbacks[:] = [CustomGuardrail(guardrail_name=name) for name in "abcde"]
    callback.follower._pending = built
    callback.follower._recheck()
    return callback


def calls() -> None:
    alone(ask(key(), model="m"))
    alone(ask(key(team_alias="finance", key_alias="k1"), model="m", metadata={"tags": ["x"]}))
    alone(ask(key(team_alias="finance"), model="m"))
    alone(ask(key(team_alias="piped"), model="m"))
    alone(ask(key(metadata={"policies": ["named"], "guardrails": ["b"]}), model="m", policies=["finance"]))


@pytest.mark.parametrize("engine", [pytest.param("refguard", marks=pytest.mark.extension), "litellm"])
def test_equal_sets_differ_for_nobody(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    callback = shadow(monkeypatch, engine, THEIRS)
    calls()
    assert callback.comparison is not None
    found = callback.comparison.report("c1")
    assert (found["calls"], found["differing"], found["errors"]) == (5, 0, 0), found


@pytest.mark.parametrize("engine", [pytest.param("refguard", marks=pytest.mark.extension), "litellm"])
def test_differences_are_told_by_team_and_change_nothing(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    callback = shadow(monkeypatch, engine, OURS)
    assert sorted(alone(ask(key(team_alias="finance"), model="m"))["guardrails"]) == ["a", "b"]
    calls()
    assert callback.comparison is not None
    found = callback.comparison.report("c1")
    assert (found["calls"], found["differing"], found["errors"]) == (6, 5, 0), found
    teams = {team["team"]: team for team in found["teams"]}
    assert found["teams"][0]["team"] == "finance"
    assert teams["finance"]["differences"] == [
        {
            "missing": ["b"],
            "extra": ["e"],
            "pipelines": [],
            "count": 3,
            "example": {"key": None, "model": "m", "tags": []},
        }
    ]
    assert teams["piped"]["differences"][0]["pipelines"] == ["piped"]
    # A key's own policy, and what the key names itself stays.
    assert (teams[None]["calls"], teams[None]["differing"]) == (2, 1)
    named = teams[None]["differences"][0]
    assert (named["missing"], named["extra"]) == ([], ["e"])


@pytest.mark.parametrize("engine", [pytest.param("refguard", marks=pytest.mark.extension), "litellm"])
def test_rows_of_a_database_are_what_is_compared_with(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    """By LiteLLM's rule a row stands in the place of the config's policy of its name."""
    callback = shadow(monkeypatch, engine, THEIRS)
    row = {"policy_id": "1", "policy_name": "base", "version_number": 1, "version_status": "production"}
    empty = dict.fromkeys(("inherit", "description", "condition", "pipeline", "created_at", "updated_at"))
    given = {"guardrails_add": ["d"], "guardrails_remove": [], "created_by": None, "updated_by": None}
    rows = [SimpleNamespace(**row, **empty, **given)]

    async def find_many(where: dict[str, Any] | None = None, **more: Any) -> list[Any]:
        wanted = {key: value for key, value in (where or {}).items() if isinstance(value, str)}
        return [found for found in rows if all(getattr(found, key) == value for key, value in wanted.items())]

    table = SimpleNamespace(find_many=find_many)
    database: Any = SimpleNamespace(db=SimpleNamespace(litellm_policytable=table))
    alone(get_policy_registry().sync_policies_from_db(database))

    assert sorted(alone(ask(key(), model="m"))["guardrails"]) == ["d"]
    assert callback.comparison is not None
    [team] = callback.comparison.report("c1")["teams"]
    assert (team["differing"], team["differences"][0]["missing"], team["differences"][0]["extra"]) == (1, ["d"], ["a"])


def test_the_daemon_is_not_told_that_the_set_is_enforced(monkeypatch: pytest.MonkeyPatch) -> None:
    callback = shadow(monkeypatch, "litellm", THEIRS)
    report = callback.follower.report()
    assert (report["commit"], report["state"]) == (None, "rejected")
    assert "in the shadow" in str(report["reason"])
    assert callback.follower.refusal() is None


@pytest.mark.skipif(not os.environ.get("REFGUARD_BIN"), reason="REFGUARD_BIN does not name the refguard program")
def test_a_proxy_moves_by_one_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = Repository(tmp_path / "repository")
    commit = repository.promote({"own": "mark-a"})
    daemon = Daemon(repository, "127.0.0.1:0")
    own = 'policies: {own: {guardrails: {add: [mark-b]}}}\npolicy_attachments: [{policy: own, scope: "*"}]\n'
    monkeypatch.setenv("LITELLM_MASTER_KEY", MASTER_KEY)

    def proxy(mode: str) -> Proxy:
        made = Proxy(tmp_path / mode, {"REFGUARD_URL": daemon.url, "REFGUARD_MODE": mode}, config=own)
        made.until_alive()
        return made

    running = proxy("shadow")
    try:
        running.until_status("it has read the set", lambda status: status["commit"] == commit)
        reply = running.complete()
        assert (reply.status, reply.listed("x-litellm-applied-guardrails")) == (200, {"mark-b"})
        assert not {"x-refguard-commit", "x-refguard-state"} & reply.headers.keys()
        there = ["shadow", "--proxy", f"http://127.0.0.1:{running.port}", "--asks", "2"]
        assert command.main(there) == 1
        said = capsys.readouterr().out
        assert f"1 workers, commit {commit[:12]}: 1 calls compared, 1 differ" in said
        assert "refguard would not run mark-b; only refguard would run mark-a" in said
        # What git gives becomes the same: nothing differs any more, but for what was seen.
        commit = repository.promote({"own": "mark-b"})
        running.until_status("it has read the next set", lambda status: status["commit"] == commit)
        assert running.complete().status == 200
        assert command.main([*there, "--format", "json"]) == 1
        [report] = json.loads(capsys.readouterr().out)["workers"]
        assert (report["commit"], report["calls"], report["differing"]) == (commit, 2, 1)
        running.kill()

        running = proxy("replace")
        commit = repository.promote({"own": "mark-a"})
        assert running.until_running(commit).listed("x-litellm-applied-guardrails") == {"mark-a"}
        assert running.get("/refguard/status").json()["mode"] == "replace"
        assert command.main(["shadow", "--proxy", f"http://127.0.0.1:{running.port}"]) == 2
        assert "REFGUARD_MODE=shadow" in capsys.readouterr().err
        clients = until("it is known", lambda: running.get("/refguard/status").json()["daemon"]["client"])
        assert clients
    finally:
        running.kill()
        daemon.kill()
