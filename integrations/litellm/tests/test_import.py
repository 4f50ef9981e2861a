"""What LiteLLM's own endpoints list of a database's rows, as the program imports it.

The database is a stand-in for LiteLLM's client of it, since the real one fetches its engine from the network.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from litellm.proxy import proxy_server
from litellm.proxy.policy_engine import policy_endpoints

from support import clean_environment

pytestmark = pytest.mark.skipif(
    not os.environ.get("REFGUARD_BIN"), reason="REFGUARD_BIN does not name the refguard program"
)


class Table:
    """Rows, the newest first."""

    def __init__(self, rows: list[SimpleNamespace]) -> None:
        self.rows = rows

    async def find_many(self, **_: Any) -> list[SimpleNamespace]:
        """All of them."""
        return sorted(self.rows, key=lambda row: row.created_at, reverse=True)


def at(month: int) -> datetime:
    return datetime(2026, month, 1, 12, tzinfo=timezone.utc)


def make_row(name: str, number: int, status: str, month: int, **fields: Any) -> SimpleNamespace:
    """A row as the database has it."""
    common: dict[str, Any] = {
        "policy_id": f"{name}-{number}",
        "parent_version_id": None,
        "is_latest": False,
        "published_at": None,
    }
    common |= {"production_at": None, "inherit": None, "description": None, "guardrails_remove": []}
    common |= {"condition": None, "pipeline": None, "created_at": at(month), "updated_at": at(month)}
    common |= {"created_by": f"author-{month}", "updated_by": f"author-{month}"}
    return SimpleNamespace(policy_name=name, version_number=number, version_status=status, **{**common, **fields})


POLICIES = [
    make_row("base", 1, "published", 1, guardrails_add=["pii", "toxicity"]),
    make_row("base", 2, "production", 2, guardrails_add=["pii"]),
    make_row("base", 3, "draft", 4, guardrails_add=["pii", "topic"]),
    make_row("base", 4, "draft", 5, guardrails_add=["pii", "audit"]),
    make_row("health", 1, "production", 3, inherit="base", guardrails_add=["phi"], condition={"model": "gpt-4.*"}),
]
ATTACHMENTS = [
    SimpleNamespace(
        attachment_id=name, policy_name=name, scope=scope, teams=teams, keys=[], models=[], tags=[], priority=None,
        is_default=False, created_at=at(1), updated_at=at(1), created_by="author-1", updated_by="author-1",
    )
    for name, scope, teams in (("base", "*", []), ("health", None, ["health*"]))
]  # fmt: skip


def test_what_the_endpoints_list_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {"litellm_policytable": Table(POLICIES), "litellm_policyattachmenttable": Table(ATTACHMENTS)}
    monkeypatch.setattr(proxy_server, "prisma_client", SimpleNamespace(db=SimpleNamespace(**tables)))
    policies = asyncio.run(policy_endpoints.list_policies())
    attachments = asyncio.run(policy_endpoints.list_policy_attachments())
    (tmp_path / "policies.json").write_text(policies.model_dump_json())
    (tmp_path / "attachments.json").write_text(attachments.model_dump_json())

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    binary = os.environ["REFGUARD_BIN"]
    files = ["--policies", "policies.json", "--attachments", "attachments.json"]
    run(binary, "import", "litellm", *files, "-o", "mine")
    run(binary, "-C", "mine", "validate")
    drafts = run("git", "-C", "mine", "for-each-ref", "--format=%(refname:short)", "refs/heads/draft")
    assert drafts.split() == ["draft/base-3", "draft/base-4"]
    log = run("git", "-C", "mine", "log", "--reverse", "--format=%an %as", "--", "policies")
    wanted = ["author-1 2026-01-01", "author-2 2026-02-01", "author-3 2026-03-01"]
    assert [line for line in log.splitlines() if line in wanted] == wanted, log
    answer = run(binary, "-C", "mine", "resolve", "--team", "health-eu", "--model", "gpt-4o")
    assert "pii" in answer and "phi" in answer and "toxicity" not in answer
