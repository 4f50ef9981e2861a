"""What a release is made with, as far as it can be tried without one."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml
from support.repository import environment

CHANGELOG = """# Changelog

## [Unreleased]

### Added

- What comes next.

## [{version}] - 2026-01-02

### Added

- The first thing.

## [0.0.1] - 2025-01-02

- An older thing.
"""
# The one place where the package for LiteLLM says its version.
PACKAGE = "integrations/litellm/core/Cargo.toml"


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    """The files by which a tag is judged, in a folder that may be changed."""
    folder = tmp_path / "project"
    (folder / "packaging/release").mkdir(parents=True)
    (folder / PACKAGE).parent.mkdir(parents=True)
    for name in ("Cargo.toml", PACKAGE, "packaging/release/check.sh", "packaging/release/semver.sh"):
        shutil.copy(root / name, folder / name)
    (folder / "CHANGELOG.md").write_text(CHANGELOG.format(version=version(root)))
    return folder


def version(root: Path) -> str:
    found = re.search(r'^version = "(.*)"$', (root / "Cargo.toml").read_text(), re.MULTILINE)
    assert found
    return found[1]


def check(project: Path, tag: str) -> subprocess.CompletedProcess[str]:
    words = ["bash", project / "packaging/release/check.sh", tag]
    return subprocess.run(words, capture_output=True, text=True, env=environment())


def test_the_notes_are_the_section_of_the_version(project: Path, root: Path) -> None:
    said = check(project, f"v{version(root)}")
    assert said.returncode == 0, said.stderr
    assert said.stdout.split("\n- ")[1:] == ["The first thing.\n"]


def test_a_tag_without_its_version_or_its_section_is_refused(project: Path, root: Path) -> None:
    assert "Cargo.toml has the version" in check(project, "v9.9.9").stderr
    tag = f"v{version(root)}"
    changelog = project / "CHANGELOG.md"
    written = changelog.read_text()
    changelog.write_text(written.replace(" - 2026-01-02", ""))
    assert "no section" in check(project, tag).stderr
    changelog.write_text(written.replace("### Added\n\n- The first thing.\n", ""))
    assert "is empty" in check(project, tag).stderr
    changelog.write_text(written)
    assert check(project, tag).returncode == 0
    own = project / PACKAGE
    own.write_text(own.read_text().replace(f'"{tag[1:]}"', '"0.0.1"', 1))
    assert f"{PACKAGE} has another version" in check(project, tag).stderr


def test_the_package_for_litellm_has_refguards_own_version(root: Path) -> None:
    package = root / "integrations/litellm"
    said = f'name = "refguard-litellm-core"\nversion = "{version(root)}"\n'
    assert said in (package / "core/Cargo.toml").read_text() and said in (package / "core/Cargo.lock").read_text()
    # The others take it from there.
    project = (package / "pyproject.toml").read_text()
    assert re.search(r'^dynamic = \["version"\]', project, re.M) and not re.search(r"^version\b", project, re.M)
    assert version(root) not in "".join(it.read_text() for it in (package / "src").rglob("*.py"))


def test_the_library_is_held_against_the_newest_tag_before(project: Path) -> None:
    """With a `cargo` that tells what it was called with."""
    fake = project / "cargo"
    fake.write_text('#!/bin/sh\necho "cargo $*"\n')
    fake.chmod(0o755)
    own = environment()
    own["PATH"] = f"{project}:{own['PATH']}"

    def run(*words: str | Path) -> str:
        return subprocess.run(words, check=True, cwd=project, env=own, capture_output=True, text=True).stdout

    run("git", "init", "--quiet")
    for tag in ("v0.9.0", "v0.10.0", "v0.11.0"):
        run("git", "commit", "--quiet", "--allow-empty", "--message", tag)
        if tag == "v0.9.0":
            assert "no release before" in run("bash", "packaging/release/semver.sh")
        run("git", "tag", tag)
    told = run("bash", "packaging/release/semver.sh")
    assert told == "cargo semver-checks --package refguard-core --baseline-rev v0.10.0\n"


def test_one_wheel_becomes_everything_with_the_same_program(wheel: Path, root: Path, tmp_path: Path) -> None:
    target = "x86_64-unknown-linux-gnu"
    pack = ["bash", root / "packaging/release/pack.sh", wheel, target, tmp_path / "out"]
    subprocess.run(pack, check=True, cwd=root)
    name = f"refguard-{version(root)}-{target}"
    made = {it.name for it in (tmp_path / "out").iterdir()}
    assert made == {wheel.name, f"{name}.tar.gz", f"{name}.deb", f"{name}.oci.tar"}

    with tarfile.open(tmp_path / "out" / f"{name}.tar.gz") as archive:
        assert {"refguard", "LICENSE"} <= set(archive.getnames())
        archive.extract("refguard", tmp_path / "archive")
    deb = tmp_path / "out" / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--extract", deb, tmp_path / "deb"], check=True)
    programs = [tmp_path / "archive/refguard", tmp_path / "deb/usr/bin/refguard"]
    assert programs[0].read_bytes() == programs[1].read_bytes()
    assert subprocess.run([programs[0], "--version"], capture_output=True, text=True).stdout.startswith("refguard ")


def test_binstall_looks_for_the_archive_that_a_release_has(root: Path) -> None:
    settings = (root / "Cargo.toml").read_text()
    assert "refguard-{ version }-{ target }.tar.gz" in settings and 'bin-dir = "refguard"' in settings
    assert "name=refguard-$version-$target" in (root / "packaging/release/pack.sh").read_text()


def test_crates_hold_every_file_that_is_compiled_into_them(root: Path) -> None:
    for package, folder in (("refguard-core", root / "crates/core"), ("refguard", root)):
        words = ["cargo", "package", "--list", "--allow-dirty", "--locked", "--offline", "--package", package]
        listed = set(subprocess.run(words, check=True, cwd=root, capture_output=True, text=True).stdout.split())
        assert {"LICENSE", "README.md"} & listed or package == "refguard-core"
        for source in (folder / "src").rglob("*.rs"):
            for path in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', source.read_text()):
                found = (source.parent / path).resolve().relative_to(folder)
                assert str(found) in listed, f"{source} takes in {found}"
            for path in re.findall(r'include_dir!\(\s*"\$CARGO_MANIFEST_DIR/([^"]+)"', source.read_text()):
                assert any(name.startswith(f"{path}/") for name in listed), f"{source} takes in {path}"


def test_the_workflow_runs_what_is_tried_here(root: Path) -> None:
    workflow = yaml.safe_load((root / ".github/workflows/release.yml").read_text())
    assert workflow["permissions"] == {}
    jobs = workflow["jobs"]
    scripts = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    named = set(re.findall(r"bash ([\w./-]+)", "\n".join(scripts)))
    assert named == {
        ".ci/run",
        "packaging/homebrew/fill.sh",
        "packaging/release/check.sh",
        "packaging/release/pack.sh",
        "packaging/release/semver.sh",
        "packaging/wheel/build.sh",
    }
    assert all((root / path).is_file() for path in named)
    assert all("${{" not in script for script in scripts), "a value must not become part of a script"
    writing = {name for name, job in jobs.items() if "write" in job["permissions"].values()}
    assert writing == {"release"} and not any(
        "run" in step and "cargo" in step["run"] for step in jobs["release"]["steps"]
    )
