"""Environments of Python with the package for LiteLLM proxies in them, by its wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.repository import environment


def run(*words: str | Path, **more: str) -> str:
    """What a program says, which must end well."""
    own = environment(HOME="/nonexistent", **more)
    own |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    ran = subprocess.run(words, capture_output=True, text=True, env=own)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def build(root: Path, folder: Path) -> Path:
    """The wheel, for this machine only, with what `REFGUARD_EXTENSION_TARGET` has of earlier builds."""
    maturin = Path(sys.executable).with_name("maturin")
    target = os.environ.get("REFGUARD_EXTENSION_TARGET", root / "target/ci-extension")
    subprocess.run(
        [maturin, "build", "--compatibility", "linux", "--out", folder],
        check=True,
        cwd=root / "integrations/litellm",
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
    )
    (found,) = folder.glob("*.whl")
    return found


def install(python: str | Path, folder: Path, wheel: Path) -> Path:
    """A fresh environment of a Python with the wheel and nothing that it depends on; its interpreter."""
    run(python, "-m", "venv", folder)
    made = folder / "bin/python"
    run(made, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel)
    return made


def lend(python: Path, lender: str | Path) -> None:
    """Has an environment find what another one has, behind its own: LiteLLM takes minutes to install."""
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own, others = (Path(run(it, "-c", where).strip()) for it in (python, lender))
    (own / "lent.pth").write_text(f"{others}\n")
