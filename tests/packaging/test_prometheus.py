"""Alerts and dashboard: well formed, tried by Prometheus itself, and each alert in the runbook.

That every metric in them is one of the daemon's is a story of the daemon: tests/daemon/metrics.rs.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture
def alerts(root: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load((root / "packaging/prometheus/alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def promtool(*arguments: str | Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    result = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_alerts_are_rules_that_prometheus_takes(root: Path) -> None:
    promtool("check", "rules", root / "packaging/prometheus/alerts.yaml")


def test_alerts_fire_when_they_should_and_not_before(root: Path, alerts: list[dict[str, Any]]) -> None:
    tests = root / "packaging/prometheus/alerts.test.yaml"
    promtool("test", "rules", tests)
    cases = [case for test in yaml.safe_load(tests.read_text())["tests"] for case in test["alert_rule_test"]]
    firing = {case["alertname"] for case in cases if case["exp_alerts"]}
    quiet = {case["alertname"] for case in cases if not case["exp_alerts"]}
    names = {alert["alert"] for alert in alerts}
    assert firing == names
    assert quiet == names


def test_the_runbook_has_each_alert_and_no_other(root: Path, alerts: list[dict[str, Any]]) -> None:
    section = (root / "docs/runbook.md").read_text().split("## By alert", 1)[1].split("\n## ", 1)[0]
    headings = re.findall(r"^### (\w+)$", section, flags=re.MULTILINE)
    assert headings == [alert["alert"] for alert in alerts]
    for alert in alerts:
        assert alert["annotations"]["runbook"] == f"docs/runbook.md#{alert['alert'].lower()}"
        assert alert["labels"]["severity"] in {"page", "ticket"}


def test_the_dashboard_has_a_place_for_each_panel(root: Path) -> None:
    dashboard = json.loads((root / "packaging/grafana/refguard.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells
        assert panel["targets"], panel["title"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
