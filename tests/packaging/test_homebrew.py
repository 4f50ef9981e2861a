"""The formula for Homebrew: what it names is what a release has, and it installs that archive."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml
from support.repository import environment
from test_release import version

REPOSITORY = "https://forge.example/owner/refguard"
STAND_IN = Path(__file__).with_name("support") / "formula.rb"
MACHINES = {
    ("macos", "arm"): "aarch64-apple-darwin",
    ("macos", "intel"): "x86_64-apple-darwin",
    ("linux", "arm"): "aarch64-unknown-linux-gnu",
    ("linux", "intel"): "x86_64-unknown-linux-gnu",
}


def fill(root: Path, sums: Path, repository: str = REPOSITORY) -> subprocess.CompletedProcess[str]:
    words = ["bash", root / "packaging/homebrew/fill.sh", repository, version(root), sums]
    return subprocess.run(words, capture_output=True, text=True)


@pytest.fixture
def ruby() -> str:
    found = shutil.which("ruby")
    if found is None:
        pytest.skip("ruby is not installed")
    return found


@pytest.fixture
def sums(root: Path, tmp_path: Path) -> Path:
    """The checksums of a release, each of the archive's name."""
    names = [f"refguard-{version(root)}-{target}.tar.gz" for target in MACHINES.values()]
    lines = [f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in [*names, "refguard.cdx.json"]]
    path = tmp_path / "SHA256SUMS"
    path.write_text("".join(lines))
    return path


def test_its_archives_are_those_of_the_release(root: Path, sums: Path, ruby: str, tmp_path: Path) -> None:
    formula = tmp_path / "refguard.rb"
    formula.write_text(fill(root, sums).stdout)
    assert "@" not in formula.read_text()
    checked = subprocess.run([ruby, "-wc", formula], check=True, capture_output=True, text=True)
    assert (checked.stdout, checked.stderr) == ("Syntax OK\n", "")
    for (system, cpu), target in MACHINES.items():
        told = subprocess.run([ruby, STAND_IN, formula, system, cpu], check=True, capture_output=True, text=True)
        name = f"refguard-{version(root)}-{target}.tar.gz"
        address = f"{REPOSITORY}/releases/download/v{version(root)}/{name}"
        assert told.stdout.split() == [address, hashlib.sha256(name.encode()).hexdigest()]

    jobs = yaml.safe_load((root / ".github/workflows/release.yml").read_text())["jobs"]
    built = {it["target"] for it in jobs["build"]["strategy"]["matrix"]["include"]}
    assert built == set(MACHINES.values())
    pack = (root / "packaging/release/pack.sh").read_text()
    assert "name=refguard-$version-$target" in pack and '"$out/$name.tar.gz"' in pack
    steps = jobs["release"]["steps"]
    (filled,) = (number for number, step in enumerate(steps) if "homebrew/fill.sh" in step.get("run", ""))
    (attested,) = (number for number, step in enumerate(steps) if "attest" in step.get("uses", ""))
    assert filled < attested


def test_the_step_of_the_release_makes_it(root: Path, sums: Path, tmp_path: Path) -> None:
    """The release's own step, where the artifacts are as it finds them."""
    place = tmp_path / "run"
    (place / "packed").mkdir(parents=True)
    for target in MACHINES.values():
        (place / "packed" / f"refguard-{version(root)}-{target}.tar.gz").write_text(target)
    (place / "refguard.cdx.json").write_text("{}")
    jobs = yaml.safe_load((root / ".github/workflows/release.yml").read_text())["jobs"]
    # What comes with the notes, in the folders that it had.
    kept = [
        step["with"]["path"].split() for step in jobs["check"]["steps"] if "upload-artifact" in step.get("uses", "")
    ]
    assert "packaging/homebrew" in kept[0]
    shutil.copytree(root / "packaging/homebrew", place / "packaging/homebrew")
    (script,) = (step["run"] for step in jobs["release"]["steps"] if step.get("name") == "Checksums and formula")
    own = environment(
        GITHUB_SERVER_URL="https://forge.example",
        GITHUB_REPOSITORY="owner/refguard",
        GITHUB_REF_NAME=f"v{version(root)}",
    )
    subprocess.run(["bash", "-eo", "pipefail", "-c", script], check=True, cwd=place, env=own)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], check=True, cwd=place / "packed")
    formula = (place / "packed/refguard.rb").read_text()
    named = (place / "packed/SHA256SUMS").read_text()
    assert "refguard.rb" in named and "refguard.cdx.json" in named
    for target in MACHINES.values():
        assert hashlib.sha256(target.encode()).hexdigest() in formula


def test_what_has_no_checksum_or_no_address_is_no_formula(root: Path, sums: Path) -> None:
    refused = fill(root, sums, 'https://forge.example/"; system "id')
    assert refused.returncode == 1 and refused.stdout == "" and "is no address" in refused.stderr
    lines = sums.read_text().splitlines(keepends=True)
    sums.write_text("".join(line for line in lines if "x86_64-apple" not in line))
    refused = fill(root, sums)
    assert refused.returncode == 1 and refused.stdout == ""
    assert f"no checksum of refguard-{version(root)}-x86_64-apple-darwin.tar.gz" in refused.stderr


def test_it_installs_the_archive_and_its_own_test_passes(
    root: Path, sums: Path, ruby: str, stripped: Path, tmp_path: Path
) -> None:
    formula = tmp_path / "refguard.rb"
    formula.write_text(fill(root, sums).stdout)
    archive = tmp_path / "refguard.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
        packed.add(stripped, "refguard")
    prefix = tmp_path / "prefix"
    words = [ruby, STAND_IN, formula, "linux", "intel", archive, prefix]
    ran = subprocess.run(words, capture_output=True, text=True, env=environment(HOME=str(tmp_path)))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    made = {str(it.relative_to(prefix)) for it in prefix.rglob("*") if it.is_file()}
    shells = {f"completions/{shell}" for shell in ("bash", "fish", "zsh")}
    assert made == {"bin/refguard", "share/man/man1/refguard.1", *shells}
    assert ".TH" in (prefix / "share/man/man1/refguard.1").read_text()
