"""The pages of the proxy's dashboard, as it asks for them: the set of git, read-only, with and without a database."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import litellm
import pytest
from litellm.proxy.guardrails import usage_endpoints
from litellm.proxy.policy_engine import policy_endpoints, policy_resolve_endpoints
from litellm.types.proxy.policy_engine import (
    AttachmentImpactResponse,
    PolicyAttachmentDBResponse,
    PolicyAttachmentListResponse,
    PolicyDBResponse,
    PolicyListDBResponse,
    PolicyResolveResponse,
    PolicyVersionCompareResponse,
    PolicyVersionListResponse,
)
from pydantic import BaseModel

from refguard_litellm import dashboard
from refguard_litellm.bundle import build
from refguard_litellm.dashboard import Dashboard
from sets import bundle
from support import MASTER_KEY, Daemon, Proxy, Repository, until

needs_daemon = pytest.mark.skipif(
    not os.environ.get("REFGUARD_BIN"), reason="REFGUARD_BIN does not name the refguard program"
)

BASE = """\
apiVersion: refguard/v1
kind: Policy
name: base
description: DESCRIPTION
guardrails:
  add: [mark-a]
"""
HEALTH = """\
apiVersion: refguard/v1
kind: Policy
name: team/health & care
inherit: base
guardrails:
  add: [mark-b]
condition:
  model: "m.*"
pipeline:
  mode: pre_call
  steps:
    - {guardrail: mark-b, on_pass: allow, on_fail: block}
"""
PLACES = """\
apiVersion: refguard/v1
kind: PolicyAttachment
policy: base
scope: "*"
---
apiVersion: refguard/v1
kind: PolicyAttachment
policy: team/health & care
teams: ["health-*"]
priority: 10
"""
NAME = "team/health & care"
# As the lists have it.
ID = quote(NAME, safe="")
REPOSITORY = "https://git.example.org/gateway/policies"


def write(repository: Repository, **files: str) -> str:
    for name, text in files.items():
        folder = repository.path / ("attachments" if name == "places" else "policies")
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.yaml").write_text(text)
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", "a change")
    repository.git("update-ref", "refs/heads/production", "HEAD")
    return repository.git("rev-parse", "HEAD")


@dataclass
class World:
    daemon: Daemon
    proxy: Proxy
    waiting: Proxy
    """Its daemon was never there."""
    commit: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("dashboard")
    repository = Repository(folder / "repository")
    write(repository, base=BASE, places=PLACES, health=HEALTH.replace("mark-b", "mark-a"))
    commit = write(repository, base=BASE.replace("DESCRIPTION", "for all"), health=HEALTH)
    daemon = Daemon(repository, "127.0.0.1:0")
    told = {"REFGUARD_REPOSITORY": REPOSITORY}
    made = World(
        daemon,
        Proxy(folder / "proxy", {"REFGUARD_URL": daemon.url, **told}),
        Proxy(folder / "waiting", {"REFGUARD_URL": "http://127.0.0.1:1", **told}),
        commit,
    )
    try:
        made.proxy.until_alive()
        made.proxy.until_running(commit)
        made.waiting.until_alive()
        until("history is read", lambda: read(made, "/policies/base@2", PolicyDBResponse).published_at)
        yield made
    finally:
        for process in (made.proxy, made.waiting, daemon):
            process.kill()


def read(world: World, path: str, model: type[BaseModel]) -> Any:
    reply = world.proxy.get(path)
    assert reply.status == 200, reply
    return model.model_validate_json(reply.body)


@needs_daemon
def test_the_list_has_each_policy_with_its_version_its_author_and_its_time(world: World) -> None:
    listed = read(world, "/policies/list", PolicyListDBResponse)
    assert [policy.policy_id for policy in listed.policies] == ["base@2", f"{ID}@2"]
    base, health = listed.policies
    assert (base.policy_name, base.description, base.guardrails_add) == ("base", "for all", ["mark-a"])
    for policy in listed.policies:
        assert (policy.version_number, policy.version_status, policy.is_latest) == (2, "production", True)
        assert (policy.created_by, policy.created_at is not None) == ("a@example.org <a@example.org>", True)
    assert (health.inherit, health.condition) == ("base", {"model": "m.*"})
    assert [step["guardrail"] for step in health.pipeline["steps"]] == ["mark-b"]
    assert read(world, "/policies/list?version_status=production", PolicyListDBResponse).total_count == 2
    assert read(world, "/policies/list?version_status=draft", PolicyListDBResponse).total_count == 0


@needs_daemon
@pytest.mark.parametrize("name", [ID, quote(ID), NAME.replace(" ", "%20")])
def test_a_policy_has_its_page_however_its_name_is_written(world: World, name: str) -> None:
    shown = read(world, f"/policies/{name}@2", PolicyDBResponse)
    assert (shown.policy_name, shown.guardrails_add) == (NAME, ["mark-b"])
    resolved = world.proxy.get(f"/policies/{name}@2/resolved-guardrails").json()
    assert resolved["resolved_guardrails"] == ["mark-a", "mark-b"]
    older = read(world, f"/policies/{name}@1", PolicyDBResponse)
    assert (older.version_status, older.guardrails_add, older.is_latest) == ("published", ["mark-a"], False)
    assert world.proxy.get(f"/policies/{name}@1/resolved-guardrails").json()["resolved_guardrails"] == ["mark-a"]


@needs_daemon
def test_versions_are_listed_and_compared(world: World) -> None:
    listed = read(world, f"/policies/name/{ID}/versions", PolicyVersionListResponse)
    assert [(v.policy_id, v.version_status) for v in listed.versions] == [
        (f"{ID}@2", "production"),
        (f"{ID}@1", "published"),
    ]
    query = f"version_a={quote(ID, safe='')}%401&version_b={quote(ID, safe='')}%402"
    compared = read(world, f"/policies/compare?{query}", PolicyVersionCompareResponse)
    assert sorted(compared.field_diffs) == ["guardrails_add", "pipeline"]
    assert compared.field_diffs["guardrails_add"] == {"version_a": ["mark-a"], "version_b": ["mark-b"]}


class Historian:
    """A daemon that knows one policy's versions, and notes what it is asked for."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked: list[str] = []

    async def ask(self, path: str, parameters: Mapping[str, str] | None = None) -> dict[str, Any] | None:
        if path != "/v1/policies/a-policy/versions":
            return None
        chosen = dict(parameters or {})
        assert chosen.pop("documents") == "true"
        before = int(chosen.pop("cursor", self.count + 1))
        self.asked.append(f"before {before}")
        numbers = range(before - 1, max(before - 101, 0), -1)
        rows = [{"number": number, "policy": {"guardrails": {"add": [f"g{number}"]}}} for number in numbers]
        return {"versions": rows, "next": str(numbers[-1]) if numbers[-1] > 1 else None}


@pytest.mark.parametrize(("count", "questions"), [(100, 1), (250, 3), (20_000, 100)])
def test_a_hundred_versions_cost_the_daemon_one_question(count: int, questions: int) -> None:
    found, historian = build(bundle("c1", "a")), Historian(count)
    shown = asyncio.run(Dashboard(lambda: found, lambda: None, historian, None).versions("a-policy"))
    assert len(historian.asked) == len(set(historian.asked)) == questions
    assert shown.total_count == min(count, 10_000)
    assert [version.guardrails_add for version in shown.versions[:2]] == [[f"g{count}"], [f"g{count - 1}"]]


@needs_daemon
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/policies/nobody@1", "no version 1 of `nobody`"),
        ("/policies/nobody", "no policy `nobody` is enforced here"),
        ("/policies/base@9", "no version 9 of `base`"),
        ("/policies/base@x", "`base@x` names no version"),
        ("/policies/nobody@1/resolved-guardrails", "no version 1 of `nobody`"),
        ("/policies/name/nobody/versions", "there never was a policy `nobody`"),
        ("/policies/attachments/config-7", "no attachment `config-7`"),
        ("/policies/compare?version_a=base@1&version_b=base@7", "no version 7 of `base`"),
    ],
)
def test_what_is_not_there_is_said(world: World, path: str, said: str) -> None:
    reply = world.proxy.get(path)
    assert (reply.status, said in reply.json()["detail"]["error"]) == (404, True), reply


@needs_daemon
def test_attachments_are_listed_in_the_order_of_evaluation(world: World) -> None:
    listed = read(world, "/policies/attachments/list", PolicyAttachmentListResponse)
    assert [(a.policy_name, a.scope, a.teams, a.priority) for a in listed.attachments] == [
        (NAME, None, ["health-*"], 10),
        ("base", "*", [], None),
    ]
    # The dashboard turns off the buttons of such.
    assert {a.definition_location for a in listed.attachments} == {"config"}
    place = listed.attachments[1].attachment_id
    assert read(world, f"/policies/attachments/{place}", PolicyAttachmentDBResponse).policy_name == "base"


@needs_daemon
def test_a_request_is_resolved_and_the_reach_of_an_attachment_estimated(world: World) -> None:
    reply = world.proxy.post("/policies/resolve", {"team_alias": "health-eu", "model": "m"})
    told = PolicyResolveResponse.model_validate_json(reply.body)
    assert told.effective_guardrails == ["mark-a", "mark-b"]
    assert {match.policy_name: match.matched_via for match in told.matched_policies} == {
        NAME: "team:health-eu",
        "base": "scope:*",
    }
    other = PolicyResolveResponse.model_validate_json(world.proxy.post("/policies/resolve", {"model": "m"}).body)
    assert other.effective_guardrails == ["mark-a"]

    def reach(**asked: Any) -> AttachmentImpactResponse:
        reply = world.proxy.post("/policies/attachments/estimate-impact", {"policy_name": "base", **asked})
        assert reply.status == 200, reply
        return AttachmentImpactResponse.model_validate_json(reply.body)

    assert reach(scope="*").affected_keys_count == -1
    # A proxy without a database has no keys and teams of its own.
    assert reach(teams=["health-*"]).affected_teams_count == 0


WRITES = [
    ("POST", "/policies", {"policy_name": "x"}, "`policies/` there"),
    ("PUT", "/policies/base@2", {"description": "x"}, "`policies/base.yaml:1` there"),
    ("PUT", f"/policies/{ID}@2", {"description": "x"}, "`policies/health.yaml:1` there"),
    ("PUT", "/policies/base@2/status", {"version_status": "production"}, "`refguard rollback`"),
    ("DELETE", "/policies/base@2", None, "Take `base` out of `policies/base.yaml:1`"),
    ("POST", f"/policies/name/{ID}/versions", {}, "`policies/health.yaml:1` there"),
    ("DELETE", "/policies/name/base/all-versions", None, "Take `base` out of `policies/base.yaml:1`"),
    ("POST", "/policies/attachments", {"policy_name": "base", "scope": "*"}, "below `attachments/`"),
    ("DELETE", "/policies/attachments/config-1", None, "Take the attachment of `base` out"),
]


@needs_daemon
@pytest.mark.parametrize(("method", "path", "body", "said"), WRITES)
def test_who_writes_is_told_where_and_how(world: World, method: str, path: str, body: Any, said: str) -> None:
    reply = world.proxy.send(method, path, body)
    assert reply.status == 409, reply
    told = reply.json()["detail"]
    assert REPOSITORY in told["error"] and said in told["error"] and "refguard promote" in told["error"], told
    assert (told["repository"], told["commit"]) == (REPOSITORY, world.commit)
    # Nothing has changed.
    assert read(world, "/policies/list", PolicyListDBResponse).total_count == 2
    # Without the daemon it is said too, without the file.
    reply = world.waiting.send(method, path, body)
    assert (reply.status, REPOSITORY in reply.body) == (409, True), reply


@needs_daemon
@pytest.mark.parametrize("path", ["/policies/list", "/policies/base", "/policies/attachments/list"])
def test_without_a_set_the_reason_is_said(world: World, path: str) -> None:
    reply = world.waiting.get(path)
    assert (reply.status, "no policy set has been loaded yet" in reply.body) == (503, True), reply


@needs_daemon
@pytest.mark.parametrize("key", [None, "sk-another"])
def test_the_door_is_the_proxys_own(world: World, key: str | None) -> None:
    for path in ("/policies/list", "/policies/base@2", "/policies/attachments/list"):
        assert world.proxy.get(path, key=key).status not in (200, 404), path


@needs_daemon
def test_what_is_the_proxys_own_stays_so(world: World) -> None:
    assert world.proxy.get("/policies/usage/overview").json()["totalRequests"] == 0
    pipeline = {"mode": "pre_call", "steps": [{"guardrail": "mark-a", "on_fail": "block", "on_pass": "allow"}]}
    message = {"role": "user", "content": "block mark-a"}
    tried = world.proxy.post("/policies/test-pipeline", {"pipeline": pipeline, "test_messages": [message]})
    assert (tried.status, tried.json()["terminal_action"]) == (200, "block"), tried


def test_every_route_of_litellms_policy_api_is_answered_or_left() -> None:
    """A newer LiteLLM may have more of them: then somebody must decide."""
    from fastapi import FastAPI

    app = FastAPI()
    dashboard.add_routes(app, dashboard.Dashboard(lambda: None, lambda: None, None, None))  # type: ignore[arg-type]

    def routes(found: Any) -> set[tuple[str, str]]:
        return {
            (method, re.sub(r"\{[^}]*\}", "{}", route.path))
            for route in found
            if getattr(route, "path", "").startswith("/policies")
            for method in route.methods
        }

    theirs = (policy_endpoints.router, policy_resolve_endpoints.router, usage_endpoints.router)
    left = {("POST", "/policies/test-pipeline"), ("GET", "/policies/usage/overview")}
    assert routes(route for router in theirs for route in router.routes) - routes(app.routes) == left


@needs_daemon
def test_every_call_of_the_shipped_dashboard_is_answered(world: World) -> None:
    """Its pages are files of the wheel: the calls below `/policies` in their scripts, with this set's own ids."""
    chunks = Path(litellm.__file__).parent / "proxy/_experimental/out"
    calls: set[str] = set()
    for chunk in chunks.rglob("*.js"):
        calls.update(re.findall(r"[`\"'](/policies(?:[/?][^`\"' ]*)?)[`\"']", chunk.read_text(errors="replace")))
    assert {"/policies", "/policies/list", "/policies/attachments/list", "/policies/resolve"} <= calls, calls
    for call in sorted(calls):
        path = re.sub(
            r"\$\{[^}]*\}", ID if "/name/" in call else "config-1" if "/attachments/" in call else f"{ID}@2", call
        )
        found = [world.proxy.send(method, path, {"policy_name": "base"}) for method in ("GET", "POST", "PUT", "DELETE")]
        assert any(reply.status in (200, 409, 422) for reply in found), (call, found)
        # LiteLLM's own answer without a database.
        assert not any("Database not connected" in reply.body for reply in found), (call, found)


@needs_daemon
@pytest.mark.skipif(
    not os.environ.get("REFGUARD_TEST_NODE"), reason="REFGUARD_TEST_NODE names no folder with a browser"
)
def test_the_shipped_dashboard_shows_the_set_in_a_browser(tmp_path: Path, world: World) -> None:
    proxy = Proxy(tmp_path / "proxy", {"REFGUARD_URL": world.daemon.url, "REFGUARD_REPOSITORY": REPOSITORY}, ui=True)
    try:
        proxy.until_alive()
        proxy.until_running(world.commit)
        script = Path(__file__).with_name("dashboard.mjs")
        done = subprocess.run(
            ["node", script, f"http://127.0.0.1:{proxy.port}", MASTER_KEY, NAME], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout)
        assert "base" in seen["listed"] and NAME in seen["listed"] and "m.*" in seen["listed"], seen
        for text in ("Pipeline (pre_call mode, 1 step)", "Resolved Guardrails", "mark-a", f"{ID}@2"):
            assert text in seen["shown"], seen
        assert REPOSITORY in seen["said"] and "`policies/health.yaml:1`" in seen["said"], seen
        assert f"POST /policies/name/{ID}/versions 409" in seen["calls"], seen
        assert not [call for call in seen["calls"] if call.endswith(("404", "500", "503"))], seen
    finally:
        proxy.kill()


# With a database: a stand-in for LiteLLM's client of it, since the real one fetches its engine from the network.
STAND_IN = """
from types import SimpleNamespace

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy import proxy_server


class Table:
    def __init__(self, rows=()):
        self.rows = list(rows)

    async def find_many(self, where=None, **more):
        wanted = {k: v for k, v in (where or {}).items() if not isinstance(v, dict)}
        return [row for row in self.rows if all(getattr(row, k, None) == v for k, v in wanted.items())]

    def __getattr__(self, name):
        async def nothing(*args, **more):
            return None
        return nothing


def policy(name, guardrails):
    return SimpleNamespace(
        policy_id=f"row-{name}", policy_name=name, version_number=1, version_status="production", inherit=None,
        description=None, guardrails_add=guardrails, guardrails_remove=[], condition=None, pipeline=None,
        created_at=None, updated_at=None, created_by=None, updated_by=None,
    )


attachment = SimpleNamespace(
    attachment_id="row", policy_name="old", scope="*", teams=[], keys=[], models=[], tags=[], priority=None,
    is_default=False, created_at=None, updated_at=None, created_by=None, updated_by=None,
)


ROWS = {
    "litellm_policytable": Table([policy("base", ["mark-b"]), policy("same", ["mark-a"]), policy("old", [])]),
    "litellm_policyattachmenttable": Table([attachment]),
}


class Tables:
    def __getattr__(self, name):
        return ROWS.setdefault(name, Table())


class Connector(CustomLogger):
    # When a call asks for it: at its start LiteLLM asks more of a database than this one knows.

    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        if "connect" in str(data.get("messages")):
            proxy_server.prisma_client = SimpleNamespace(db=Tables())


callback = Connector()
"""


@needs_daemon
@pytest.mark.parametrize(
    ("mode", "config"),
    [
        ("enforce", 'general_settings: {supported_db_objects: ["models"]}\n'),
        ("replace", ""),
    ],
)
def test_old_rows_of_a_database_are_not_shown_and_are_told_of(tmp_path: Path, mode: str, config: str) -> None:
    repository = Repository(tmp_path / "repository")
    commit = repository.promote({"base": "mark-a", "same": "mark-a"})
    daemon = Daemon(repository, "127.0.0.1:0")
    proxy = Proxy(
        tmp_path / "proxy",
        {"REFGUARD_URL": daemon.url, "REFGUARD_MODE": mode},
        config=config,
        callbacks=("refguard_litellm.proxy.callback", "rows.callback"),
        files={"rows.py": STAND_IN},
    )
    try:
        proxy.until_alive()
        proxy.until_running(commit)
        assert proxy.complete("connect").status == 200
        commit = repository.promote({"base": "mark-a", "same": "mark-a"})
        proxy.until_running(commit)
        listed = PolicyListDBResponse.model_validate_json(proxy.get("/policies/list").body)
        assert {p.policy_name: p.guardrails_add for p in listed.policies} == {"base": ["mark-a"], "same": ["mark-a"]}
        assert proxy.get("/policies/old").status == 404
        attached = PolicyAttachmentListResponse.model_validate_json(proxy.get("/policies/attachments/list").body)
        assert sorted(a.policy_name for a in attached.attachments) == ["base", "same"]
        assert proxy.send("PUT", "/policies/row-base", {"guardrails_add": []}).status == 409
        told = proxy.get("/refguard/status").json()["old_rows"]
        assert told["error"] is None, told
        assert told == {
            "are_in_force": False,
            "hiding": ["base", "same"],
            "contradicting": ["base"],
            "only_here": ["old"],
            "attachments": 1,
            "error": None,
        }
        said = (
            "`base` there, with another meaning than in git; `same` there, as in git; `old` only there; 1 attachments"
        )
        until("the log says it", lambda: f"{said}; none of them is in force" in proxy.log.read_text())
        # Keys and teams are the database's, also here.
        reply = proxy.post("/policies/attachments/estimate-impact", {"policy_name": "base", "teams": ["x"]})
        assert (reply.status, reply.json()["affected_teams_count"]) == (200, 0), reply
    finally:
        proxy.kill()
        daemon.kill()


@needs_daemon
def test_beside_a_databases_policies_the_proxys_own_pages_stay(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    commit = repository.promote({"base": "mark-a"})
    daemon = Daemon(repository, "127.0.0.1:0")
    proxy = Proxy(
        tmp_path / "proxy",
        {"REFGUARD_URL": daemon.url, "REFGUARD_ALLOW_DATABASE_POLICIES": "true"},
        callbacks=("refguard_litellm.proxy.callback", "rows.callback"),
        files={"rows.py": STAND_IN},
    )
    try:
        proxy.until_alive()
        proxy.until_running(commit)
        assert proxy.complete("connect").status == 200
        commit = repository.promote({"base": "mark-a"})
        proxy.until_running(commit)
        listed = PolicyListDBResponse.model_validate_json(proxy.get("/policies/list").body)
        assert {p.policy_name: p.definition_location for p in listed.policies} == dict.fromkeys(
            ("base", "same", "old"), "db"
        )
        told = proxy.get("/refguard/status").json()["old_rows"]
        assert told["error"] is None, told
        assert (told["are_in_force"], told["hiding"], told["only_here"]) == (True, ["base"], ["old", "same"])
        until("the log says it", lambda: "in force, in the place of git's" in proxy.log.read_text())
    finally:
        proxy.kill()
        daemon.kill()
