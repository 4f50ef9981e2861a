"""Telling the daemon what this worker enforces, so that «served» and «enforced» can be told apart.

A report that fails disturbs nothing: it is sent again, and following goes on. Knows nothing of LiteLLM.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import socket
from collections.abc import Callable
from typing import Any, Protocol

from .client import DaemonAway

Report = dict[str, Any]

# How often the daemon is told the same again: it takes a client that is silent for 90 s for lost.
REPORT_SECONDS = 30.0
# How long a worker that ends waits for the daemon to hear of it.
_FAREWELL_SECONDS = 2.0
# The daemon takes 64 KiB.
_MAX_BYTES = 60 << 10
_MAX_REASON = 2_000


class Desk(Protocol):
    """Where reports are handed in."""

    async def report(self, client_id: str, report: Report) -> Report | None:
        """What the daemon says of the set then; `None` where it takes no reports."""

    async def leave(self, client_id: str) -> None:
        """Says that this worker ends."""


def client_id() -> str:
    """A name that no other worker has: hosts can share a name, and containers a process id."""
    host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:96] or "host"
    return f"{host}.{os.getpid()}.{secrets.token_hex(3)}"


def fit(report: Report) -> Report:
    """The report within what the daemon takes: a long reason is cut, guardrails that have no room are left out."""
    reason = report["reason"]
    if reason is not None and len(reason) > _MAX_REASON:
        report = {**report, "reason": f"{reason[:_MAX_REASON]}…"}
    guardrails = list(report["guardrails"])
    while guardrails and len(json.dumps({**report, "guardrails": guardrails}).encode()) > _MAX_BYTES:
        guardrails = guardrails[: len(guardrails) * 3 // 4]
    return {**report, "guardrails": guardrails}


class Reporter:
    """Reports at each change, and again and again."""

    def __init__(
        self,
        describe: Callable[[], Report],
        heard: Callable[[Report | None], None],
        trouble: Callable[[str], None],
    ) -> None:
        self.client_id = client_id()
        self._describe = describe
        self._heard = heard
        self._trouble = trouble
        self._told: Report | None = None
        self._due = asyncio.Event()

    def notice(self) -> None:
        """Looks whether there is something new to tell."""
        if self._describe() != self._told:
            self._due.set()

    async def run(self, desk: Desk) -> None:
        """Reports until it is cancelled; then it says that this worker ends, so that nobody waits for it."""
        try:
            while True:
                await self._report(desk)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._due.wait(), REPORT_SECONDS)
        finally:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(desk.leave(self.client_id), _FAREWELL_SECONDS)

    async def _report(self, desk: Desk) -> None:
        self._due.clear()
        report = self._describe()
        try:
            self._heard(await desk.report(self.client_id, fit(report)))
            self._told = report
        except DaemonAway as error:
            # The follower says that the daemon is away; what a daemon that is there refuses only this says.
            self._told = None
            self._trouble(str(error))
        except Exception as error:  # A bug here must not end the reports for good.
            self._told = report
            self._trouble(f"{type(error).__name__}: {error}")
