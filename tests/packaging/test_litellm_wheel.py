"""The wheel of the package for LiteLLM proxies: its extension fits every Python that it names, and a real proxy
enforces a daemon's set with nothing of the sources beside it.

`REFGUARD_LITELLM_WHEEL` names the wheel to try; else one is built for this machine only, with what
`REFGUARD_EXTENSION_TARGET` has of earlier builds. The proxy needs a Python that has LiteLLM (`REFGUARD_TEST_PYTHON`).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.litellm import install, run

VERSIONS = "from refguard_litellm import _core, __version__; print(_core.__version__, __version__)"
STORY = "tests/test_end_to_end.py::test_a_proxy_follows_the_daemon_through_its_life[refguard]"


def test_it_holds_the_extension_and_names_what_it_needs(litellm_wheel: Path) -> None:
    assert "-cp310-abi3-" in litellm_wheel.name
    with zipfile.ZipFile(litellm_wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (archive.read(it).decode() for it in names if it.endswith(".dist-info/METADATA"))
    assert {"refguard_litellm/_core.abi3.so", "refguard_litellm/_core.pyi", "refguard_litellm/proxy.py"} <= names
    assert not any("test" in name or name.endswith(".rs") for name in names), names
    head, _, _ = metadata.partition("\n\n")
    needs = [it for it in head.splitlines() if it.startswith("Requires-Dist: ") and "extra ==" not in it]
    assert needs == ["Requires-Dist: litellm[proxy]>=1.106.2"]
    assert "Requires-Python: >=3.10" in head and "License-Expression: Apache-2.0" in head


def test_the_extension_keeps_to_what_every_python_from_3_10_on_has(litellm_wheel: Path) -> None:
    (told,) = json.loads(run(sys.executable, "-m", "abi3audit", "--report", litellm_wheel))["specs"].values()
    (extension,) = told["wheel"]
    assert extension["name"] == "_core.abi3.so"
    found = extension["result"]
    assert found["is_abi3"] and found["is_abi3_baseline_compatible"] and found["baseline"] == "3.10", found


def test_every_python_at_hand_takes_it(litellm_wheel: Path, tmp_path: Path) -> None:
    tried = {f"python3.{minor}" for minor in range(10, 15) if shutil.which(f"python3.{minor}")} | {sys.executable}
    for number, name in enumerate(sorted(tried)):
        if subprocess.run([name, "--version"], capture_output=True).returncode != 0:
            continue  # a name that stands for no interpreter
        python = install(name, tmp_path / str(number), litellm_wheel)
        assert len(set(run(python, "-c", VERSIONS).split())) == 1, (
            "the extension is of another release than the package"
        )


def test_it_runs_where_glibc_is_2_28(litellm_wheel: Path) -> None:
    if "manylinux" not in litellm_wheel.name:
        pytest.skip("made for this machine only; name one of packaging/wheel/build.sh with REFGUARD_LITELLM_WHEEL")
    told = run(sys.executable, "-m", "auditwheel", "show", litellm_wheel)
    assert "manylinux_2_28_" in litellm_wheel.name
    assert any(f'"manylinux_2_{minor}_' in told for minor in range(5, 29)), told


def test_a_real_proxy_enforces_a_daemons_set_with_it(litellm_python: Path, root: Path, program: Path) -> None:
    """The package's own story of a proxy's life, with the wheel in the place of the sources."""
    found = run(litellm_python, "-c", "import refguard_litellm._core as it; print(it.__file__)").strip()
    assert Path(found).is_relative_to(litellm_python.parents[1]), found
    words = [litellm_python, "-m", "pytest", "-p", "no:cacheprovider", root / "integrations/litellm" / STORY]
    told = run(*words, REFGUARD_BIN=str(program), REFGUARD_TEST_EXTENSION="1", PYTHONDONTWRITEBYTECODE="1")
    assert "1 passed" in told, told
