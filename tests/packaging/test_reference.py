"""The reference of the site, held against the program: what it lists is what there is, and docs/ says nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.request
from html import unescape
from pathlib import Path
from types import ModuleType

import pytest
from support.daemon import serve, until_ready
from support.repository import Repository, environment
from support.scripts import load_script


@pytest.fixture(scope="module")
def reference(root: Path) -> ModuleType:
    return load_script(root / "packaging/site/reference.py")


def read_rows(page: Path) -> list[list[str]]:
    """The cells of all tables of a page, as they are read."""
    rows = re.findall(r"<tr>(.*?)</tr>", page.read_text(), re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]
    return [[unescape(re.sub("<[^>]*>", "", cell)).strip() for cell in row] for row in cells if row]


def ask(url: str, data: bytes | None = None) -> tuple[int, str]:
    """Status and body of an answer."""
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_every_verb_and_every_field_is_told(site: Path, root: Path) -> None:
    commands = (site / "commands.html").read_text()
    for verb in ("refguard promote", "refguard hook pre-receive", "refguard import litellm"):
        assert f">{verb}<" in commands, verb
    documents = (site / "documents.html").read_text()
    for path in (root / "schema").glob("*.json"):
        for field in json.loads(path.read_text()).get("properties", {}):
            assert f"<code>{field}</code>" in documents, f"{path.name}: {field}"


def test_every_rule_is_told(site: Path, program: Path) -> None:
    told = (site / "rules.html").read_text()
    said = subprocess.run([program, "explain", "--markdown"], check=True, capture_output=True, text=True).stdout
    codes = re.findall(r"^#+ .*\b(RG\d{3})\b", said, re.MULTILINE)
    assert len(codes) > 50 and all(code in told for code in codes)


def test_every_metric_is_told_as_a_daemon_has_it(
    site: Path, root: Path, policies: Repository, tmp_path: Path, reference: ModuleType
) -> None:
    rows = {row[0]: row[1:] for row in read_rows(site / "metrics.html")}
    with serve(policies.program, policies.path, tmp_path / "state") as address:
        until_ready(policies.program, address)
        ask(f"{address}/v1/resolve", b'{"context": {"team": "support"}}')
        text = ask(f"{address}/metrics")[1]
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        named = f"{name}_total" if kind == "counter" else name
        told = re.search(rf"^# HELP {name} (.*)$", text, re.MULTILINE)
        assert told and rows[named][0] == kind and rows[named][2] == told[1], named
    for name, labels in re.findall(r"^(refguard_\w+?)(?:_bucket|_sum|_count)?\{(.*)\} ", text, re.MULTILINE):
        assert set(re.findall(r'(\w+)="', labels)) - {"le"} <= set(rows[name][1].split(", ")), name
    # These are there only where something happens: the page's own daemon has met it.
    assert rows["refguard_rejected_info"][1] == "set, commit"
    assert rows["refguard_clients_commit"][1] == "set, commit"
    assert rows["refguard_shadow_guardrails_total"][1] == "change, guardrail"

    # The operator's page explains each of them and no other, some by the end of their names.
    explained: set[str] = set()
    for row in reference.read_table((root / "docs/daemon.md").read_text(), "Is it well?", "metric")[1:]:
        names = re.findall(r"`([a-z_]+)(?:\{[a-z,]*\})?`", row[0])
        explained |= {find_metric(name, names[0], set(rows)) for name in names}
    assert explained == set(rows)


def find_metric(name: str, first: str, metrics: set[str]) -> str:
    """The metric that a page calls by its name, or by the end of its name after another one."""
    if not name.startswith("_"):
        return name
    parts = first.split("_")
    ends = [f"{'_'.join(parts[:kept])}{name}" for kept in range(len(parts), 1, -1)]
    return next((it for it in ends if it in metrics), name)


def test_every_gate_is_told_with_what_passes_it(
    site: Path, root: Path, policies: Repository, reference: ModuleType
) -> None:
    policies.commit("policies/one.yaml", "apiVersion: refguard/v1\nkind: Policy\nname: one\ninherit: baseline\n")
    asked = re.findall(r"^gate (\w+): ", policies.refguard("promote", "--dry-run"), re.MULTILINE)
    help_text = policies.refguard("promote", "--help")
    rows = read_rows(site / "gates.html")
    assert [row[0] for row in rows] == asked and len(asked) >= 10
    named = re.search(r"Every gate is\s+asked before: ([^.]*)\.", help_text)
    assert named and set(re.split(r",\s+", named[1])) == set(asked)
    for gate, _, passed_by in rows:
        flag = re.search(rf"^ +(--[a-z-]+)(?: <REASON>)?\n +Pass the gate \*{gate}\*", help_text, re.MULTILINE)
        assert passed_by.split(" ")[0] == (flag[1] if flag else "nothing"), gate

    # What people wrote about them has the same gates in the same order, with the same flags.
    written = reference.read_table((root / "docs/lifecycle.md").read_text(), "The gates")[1:]
    assert [row[0] for row in written] == asked
    for (gate, _, passed_by), (_, _, told) in zip(rows, written, strict=True):
        assert passed_by.split(" ")[0] in told, gate


def test_exit_codes_are_what_scripts_see(site: Path, policies: Repository) -> None:
    rows = [row for row in read_rows(site / "exit-codes.html") if row[0].isdigit()]
    assert [row[0] for row in rows] == ["0", "1", "2", "3"]

    def code(*words: str) -> int:
        command = [policies.program, "-C", policies.path, *words]
        return subprocess.run(command, capture_output=True, env=environment()).returncode

    assert code("validate") == 0
    assert code("validate", "--no-such-option") == 2
    policies.commit("policies/one.yaml", "apiVersion: refguard/v1\nkind: Policy\nname: one\ninherit: baseline\n")
    assert code("promote", "--expect", policies.git("rev-parse", "HEAD")) == 3
    policies.commit("policies/one.yaml", "apiVersion: refguard/v1\nkind: Policy\nname: one\ninherit: none\n")
    assert code("validate") == 1 and code("promote") == 1


def test_limits_are_those_that_a_daemon_keeps(site: Path, policies: Repository, tmp_path: Path) -> None:
    told = unescape((site / "limits.html").read_text())
    rows = {row[0]: row[2] for row in read_rows(site / "limits.html")}
    assert {"--max-connections", "--max-batch", "--body-timeout", "--max-header-bytes"} <= set(rows)
    for line in policies.refguard("serve", "--help").partition("Limits that no option sets:\n")[2].splitlines():
        assert line.strip() in told, line

    body = re.search(r"body has at most (\d+) bytes \((\d+)\)", told)
    value = re.search(r"one value (\d+) bytes, (\d+) tags or tools \((\d+)\)", told)
    assert body and value
    batch = int(rows["--max-batch"])
    with serve(policies.program, policies.path, tmp_path / "state") as address:
        until_ready(policies.program, address)
        resolve = f"{address}/v1/resolve"

        def status(request: object, padding: int = 0) -> int:
            return ask(resolve, json.dumps(request).encode() + b" " * padding)[0]

        one = {"context": {"team": "support"}}
        size = len(json.dumps(one))
        assert status(one, int(body[1]) - size) == 200
        assert status(one, int(body[1]) - size + 1) == int(body[2])
        assert status({"context": {"team": "x" * int(value[1])}}) == 200
        assert status({"context": {"team": "x" * (int(value[1]) + 1)}}) == int(value[3])
        tags = [f"t{number}" for number in range(int(value[2]) + 1)]
        assert status({"context": {"tags": tags[1:]}}) == 200
        assert status({"context": {"tags": tags}}) == int(value[3])
        assert status({"requests": [one] * batch}) == 200
        assert status({"requests": [one] * (batch + 1)}) != 200


def test_the_api_is_what_a_daemon_describes(site: Path, policies: Repository, tmp_path: Path) -> None:
    page = (site / "api.html").read_text()
    headings = [unescape(re.sub("<[^>]*>", "", it)) for it in re.findall(r"<h2[^>]*>(.*?)</h2>", page, re.DOTALL)]
    told = {}
    for heading in headings:
        if named := re.match(r"([A-Z, ]+) (/\S*?)¶?$", heading.strip()):
            told.setdefault(named[2], set()).update(named[1].split(", "))
    with serve(policies.program, policies.path, tmp_path / "state") as address:
        until_ready(policies.program, address)
        described = json.loads(ask(f"{address}/openapi.json")[1])
        for path in told:
            if "GET" in told[path] and "{" not in path and path != "/v1/shadow":
                assert ask(address + path)[0] != 404, path
    assert told == {path: {it.upper() for it in methods} for path, methods in described["paths"].items()}
