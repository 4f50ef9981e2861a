"""What policies cost a call in the proxy's own path, without the proxy around it.

    python benches/request_path.py

Times `move_guardrails_to_metadata`, in which LiteLLM gives a call its policies, for each engine and number of
attachments.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import litellm
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.proxy import proxy_server
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.litellm_pre_call_utils import move_guardrails_to_metadata
from litellm.proxy.policy_engine import attachment_registry, policy_registry

from refguard_litellm.bundle import build
from refguard_litellm.client import Bundle
from refguard_litellm.proxy import RefguardCallback
from refguard_litellm.settings import Settings
from sets import core_bundle_of


def documents(size: int) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """One policy for every call, and policies for other teams, a quarter of them with a condition."""
    policies: dict[str, dict[str, Any]] = {"base": {"guardrails": {"add": ["a", "b"]}}}
    attachments: list[dict[str, Any]] = [{"policy": "base", "scope": "*"}]
    for number in range(1, size):
        policy: dict[str, Any] = {"guardrails": {"add": ["ab"[number % 2]]}}
        if number % 4 == 0:
            policy["condition"] = {"model": "gpt-4.*"}
        if number % 3 == 0:
            policy["inherit"] = "base"
        policies[f"policy-{number:06}"] = policy
        attachments.append({"policy": f"policy-{number:06}", "teams": [f"team-{number}", f"team-{number}-*"]})
    return policies, attachments


def proxy_with(size: int, engine: str) -> RefguardCallback:
    """A callback that enforces such a set, among LiteLLM's own code."""
    attachment_registry._attachment_registry = None
    policy_registry._policy_registry = None
    callback = RefguardCallback(Settings(engine=engine))
    vars(callback.follower)["start"] = lambda: None
    policies, attachments = documents(size)
    body = json.dumps({"policies": policies, "policy_attachments": attachments}).encode()
    is_ours = engine == "refguard"
    found = core_bundle_of("c", policies, attachments) if is_ours else Bundle(body, "e", "c", is_json=True)
    litellm.callbacks[:] = [CustomGuardrail(guardrail_name=name) for name in "ab"]
    callback.follower._pending = build(found)
    callback.follower._recheck()
    return callback


async def measure(calls: int) -> list[float]:
    """The time of each call of a team that has a policy of its own."""
    key, times = UserAPIKeyAuth(api_key="k", team_alias="team-5"), []
    for _ in range(calls):
        began = time.perf_counter()
        await move_guardrails_to_metadata({"metadata": {}, "model": "gpt-4"}, "metadata", key)
        times.append((time.perf_counter() - began) * 1e6)
    return sorted(times)


def main() -> None:
    proxy_server.prisma_client = None
    for size in (100, 1_000, 10_000):
        for engine in ("litellm", "refguard"):
            callback = proxy_with(size, engine)
            times = asyncio.run(measure(30 if engine == "litellm" else 300))
            worst = times[int(len(times) * 0.99)]
            print(f"{size:6} {engine:9} p50 {statistics.median(times):8.0f} µs  p99 {worst:8.0f} µs")
            del callback
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
