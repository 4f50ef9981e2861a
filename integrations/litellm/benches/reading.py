"""What it costs a worker to read a set: the time, and the memory.

    python benches/reading.py [--sizes 100,1000,10000] [--turns 9] [--engine litellm]

The bundle is made here. Memory is what the process has more, with one set and while a second takes its place.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from refguard_litellm.bundle import build
from refguard_litellm.client import Bundle
from refguard_litellm.engine import load_extension
from sets import core_bundle_of


def made_up(size: int, turn: int, engine: str) -> Bundle:
    """As `benches/run.py` promotes it."""
    policies: dict[str, dict[str, Any]] = {
        "base": {"description": f"turn {turn}", "guardrails": {"add": ["mark-a", "mark-b"]}}
    }
    attachments: list[dict[str, Any]] = [{"policy": "base", "scope": "*"}]
    for number in range(1, size):
        name = f"policy-{number:06}"
        policy: dict[str, Any] = {"description": "for a team", "guardrails": {"add": [f"mark-{'ab'[number % 2]}"]}}
        if number % 4 == 0:
            policy["condition"] = {"model": "gpt-4.*"}
        if number % 3 == 0:
            policy["inherit"] = "base"
        policies[name] = policy
        attachments.append({"policy": name, "teams": [f"team-{number:06}", f"team-{number:06}-*"]})
    if engine == "refguard":
        return core_bundle_of(f"c{turn}", policies, attachments)
    body = json.dumps({"policies": policies, "policy_attachments": attachments})
    return Bundle(body.encode(), f'"c{turn}-litellm-json"', f"c{turn}", is_json=True)


def resident() -> float:
    """Of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def measure(size: int, turns: int, engine: str) -> str:
    if engine == "refguard" and load_extension() is None:
        raise SystemExit("the extension is not built")
    bundles = [made_up(size, turn, engine) for turn in range(2)]
    before = resident()
    held = build(bundles[1])
    one, most = resident() - before, 0.0
    times = []
    for turn in range(turns):
        began = time.perf_counter()
        newer = build(bundles[turn % 2])
        times.append((time.perf_counter() - began) * 1e3)
        most = max(most, resident() - before)
        held = newer
    # What was replaced is let go on a thread of its own.
    time.sleep(0.5)
    mib = len(bundles[0].body) / (1 << 20)
    return (
        f"{held.policy_count:6} policies, {mib:.1f} MiB, {engine}: {statistics.median(times):.1f} ms (best "
        f"{min(times):.1f}); memory of the first {one:.1f} MiB, at most {most:.1f}, after {resident() - before:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100,1000,10000")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--engine", choices=["refguard", "litellm"], default="refguard")
    options = parser.parse_args()
    for size in map(int, options.sizes.split(",")):
        print(measure(size, options.turns, options.engine), flush=True)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
