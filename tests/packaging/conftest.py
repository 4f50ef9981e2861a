"""What is packaged, tried: manifests, archives, pipelines. Run by `bash .ci/run packages`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import forge, kubectl, litellm
from support.pod import BASIC
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


@pytest.fixture(scope="session")
def stripped(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without debug information, which would be most of each archive."""
    path = tmp_path_factory.mktemp("stripped") / "refguard"
    subprocess.run(["strip", "-o", path, program], check=True)
    return path


@pytest.fixture
def policies(tmp_path: Path, program: Path) -> Repository:
    """A policy repository made from the example, promoted."""
    return Repository.make(tmp_path / "policies", program)


@pytest.fixture
def remote(policies: Repository) -> Iterator[str]:
    """That repository on a forge that asks for a name: the URL of the folder that it is in."""
    with forge.serve(policies.path.parent, {BASIC}) as url:
        yield url


@pytest.fixture(scope="session")
def render(root: Path) -> Callable[[str], list[dict[str, Any]]]:
    """The documents of an overlay."""
    kustomize = kubectl.find(root / "target/ci-kubectl")
    return lambda overlay: kubectl.render(kustomize, root / "packaging/kubernetes" / overlay)


@pytest.fixture(scope="session")
def installed() -> Callable[[str], str]:
    """A program of Debian's package of that name, which is installed where it is not there."""

    def find(name: str) -> str:
        if not shutil.which(name):
            subprocess.run(["apt-get", "update", "-qq"], check=True)
            subprocess.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", name], check=True)
        found = shutil.which(name)
        assert found
        return found

    return find


@pytest.fixture(scope="session")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel to try: `REFGUARD_WHEEL`, else one made of the debug build, for this machine only."""
    if named := os.environ.get("REFGUARD_WHEEL"):
        return Path(named).resolve()
    folder = tmp_path_factory.mktemp("wheel")
    maturin = Path(sys.executable).with_name("maturin")
    build = [maturin, "build", "--profile", "dev", "--compatibility", "linux", "--out", folder]
    subprocess.run(build, check=True, cwd=root)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def site(root: Path, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site. A link that leads nowhere makes its building fail."""
    folder = tmp_path_factory.mktemp("site") / "site"
    build = [sys.executable, root / "packaging/site/build.py", "--refguard", program, "--output", folder]
    subprocess.run(build, check=True)
    return folder


@pytest.fixture(scope="session")
def litellm_wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the package for LiteLLM: `REFGUARD_LITELLM_WHEEL`, else one that is built for this machine only."""
    if named := os.environ.get("REFGUARD_LITELLM_WHEEL"):
        return Path(named).resolve()
    return litellm.build(root, tmp_path_factory.mktemp("litellm-wheel"))


@pytest.fixture(scope="session")
def litellm_python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with that wheel and a LiteLLM proxy, the one that `REFGUARD_TEST_PYTHON` has."""
    lender = os.environ.get("REFGUARD_TEST_PYTHON")
    if not lender:
        pytest.skip("REFGUARD_TEST_PYTHON does not name a Python that has litellm[proxy]")
    wheel = request.getfixturevalue("litellm_wheel")
    python = litellm.install(lender, tmp_path_factory.mktemp("litellm") / "venv", wheel)
    litellm.lend(python, lender)
    litellm.run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pytest==9.0.2")
    return python
