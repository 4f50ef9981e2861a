"""The tables of docs/scale.md that say what daemons carry: each number is what was measured, in proportion."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path

MEASURED = 2_000


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of the table whose head begins with a cell."""
    _, _, rest = text.partition(f"| {first} |")
    table = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def number(text: str) -> int:
    return int(text.replace(",", ""))


def options(followers: int, program: Path) -> str:
    """A tenth to spare; of connections twice as many. None where that is within what there is without."""
    parked = followers * 11 // 10
    said = subprocess.run([program, "serve", "--help"], check=True, capture_output=True, text=True).stdout
    limits = {}
    for name in ("max-parked", "max-connections"):
        found = re.search(rf"--{name} .*?\[default: (\d+)\]", said, re.DOTALL)
        assert found, name
        limits[name] = int(found[1])
    if parked <= limits["max-parked"] and 2 * parked <= limits["max-connections"]:
        return "none"
    return f"`--max-parked {parked} --max-connections {2 * parked}`"


def test_what_one_and_several_daemons_carry_is_computed_from_what_was_measured(root: Path, program: Path) -> None:
    text = (root / "docs/scale.md").read_text()
    figures = {cells[0]: cells[1] for cells in rows(text, "what")}
    (memory,) = re.findall(r"^(\d+) kB$", figures["memory of a follower that waits, with its report"])
    woken = figures["woken by a promotion: median, 99 of 100, the last"].split(", ")[1]

    one = rows(text, "followers")
    assert one.pop()[0] == "more" and number(one[-1][0]) == MEASURED
    for cells in one:
        followers = number(cells[0])
        due = [f"{round(followers * int(memory) / 1000)} MB", f"{round(followers * int(woken) / MEASURED)} ms"]
        assert cells[1:] == [*due, options(followers, program)], cells

    for cells in rows(text, "followers in all"):
        total, daemons, each = map(number, cells[:3])
        assert daemons == math.ceil(total / MEASURED) + 1, cells
        assert each == math.ceil(total / (daemons - 1)) <= MEASURED, cells
        assert cells[3:] == [f"{round(each * int(memory) / 1000)} MB", options(each, program)], cells
