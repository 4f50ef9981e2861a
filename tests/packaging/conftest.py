"""What is packaged, tried: manifests, archives, pipelines. Run by `bash .ci/run packages`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.repository import Repository

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the project."""
    return ROOT


@pytest.fixture(scope="session")
def program() -> Path:
    """The refguard under test: `REFGUARD_BIN`, else the debug build."""
    found = Path(os.environ.get("REFGUARD_BIN", ROOT / "target/debug/refguard"))
    assert found.is_file(), f"{found} is not there: build it, or name one with REFGUARD_BIN"
    return found.resolve()


@pytest.fixture
def policies(tmp_path: Path, program: Path) -> Repository:
    """A policy repository made from the example, promoted."""
    return Repository.make(tmp_path / "policies", program)
