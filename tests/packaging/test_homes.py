"""What the tests start has no home that it could make, and leave, outside of the tests' own folders."""

from __future__ import annotations

from pathlib import Path

SOURCES = {".mjs", ".py", ".rs", ".sh"}


def test_nobody_is_given_a_home_that_root_could_make(root: Path) -> None:
    """pip asks `rustc` for its version, and rustup then makes the home that it is told of: `/nonexistent` too."""
    own = Path(__file__).resolve()
    for folder in ("tests", "integrations/litellm/tests", "integrations/litellm/benches", "benches"):
        for path in (root / folder).rglob("*"):
            if path.suffix not in SOURCES or path.resolve() == own:
                continue
            lines = enumerate(path.read_text().splitlines(), start=1)
            found = [number for number, line in lines if "HOME" in line and "nonexistent" in line]
            assert not found, f"{path}:{found}: `/dev/null` is a home that nobody can make"
