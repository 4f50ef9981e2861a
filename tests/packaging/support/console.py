"""Examples in pages: what stands after `$ ` is run, what stands below must be what it says.

A line `...` stands for any lines, `…` within a line for anything in it. Commits and times differ from run to run: any
will do. A command goes on in the next line after a `\\`, and in lines that begin with `> `, as a shell shows them.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

MARK = "===the command has ended==="
PATIENCE = 300
# How a page's daemon is run: behind the shell, at a free port, until the page has ended. A person would open another
# terminal.
PRELUDE = r"""
exec 2>&1
refguard() {
    if [[ " $* " != *" serve "* ]]; then
        command refguard "$@"
        return
    fi
    exec {said}< <(exec refguard "$@" ${LISTEN:+--listen "$LISTEN"} 2>"$HOME/serve.log")
    while IFS= read -r -u "$said" line; do
        printf '%s\n' "$line"
        if [[ $line == 'see what is in force: '* ]]; then
            # A person types more slowly than a set is loaded.
            command refguard wait --ready --timeout 60s "http://$LISTEN" >/dev/null
            return
        fi
    done
    cat "$HOME/serve.log"
}
"""


@dataclass
class Example:
    """A command, and the lines that it shows."""

    command: str
    shown: list[str] = field(default_factory=list)


def read_examples(page: str) -> list[Example]:
    """The examples of all blocks `console` of a page."""
    found: list[Example] = []
    for block in re.findall(r"^```console\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        goes_on = False
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Example(line[2:]))
            elif goes_on or (line.startswith("> ") and not found[-1].shown):
                found[-1].command += "\n" + line.removeprefix("> ")
            else:
                found[-1].shown.append(line)
            goes_on = not found[-1].shown and line.endswith("\\")
    return found


def run(
    examples: list[Example],
    folder: Path,
    variables: dict[str, str],
    addresses: dict[str, str] | None = None,
    prelude: str = "",
) -> list[str]:
    """Runs the examples in one shell; what is wrong with them.

    `addresses` says where things are here that the page has elsewhere: `127.0.0.1:8731` at a free port. `prelude` is
    what the shell has been told before.
    """
    there = addresses or {}
    script = PRELUDE + prelude + "".join(f"\n{move(it.command, there)}\necho {MARK}" for it in examples)
    said = run_shell(script, folder, variables)
    for address, actual in there.items():
        said = said.replace(actual, address)

    answers = said.split(MARK + "\n")
    faults = []
    for example, answer in zip(examples, answers, strict=False):
        if not matches(example.shown, answer.splitlines()):
            shown = "\n".join(example.shown)
            faults.append(f"$ {example.command}\n--- the page shows\n{shown}\n--- it says\n{answer}")
    if len(answers) != len(examples) + 1:
        faults.append(f"the shell ended after {len(answers) - 1} of {len(examples)} commands: {answers[-1]}")
    return faults


def move(command: str, addresses: dict[str, str]) -> str:
    """The command with addresses as they are here."""
    for address, actual in addresses.items():
        command = command.replace(address, actual)
    return command


def run_shell(script: str, folder: Path, variables: dict[str, str]) -> str:
    """What a script says. What it left running is ended with it."""
    shell = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = shell.communicate(timeout=PATIENCE)
        return said
    finally:
        # The group is the shell's own: it began a session.
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)


def matches(shown: list[str], said: list[str]) -> bool:
    """Whether an answer is what a page shows."""
    parts = [".*" if line == "..." else re.escape(settle(line)).replace("…", r"[^\n]*") + "\n" for line in shown]
    text = "".join(settle(line) + "\n" for line in said)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def settle(line: str) -> str:
    """The line with what differs from run to run put the same."""
    line = re.sub(r"\b[0-9a-f]{10,64}\b", "COMMIT", line.rstrip())
    return re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", "TIME", line)
