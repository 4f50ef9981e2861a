"""How long a proxy takes to find a daemon that was restarted.

    REFGUARD_BIN=target/release/refguard python benches/restarts.py [--restarts 10]

Each time the daemon is killed, stays away until the proxy has said so, and comes back with nothing new. Measured is the
time from the daemon's first readiness to the proxy's state `current`, and from the start of the daemon's process.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support import Daemon, Proxy, Repository, ask_daemon, free_port, until


def is_ready(address: str) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return bool(ask_daemon(address, "/v1/status"))
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restarts", type=int, default=10)
    options = parser.parse_args()
    found, since_start = [], []
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository(Path(folder) / "repository")
        commit = repository.promote({"base": "mark-a"})
        address = f"127.0.0.1:{free_port()}"
        daemon = Daemon(repository, address)
        # A question that a restarted daemon held would leave the proxy `away` for a minute.
        proxy = Proxy(Path(folder) / "proxy", {"REFGUARD_URL": f"http://{address}", "REFGUARD_WAIT": "60"})
        try:
            proxy.until_alive()
            proxy.until_running(commit)
            for turn in range(options.restarts):
                daemon.kill()
                proxy.until_status("it is away", lambda status: status["state"] == "away")
                # The longer it is away, the longer the pauses are: up to `REFGUARD_RETRY_MAX`.
                time.sleep(turn * 0.7)
                started = time.monotonic()
                daemon = Daemon(repository, address)
                until("the daemon is ready", lambda: is_ready(address))
                ready = time.monotonic()
                proxy.until_status("it is found", lambda status: status["state"] == "current")
                now = time.monotonic()
                found.append(now - ready)
                since_start.append(now - started)
        finally:
            proxy.kill()
            daemon.kill()
    for name, times in (("after it is ready", found), ("after its start", since_start)):
        times.sort()
        print(f"found {name}: median {times[len(times) // 2]:.2f} s, worst {times[-1]:.2f} s, of {len(times)}")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
