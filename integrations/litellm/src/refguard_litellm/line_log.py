"""A log of lines, written by a thread of its own, so that it never holds up who writes to it.

Lines are lost where the thread is behind and where they cannot be written (a full disk, a FIFO that nobody reads); both
are counted. Knows nothing of what the lines say.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

# Lines that may wait to be written.
_WAITING = 10_000
# Lines that are written at once.
_BATCH = 500
# How long the lines that wait at the end may take to be written.
_FAREWELL_SECONDS = 2.0


class LineLog:
    """The way to a log: a file that is appended to, or `-`, stderr. `trouble` is told, once, why lines are lost."""

    def __init__(self, path: str, trouble: Callable[[str], None]) -> None:
        self.path = path
        self._trouble = trouble
        self._lines: queue.Queue[str | threading.Event] = queue.Queue(_WAITING)
        self._lost = 0
        self._error: str | None = None
        self._file: int | None = None
        self._is_torn = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def write(self, line: str) -> None:
        """Writes a line soon, or counts it as lost. The line has no line break."""
        self._start()
        try:
            self._lines.put_nowait(f"{line}\n")
        except queue.Full:
            self._lost += 1

    def flush(self) -> None:
        """Waits until the lines so far are written, unless that takes long."""
        written = threading.Event()
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(written)
            if self._thread is not None:
                written.wait(_FAREWELL_SECONDS)

    def status(self) -> dict[str, Any]:
        """How it stands with the log, as JSON."""
        return {"log": self.path, "lost": self._lost, "error": self._error}

    def _start(self) -> None:
        # Not at the start of the process: a worker that is forked later has no threads of its parent's.
        if self._thread is not None and self._thread.is_alive():
            return
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="refguard-decisions", daemon=True)
                self._thread.start()
                atexit.register(self.flush)

    def _run(self) -> None:
        while True:
            batch = [self._lines.get()]
            while len(batch) < _BATCH and not self._lines.empty():
                batch.append(self._lines.get_nowait())

            lines = [line for line in batch if isinstance(line, str)]
            if lines:
                self._write_batch(lines)
            for done in batch:
                if isinstance(done, threading.Event):
                    done.set()

    def _write_batch(self, lines: list[str]) -> None:
        body, written, error = "".join(lines).encode(), 0, None
        try:
            file = self._open()
            # After a broken line, so that the next one stays readable.
            if self._is_torn:
                os.write(file, b"\n")
                self._is_torn = False
            # One write for all of them where the system lets it: workers append to the same file.
            while written < len(body):
                written += os.write(file, body[written:])
        except OSError as failure:
            error = f"decisions are lost: cannot write `{self.path}`: {failure.strerror or failure}"
            self._is_torn = written > 0 and body[written - 1 : written] != b"\n"
            self._close()
        self._lost += len(lines) - body[:written].count(b"\n")
        if error is not None and error != self._error:
            self._trouble(error)
        self._error = error

    def _open(self) -> int:
        """The file: another one where what has this name was moved away since."""
        if self.path == "-":
            return sys.stderr.fileno()
        if self._file is not None and not self._is_same(self._file):
            self._close()
        if self._file is None:
            # Without waiting for who reads a FIFO; once it is open, a slow reader holds up this thread only.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
            self._file = os.open(self.path, flags, 0o640)
            os.set_blocking(self._file, True)
        return self._file

    def _is_same(self, file: int) -> bool:
        try:
            named, held = os.stat(self.path), os.fstat(file)
        except OSError:
            return False
        return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
        self._file = None
