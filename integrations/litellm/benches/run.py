"""What policies cost a real proxy, and what a swap does to it.

    REFGUARD_BIN=target/release/refguard python benches/run.py [--seconds 8] [--sizes 0,100,1000,10000]

A mock model and two guardrails. For each number of attachments (and as many policies) and each engine: requests a
second, p50 and p99 of chat completions; then, for swaps, the time from the move of the branch to the set in force, the
longest stop of the event loop meanwhile, and the worker's memory. 0 is the proxy without this package. Prints a line of
JSON for each, and a table at the end. Load generator, proxy and daemon share the machine: look at its load.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support import MASTER_KEY, Daemon, Proxy, Repository, until

CONNECTIONS = 8
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]}).encode()

# Notes every stop of the event loop that is longer than 2 ms.
HEART = """
import asyncio, json, time
from pathlib import Path
from litellm.integrations.custom_logger import CustomLogger


class Heart(CustomLogger):
    def __init__(self):
        super().__init__()
        self.task = asyncio.get_running_loop().create_task(self.beat())

    async def beat(self):
        with Path(__file__).with_name("stops.jsonl").open("w", buffering=1) as file:
            last = time.monotonic()
            while True:
                await asyncio.sleep(0.001)
                now = time.monotonic()
                if now - last > 0.003:
                    file.write(json.dumps([time.time(), now - last - 0.001]) + "\\n")
                last = now


heart = Heart()
"""


def documents(size: int, turn: int) -> str:
    """Both guardrails for every call, and policies for teams that never call, a quarter of them with a condition."""
    head = "---\napiVersion: refguard/v1\nkind: "
    parts = [
        f"{head}Policy\nname: base\ndescription: turn {turn}\nguardrails: {{add: [mark-a, mark-b]}}\n",
        f'{head}PolicyAttachment\npolicy: base\nscope: "*"\n',
    ]
    for number in range(1, size):
        condition = "condition: {model: 'gpt-4.*'}\n" if number % 4 == 0 else ""
        parent = "inherit: base\n" if number % 3 == 0 else ""
        parts.append(
            f"{head}Policy\nname: policy-{number:06}\ndescription: for a team\n{parent}"
            f"guardrails: {{add: [mark-{'ab'[number % 2]}]}}\n{condition}"
            f"{head}PolicyAttachment\npolicy: policy-{number:06}\nteams: [team-{number:06}, team-{number:06}-*]\n"
        )
    return "".join(parts)


def promote(repository: Repository, size: int, turn: int) -> str:
    folder = repository.path / "policies"
    folder.mkdir(exist_ok=True)
    # Files of 500 policies: a change is one of them.
    lines = documents(size, turn).split("---\n")[1:]
    for place in range(0, len(lines), 1000):
        text = "---\n" + "---\n".join(lines[place : place + 1000])
        (folder / f"part-{place:06}.yaml").write_text(text)
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", f"turn {turn}")
    return repository.git("rev-parse", "HEAD")


async def connection(port: int, until_time: float, times: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {MASTER_KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n"
    ).encode()
    while time.monotonic() < until_time:
        began = time.monotonic()
        writer.write(head + BODY)
        status = await reader.readline()
        if b" 200 " not in status:
            raise SystemExit(f"the proxy answers {status!r}")
        length = 0
        while (line := await reader.readline()).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        await reader.readexactly(length)
        times.append(time.monotonic() - began)
    writer.close()


async def load(port: int, seconds: float) -> list[float]:
    times: list[float] = []
    end = time.monotonic() + seconds
    await asyncio.gather(*(connection(port, end, times) for _ in range(CONNECTIONS)))
    return times


def measure_load(proxy: Proxy, seconds: float) -> dict[str, float]:
    asyncio.run(load(proxy.port, seconds / 3))
    began = time.monotonic()
    times = sorted(asyncio.run(load(proxy.port, seconds)))
    took = time.monotonic() - began
    return {
        "requests_per_s": round(len(times) / took, 1),
        "p50_ms": round(times[len(times) // 2] * 1000, 2),
        "p99_ms": round(times[int(len(times) * 0.99)] * 1000, 2),
    }


def memory(proxy: Proxy) -> float:
    status = Path(f"/proc/{proxy.process.pid}/status").read_text()
    return round(int(status.partition("VmRSS:")[2].split()[0]) / 1024, 1)


def measure_swaps(proxy: Proxy, repository: Repository, size: int, swaps: int) -> dict[str, Any]:
    enforced, stops = [], []
    file = Path(proxy.log).with_name("stops.jsonl")
    # The first question loads what answers it, which is no part of a swap.
    proxy.get("/refguard/status")
    for turn in range(1, swaps + 1):
        commit = promote(repository, size, turn)
        time.sleep(1)  # The loop's quiet before is no part of the swap.
        began = time.time()
        repository.git("update-ref", "refs/heads/production", commit)
        applied = until("the swap", partial(applied_at, proxy, commit))
        ended = time.time()
        enforced.append((datetime.fromisoformat(applied.replace("Z", "+00:00")).timestamp() - began) * 1000)
        seen = [json.loads(line) for line in file.read_text().splitlines()]
        stops.append(max((gap for at, gap in seen if began <= at <= ended + 0.5), default=0.0) * 1000)
    return {
        "enforced_ms": round(statistics.median(enforced)),
        "enforced_worst_ms": round(max(enforced)),
        "longest_stop_ms": round(max(stops), 1),
        "median_stop_ms": round(statistics.median(stops), 1),
    }


def applied_at(proxy: Proxy, commit: str) -> str | None:
    """When a commit came into force; looked for without keeping the proxy busy."""
    time.sleep(0.02)
    status = proxy.get("/refguard/status").json()
    return str(status["applied_at"]) if status["commit"] == commit else None


def run_proxy(folder: Path, size: int, engine: str, options: argparse.Namespace) -> dict[str, Any]:
    settings: dict[str, str] = {}
    daemon, repository = None, Repository(folder / "repository")
    if size:
        commit = promote(repository, size, 0)
        repository.git("update-ref", "refs/heads/production", commit)
        daemon = Daemon(repository, "127.0.0.1:0")
        settings = {"REFGUARD_URL": daemon.url, "REFGUARD_ENGINE": engine}
    callbacks = ["heart.heart"] + (["refguard_litellm.proxy.callback"] if size else [])
    proxy = Proxy(
        folder / "proxy",
        settings,
        callbacks=callbacks,
        files={"heart.py": HEART},
        default_on=not size,
    )
    try:
        proxy.until_alive()
        if size:
            proxy.until_running(commit)
        found: dict[str, Any] = {"attachments": size, "engine": engine, **measure_load(proxy, options.seconds)}
        found["rss_mib"] = memory(proxy)
        if size:
            found |= measure_swaps(proxy, repository, size, options.swaps)
            found["rss_after_swaps_mib"] = memory(proxy)
        return found
    finally:
        proxy.kill()
        if daemon is not None:
            daemon.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--swaps", type=int, default=5)
    parser.add_argument("--sizes", default="0,100,1000,10000")
    options = parser.parse_args()
    rows = []
    print(json.dumps({"cpus": os.cpu_count(), "load": os.getloadavg()}), flush=True)
    for size in map(int, options.sizes.split(",")):
        for engine in ("litellm", "refguard") if size else ("none",):
            with tempfile.TemporaryDirectory() as folder:
                row = run_proxy(Path(folder), size, engine, options)
            rows.append({**row, "load": round(os.getloadavg()[0], 1)})
            print(json.dumps(rows[-1]), flush=True)
    names = list(rows[-1])
    print("| " + " | ".join(names) + " |")
    for row in rows:
        print("| " + " | ".join(str(row.get(name, "")) for name in names) + " |")


if __name__ == "__main__":
    main()
