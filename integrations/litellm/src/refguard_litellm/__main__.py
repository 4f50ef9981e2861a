"""`refguard_litellm shadow`: what the workers of a proxy in the shadow have compared."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

import httpx


def main(arguments: list[str] | None = None) -> int:
    """Runs a command. Exit code 0: no difference, 1: some, 2: it cannot be told."""
    parser = argparse.ArgumentParser(
        prog="refguard_litellm", description="What a LiteLLM proxy and refguard differ in."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    shadow = commands.add_parser("shadow", help="the differences by team that a proxy with REFGUARD_MODE=shadow found")
    shadow.add_argument("--proxy", default="http://127.0.0.1:4000", help="where the proxy listens")
    shadow.add_argument("--key-variable", default="LITELLM_MASTER_KEY", help="the variable that holds an admin's key")
    shadow.add_argument("--asks", type=int, default=20, help="how often to ask, so that every worker answers")
    shadow.add_argument("--format", choices=("human", "json"), default="human")
    options = parser.parse_args(arguments)
    try:
        reports = _ask(options.proxy, os.environ.get(options.key_variable, ""), max(1, options.asks))
    except (httpx.HTTPError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.format == "json":
        print(json.dumps({"workers": reports}))
    else:
        print("\n".join(_lines(reports)))
    if not any(report["calls"] for report in reports) or any(report["errors"] for report in reports):
        return 2
    return 1 if any(report["differing"] for report in reports) else 0


def _ask(proxy: str, key: str, asks: int) -> list[dict[str, Any]]:
    """The last report of each worker that answered."""
    workers: dict[int, dict[str, Any]] = {}
    for _ in range(asks):
        # A connection each time: another worker may answer.
        reply = httpx.get(
            f"{proxy.rstrip('/')}/refguard/shadow",
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
            timeout=15,
        )
        if reply.status_code == httpx.codes.NOT_FOUND:
            raise ValueError("the proxy is not in the shadow: start it with `REFGUARD_MODE=shadow`")
        if reply.status_code != httpx.codes.OK:
            raise ValueError(f"the proxy answers {reply.status_code}: an admin's key is needed")
        report = reply.json()
        workers[report["worker"]] = report
    return list(workers.values())


def _lines(reports: list[dict[str, Any]]) -> list[str]:
    teams: dict[str, list[Any]] = {}
    for report in reports:
        for team in report["teams"]:
            name = team["team"] if team["team"] is not None else "(no team)"
            known = teams.setdefault(name, [0, 0, []])
            known[0] += team["calls"]
            known[1] += team["differing"]
            known[2] += team["differences"]
    calls, differing = (sum(report[key] for report in reports) for key in ("calls", "differing"))
    commits = sorted({str(report["commit"])[:12] for report in reports})
    lines = [f"{len(reports)} workers, commit {', '.join(commits)}: {calls} calls compared, {differing} differ"]
    for name, (seen, others, differences) in sorted(teams.items(), key=lambda item: (-item[1][1], item[0])):
        lines.append(f"{name}: {seen} calls, {others} differ")
        for found in differences:
            parts = [f"{word} {', '.join(found[key])}" for key, word in _WORDS.items() if found[key]]
            asked = ", ".join(f"{key} {value}" for key, value in found["example"].items() if value)
            lines.append(f"  {found['count']} times: {'; '.join(parts)}{f' (as for {asked})' if asked else ''}")
    errors = sum(report["errors"] for report in reports)
    return lines + ([f"{errors} calls could not be compared: see the proxy's log"] if errors else [])


_WORDS = {
    "missing": "refguard would not run",
    "extra": "only refguard would run",
    "pipelines": "another pipeline of",
}


if __name__ == "__main__":
    sys.exit(main())
