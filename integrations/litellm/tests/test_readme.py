"""README.md's tables of where guardrails run: each row is held by a test that there is, and each endpoint that is tried
has a row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from test_endpoints import COUNTED, GUARDED, PASSED, QUEUE, TEXTLESS, UNGUARDED

HERE = Path(__file__).parent
README = HERE.parent.joinpath("README.md").read_text()


def table(head: str) -> list[list[str]]:
    """The cells of a table's rows."""
    _, found, rest = README.partition(f"\n| {head} |")
    assert found, head
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


ENDPOINTS = table("endpoint | the guardrail | without a set")
SILENT = table("what would be silent in LiteLLM | here | test")


@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row[0][:30])
def test_each_endpoint_of_the_table_is_tried(row: list[str]) -> None:
    said = re.findall(r"`([^`]+)`", row[0])
    files = [name for name in said if name.startswith("tests/")] or ["tests/test_endpoints.py"]
    tested = "".join(HERE.parent.joinpath(name).read_text() for name in [*files, "tests/support.py"])
    for path in said:
        if path.startswith("/"):
            assert re.search(re.escape(path).replace("…", r"[\w./{}-]+"), tested), f"no test in {files} asks {path}"


def test_each_endpoint_that_is_tried_is_in_the_table() -> None:
    said = {path for row in ENDPOINTS for path in re.findall(r"`(/[^`]+)`", row[0])}
    patterns = [re.compile(re.escape(path).replace("…", r"[\w./-]+")) for path in said]
    for path in (*GUARDED, *PASSED, *UNGUARDED, *COUNTED, *TEXTLESS, QUEUE):
        plain = re.sub(r"^/(engines|openai/deployments)/m(?=/)", "/v1", path.partition("?")[0])
        is_there = path == "/through" or any(pattern.fullmatch(plain) for pattern in patterns)
        assert is_there, f"README.md does not say what happens at {path}"


@pytest.mark.parametrize("row", SILENT, ids=lambda row: row[0][:30])
def test_each_row_of_what_would_be_silent_names_tests(row: list[str]) -> None:
    files = re.findall(r"`(test_\w+\.py)`", row[2])
    assert files or row[2] == "none"
    for name in files:
        assert (HERE / name).exists(), name
