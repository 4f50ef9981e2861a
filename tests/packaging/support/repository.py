"""A policy repository that a story may change."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

AUTHOR = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def environment(**more: str) -> dict[str, str]:
    """Little but the path: what a story depends on is named by it."""
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **AUTHOR, **more}


@dataclass(frozen=True)
class Repository:
    """A folder with a git repository in it."""

    path: Path
    program: Path

    @classmethod
    def make(cls, path: Path, program: Path) -> Repository:
        """The example of the binary, committed and promoted."""
        subprocess.run([program, "init", path], check=True, capture_output=True, env=environment(HOME=str(path.parent)))
        return cls(path, program)

    def git(self, *words: str) -> str:
        """What git answers."""
        command = ["git", "-C", str(self.path), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment()).stdout.strip()

    def refguard(self, *words: str) -> str:
        """What refguard answers."""
        command = [str(self.program), "-C", str(self.path), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment()).stdout

    def commit(self, path: str, text: str, message: str = "change") -> str:
        """Writes a file and commits it; the commit's id."""
        (self.path / path).parent.mkdir(parents=True, exist_ok=True)
        (self.path / path).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")
