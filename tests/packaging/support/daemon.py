"""A daemon that runs for as long as a story needs it."""

from __future__ import annotations

import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.repository import environment

PATIENCE = 60


@contextmanager
def serve(program: Path, repository: Path, state: Path, *words: str) -> Iterator[str]:
    """The address of a daemon at a free port, which serves a repository."""
    command = [program, "-C", repository, "serve", "--listen", "127.0.0.1:0", "--state-dir", state, *words]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment())
    try:
        assert running.stdout is not None
        ready, _, _ = select.select([running.stdout], [], [], PATIENCE)
        assert ready, "it does not say where it listens"
        yield running.stdout.readline().removeprefix("listening on ").strip()
    finally:
        running.terminate()
        running.wait(PATIENCE)


def until_ready(program: Path, address: str) -> None:
    """Waits until a daemon answers requests."""
    subprocess.run([program, "wait", "--ready", "--timeout", f"{PATIENCE}s", address], check=True, capture_output=True)
