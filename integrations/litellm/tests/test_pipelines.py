"""What `refguard test` says of a call, against what LiteLLM's own executor of pipelines does with it.

Sets are made by a seeded generator: guardrails with modes, `default_on` and `stream_scope`, policies of teams, and
pipelines. `REFGUARD_TEST_PIPELINES` is the number of calls.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from litellm.proxy.policy_engine import pipeline_executor

from support import clean_environment

pytestmark = pytest.mark.skipif(
    not os.environ.get("REFGUARD_BIN"), reason="REFGUARD_BIN does not name the refguard program"
)

CALLS = int(os.environ.get("REFGUARD_TEST_PIPELINES", "600"))
CALLS_PER_SET = 4
ORACLE = Path(__file__).parents[3] / "crates/core/tests/data/litellm/pipelines.py"

MODES = {"pre_call": 60, "during_call": 25, "post_call": 55, "logging_only": 8, "pre_mcp_call": 8}
SCOPES = ("both", "streaming", "non_streaming")
ACTIONS = ("next", "next", "allow", "block", "modify_response")
TEAMS = ("red", "blue")
OUTCOMES = ["pass", "pass", "fail", "error"]
# In older versions a rewrite that cannot be applied is an error like others.
if hasattr(pipeline_executor, "UnappliableRequestRewrite"):
    OUTCOMES.append("unappliable")


@dataclass
class Call:
    team: str
    outcomes: dict[str, list[str]]


@dataclass
class Made:
    """A set, and calls of it."""

    guardrails: list[dict[str, Any]]
    policies: list[dict[str, Any]]
    teams: list[str | None]
    """Each policy's one team; none: every call has it."""
    calls: list[Call]

    def misfits(self) -> set[tuple[str, str]]:
        """Each step's guardrail and mode where the guardrail does not run in that mode."""
        modes = {known["name"]: known["modes"] for known in self.guardrails}
        pipelines = [policy["pipeline"] for policy in self.policies if "pipeline" in policy]
        steps = {(step["guardrail"], pipeline["mode"]) for pipeline in pipelines for step in pipeline["steps"]}
        return {(name, mode) for name, mode in steps if mode not in modes[name]}

    def for_litellm(self, call: Call) -> dict[str, Any]:
        """The call as the oracle reads it."""
        matched = [policy for policy, team in zip(self.policies, self.teams, strict=True) if team in (None, call.team)]
        pipelines = [{"policy": policy["name"], **policy["pipeline"]} for policy in matched if "pipeline" in policy]
        given = sorted({name for policy in matched for name in policy["guardrails"]["add"]})
        return {"guardrails": self.guardrails, "given": given, "pipelines": pipelines, "outcomes": call.outcomes}

    def write(self, folder: Path) -> None:
        """As a folder that refguard reads, with a test of each call."""
        attachments = [
            {"policy": policy["name"], "priority": n, **({"teams": [team]} if team else {"scope": "*"})}
            for n, (policy, team) in enumerate(zip(self.policies, self.teams, strict=True))
        ]
        cases = [
            {
                "name": f"call {n}",
                "context": {"team": call.team},
                "outcomes": call.outcomes,
                "expect": {"action": "allow"},
            }
            for n, call in enumerate(self.calls)
        ]
        documents: list[tuple[str, dict[str, Any]]] = [("Catalog", {"guardrails": self.guardrails})]
        documents += [("Policy", policy) for policy in self.policies]
        documents += [("PolicyAttachment", attachment) for attachment in attachments]
        documents += [("PolicyTest", {"name": "calls", "cases": cases})]
        (folder / "policies").mkdir(parents=True)
        (folder / "policies/all.yaml").write_text(
            "".join(
                f"--- {json.dumps({'apiVersion': 'refguard/v1', 'kind': kind, **body})}\n" for kind, body in documents
            )
        )


def make_set(seed: int) -> Made:
    """The set of a seed."""
    dice = random.Random(seed)
    guardrails = [make_guardrail(dice, f"g{n}") for n in range(dice.randint(1, 4))]
    policies = [make_policy(dice, f"p{n}", guardrails) for n in range(dice.randint(1, 3))]
    teams = [dice.choice([None, None, *TEAMS]) for _ in policies]
    calls = [Call(dice.choice(TEAMS), make_outcomes(dice, guardrails)) for _ in range(CALLS_PER_SET)]
    return Made(guardrails, policies, teams, calls)


def make_guardrail(dice: random.Random, name: str) -> dict[str, Any]:
    modes = [mode for mode, percent in MODES.items() if dice.random() * 100 < percent]
    known = {"name": name, "modes": modes or [dice.choice(list(MODES))], "default_on": dice.random() < 0.1}
    return known | ({"stream_scope": dice.choice(SCOPES)} if dice.random() < 0.2 else {})


def make_policy(dice: random.Random, name: str, guardrails: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Most pipelines step only what runs at their mode."""
    add = [known for known in guardrails if dice.random() < 0.7] or [dice.choice(guardrails)]
    policy: dict[str, Any] = {"name": name, "guardrails": {"add": [known["name"] for known in add]}}
    mode = dice.choice(["pre_call", "post_call"])
    fitting = [known for known in add if mode in known["modes"]]
    able = fitting if dice.random() < 0.9 else add
    if able and dice.random() < 0.8:
        steps = [make_step(dice, dice.choice(able)["name"]) for _ in range(dice.randint(1, 3))]
        policy["pipeline"] = {"mode": mode, "steps": steps}
    return policy


def make_step(dice: random.Random, guardrail: str) -> dict[str, str]:
    chances = {"on_pass": 0.85, "on_fail": 0.85, "on_error": 0.4}
    return {"guardrail": guardrail} | {key: dice.choice(ACTIONS) for key, p in chances.items() if dice.random() < p}


def make_outcomes(dice: random.Random, guardrails: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """One that looks at streams only has none, as the calls are no streams."""
    return {
        known["name"]: ["skip"] if dice.random() < 0.1 else [dice.choice(OUTCOMES) for _ in range(dice.randint(1, 3))]
        for known in guardrails
        if known.get("stream_scope") != "streaming" and dice.random() < 0.9
    }


def ask_litellm(calls: Sequence[dict[str, Any]]) -> list[str]:
    """What LiteLLM does with each."""
    lines = "".join(f"{json.dumps(call)}\n" for call in calls)
    done = subprocess.run([sys.executable, ORACLE], input=lines, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["action"] for line in done.stdout.splitlines() if line.startswith("{")]


def ask_refguard(folder: Path) -> Any:
    """The report of `refguard test`."""
    command = [os.environ["REFGUARD_BIN"], "-C", str(folder), "test", "--format", "json"]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    return json.loads(done.stdout)


def test_calls_end_as_litellm_ends_them_or_the_set_is_refused(tmp_path: Path) -> None:
    sets = [make_set(seed) for seed in range(-(-CALLS // CALLS_PER_SET))]
    theirs = iter(ask_litellm([made.for_litellm(call) for made in sets for call in made.calls]))
    equal, refused, ended = 0, 0, set()
    for seed, made in enumerate(sets):
        made.write(tmp_path / str(seed))
        report = ask_refguard(tmp_path / str(seed))
        want = [next(theirs) for _ in made.calls]
        if "error" in report:
            # A step that no call reaches, and a step that LiteLLM passes in silence.
            codes = {found["code"] for found in report["error"]["findings"] if found["severity"] == "error"}
            assert codes <= {"RG108", "RG122"} and codes, (seed, codes)
            assert ("RG122" in codes) == bool(made.misfits()), (seed, codes, made)
            refused += len(want)
            continue

        assert not made.misfits(), (seed, made)
        got = [case["got"]["action"] for case in report["cases"]]
        assert got == want, (seed, made)
        equal += len(got)
        ended |= set(got)

    print(f"{equal} calls end alike, {refused} are of sets that are refused")
    assert equal > CALLS * 0.55 and refused and ended == {"allow", "block", "modify_response"}, (equal, refused, ended)
