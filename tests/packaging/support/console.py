"""Examples in pages: what stands after `$ ` is run, what stands below must be what it says.

A line `...` stands for any lines. Commits and times differ from run to run: any will do. A command goes on in lines
that begin with `> `, as a shell shows them.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

MARK = "===the command has ended==="


@dataclass
class Example:
    """A command, and the lines that it shows."""

    command: str
    shown: list[str] = field(default_factory=list)


def read_examples(page: str) -> list[Example]:
    """The examples of all blocks `console` of a page."""
    found: list[Example] = []
    for block in re.findall(r"^```console\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Example(line[2:]))
            elif line.startswith("> ") and not found[-1].shown:
                found[-1].command += "\n" + line[2:]
            else:
                found[-1].shown.append(line)
    return found


def run(examples: list[Example], folder: Path, variables: dict[str, str]) -> list[str]:
    """Runs the examples in one shell; what is wrong with them."""
    script = "".join(f"{it.command}\necho {MARK}\n" for it in examples)
    words = ["bash", "-c", f"exec 2>&1\n{script}"]
    said = subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True, timeout=300).stdout
    answers = said.split(MARK + "\n")
    faults = []
    for example, answer in zip(examples, answers, strict=False):
        if not matches(example.shown, answer.splitlines()):
            shown = "\n".join(example.shown)
            faults.append(f"$ {example.command}\n--- the page shows\n{shown}\n--- it says\n{answer}")
    return faults


def matches(shown: list[str], said: list[str]) -> bool:
    """Whether an answer is what a page shows."""
    parts = [".*" if line == "..." else re.escape(settle(line)) + "\n" for line in shown]
    text = "".join(settle(line) + "\n" for line in said)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def settle(line: str) -> str:
    """The line with what differs from run to run put the same."""
    line = re.sub(r"\b[0-9a-f]{10,40}\b", "COMMIT", line.rstrip())
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", "TIME", line)
