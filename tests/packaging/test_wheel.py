"""The wheel: the program by pip, and as a hook of pre-commit, without a compiler.

`REFGUARD_WHEEL` names the wheel to try; else one is made of the debug build, for this machine only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import yaml
from support.repository import Repository, environment

BROKEN = "apiVersion: refguard/v1\nkind: Policy\nname: support\ngaurdrails:\n  add: [pii_masker]\n"


@pytest.fixture(scope="module")
def place(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of Python with the wheel in it."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    start = time.monotonic()
    install = [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", wheel]
    subprocess.run(install, check=True)
    print(f"installed in {time.monotonic() - start:.1f} s")
    return folder


def test_it_holds_the_program_its_licence_and_no_code(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name.split("/", 1)[1] for name in archive.namelist()}
        (metadata,) = (archive.read(it).decode() for it in archive.namelist() if it.endswith("/METADATA"))
    assert {"scripts/refguard", "licenses/LICENSE", "METADATA"} <= names
    assert not any(name.endswith((".py", ".so")) for name in names), names
    head, _, _ = metadata.partition("\n\n")
    assert "Requires-Dist" not in head, "it needs nothing"
    assert "License-Expression: Apache-2.0" in head


def test_the_program_is_there_once_it_is_installed(place: Path, policies: Repository) -> None:
    program = place / "bin/refguard"
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    assert said.startswith("refguard ")
    subprocess.run([program, "-C", policies.path, "validate", "--deny-warnings"], check=True)


def test_pre_commit_judges_a_commit_by_it(wheel: Path, policies: Repository, tmp_path: Path) -> None:
    """The configuration that docs/review.md shows, with the wheel of this test."""
    hook = {
        "id": "refguard",
        "name": "refguard",
        "language": "python",
        "additional_dependencies": [str(wheel)],
        "entry": "refguard hook pre-commit",
        "pass_filenames": False,
        "always_run": True,
    }
    settings = yaml.safe_dump({"repos": [{"repo": "local", "hooks": [hook]}]})
    policies.commit(".pre-commit-config.yaml", settings)
    pre_commit = Path(sys.executable).with_name("pre-commit")
    own = environment(HOME=str(tmp_path), PRE_COMMIT_HOME=str(tmp_path / "cache"))
    own |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    subprocess.run([pre_commit, "install"], check=True, cwd=policies.path, env=own)

    def commit(text: str) -> subprocess.CompletedProcess[str]:
        (policies.path / "policies/support.yaml").write_text(text)
        policies.git("add", "--all")
        words = ["git", "commit", "--message", "support"]
        return subprocess.run(words, cwd=policies.path, env=own, capture_output=True, text=True)

    refused = commit(BROKEN)
    assert refused.returncode != 0 and "unknown field `gaurdrails`" in refused.stdout + refused.stderr, refused
    taken = commit(BROKEN.replace("gaurdrails", "guardrails"))
    assert taken.returncode == 0, taken.stdout + taken.stderr


def test_it_runs_where_glibc_is_2_28(wheel: Path) -> None:
    if "manylinux" not in wheel.name:
        pytest.skip("made for this machine only; name one of packaging/wheel/build.sh with REFGUARD_WHEEL")
    auditwheel = [sys.executable, "-m", "auditwheel", "show", wheel]
    told = subprocess.run(auditwheel, check=True, capture_output=True, text=True).stdout
    assert "manylinux_2_28_" in wheel.name
    assert any(f'"manylinux_2_{minor}_' in told for minor in range(5, 29)), told
