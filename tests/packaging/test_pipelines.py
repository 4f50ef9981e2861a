"""The pipelines that promote: their shell steps, run against a forge that asks for a token, and real daemons.

What judges a change is in `tests/cli/ci.rs`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import forge
from support.daemon import serve
from support.repository import Repository, environment

TOKEN = "f0rge"
# Stands for `curl`: gives the archive, and tells what it was asked for.
CURL = """#!/bin/sh
printf '%s\\n' "$*" >> "$CALLS"
while [ "$1" != --output ]; do shift; done
cp "$ARCHIVE" "$2"
"""
ENVIRONMENTS = """apiVersion: refguard/v1
kind: Repository
environments:
  - name: staging
  - name: production
    from: staging
"""


@dataclass
class Runner:
    """A machine of a forge: a clone as its checkout makes it, folders, variables."""

    clone: Path
    folder: Path
    archive: Path
    variables: dict[str, str] = field(default_factory=dict)

    def check_out(self, origin: Repository, url: str) -> None:
        """Clones the publish branch as actions/checkout does it: no branch, no remote HEAD."""
        shutil.rmtree(self.clone, ignore_errors=True)
        subprocess.run(["git", "init", "--quiet", self.clone], check=True, env=environment())
        repository = Repository(self.clone, origin.program)
        repository.git("remote", "add", "origin", url)
        header = f"http.{url}.extraheader=Authorization: {forge.basic('x-access-token', TOKEN)}"
        repository.git("-c", header, "fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*")
        repository.git("checkout", "--quiet", "--detach", origin.git("rev-parse", "main"))

    def run(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        assert "${{" not in script and "$[[" not in script, "a value must not become part of a script"
        own = environment(
            HOME=str(self.folder),
            PATH=f"{self.folder}:{os.environ['PATH']}",
            CALLS=str(self.folder / "calls"),
            ARCHIVE=str(self.archive),
            RUNNER_TEMP=str(self.folder / "temp"),
            GITHUB_PATH=str(self.folder / "path"),
            GITHUB_OUTPUT=str(self.folder / "output"),
            GITHUB_STEP_SUMMARY=str(self.folder / "summary"),
            CI_BUILDS_DIR=str(self.folder / "temp"),
        )
        # The author is the pipeline's affair.
        own = {name: value for name, value in own.items() if not name.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))}
        command = ["bash", "-eo", "pipefail", "-c", script]
        variables = {**own, **self.variables, **more}
        return subprocess.run(command, cwd=self.clone, env=variables, capture_output=True, text=True, timeout=120)


@pytest.fixture
def origin(policies: Repository) -> Repository:
    """What the forge holds: a bare repository with two environments, nothing of which is promoted."""
    policies.commit("refguard.yaml", ENVIRONMENTS)
    policies.git("branch", "-D", "production")
    policies.git("update-ref", "-d", "refs/refguard/ledger/production")
    bare = policies.path.with_name("origin.git")
    policies.git("clone", "--quiet", "--bare", str(policies.path), str(bare))
    repository = Repository(bare, policies.program)
    repository.git("config", "http.receivepack", "true")
    return repository


@pytest.fixture
def server(origin: Repository) -> Iterator[str]:
    """The forge, which lets in who has the token under any of the names that forges want with it."""
    accepted = {forge.basic(name, TOKEN) for name in ("x-access-token", "refguard")}
    with forge.serve(origin.path.parent, accepted) as url:
        yield url


@pytest.fixture
def runner(origin: Repository, server: str, stripped: Path, tmp_path: Path) -> Runner:
    folder, clone = tmp_path / "runner", tmp_path / "clone"
    (folder / "temp").mkdir(parents=True)
    (folder / "curl").write_text(CURL)
    (folder / "curl").chmod(0o755)
    archive = tmp_path / "refguard.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
        packed.add(stripped, "refguard")

    made = Runner(clone, folder, archive)
    made.check_out(origin, f"{server}/origin.git")
    return made


@pytest.fixture
def daemon(origin: Repository, tmp_path: Path) -> Iterator[str]:
    """A daemon that serves what the forge holds; its address."""
    with serve(origin.program, origin.path, tmp_path / "state") as address:
        yield address


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def github(root: Path, job: str) -> dict[str, str]:
    """The scripts of a job's steps by their names."""
    workflow = yaml.safe_load((root / "ci-templates/github-promote.yml").read_text())
    return {step["name"]: step["run"] for step in workflow["jobs"][job]["steps"] if "run" in step}


def gitlab(root: Path, inputs: dict[str, str]) -> dict[str, Any]:
    """The jobs of the component, with its inputs in their places."""
    text = (root / "ci-templates/gitlab-promote.yml").read_text()
    head, body = text.split("\n---\n")
    spec = yaml.safe_load(head)["spec"]["inputs"]
    given = {name: inputs.get(name, about.get("default")) for name, about in spec.items()}
    assert None not in given.values() and set(inputs) <= set(spec)
    for name, about in spec.items():
        assert re.search(about.get("regex", ""), given[name])
    filled = re.sub(r"\$\[\[ inputs\.([a-z0-9-]+) \]\]", lambda found: given[found[1]], body)
    return yaml.safe_load(filled)


def test_merges_go_to_staging_and_once_approved_to_production(
    root: Path, runner: Runner, policies: Repository, origin: Repository, server: str, daemon: str
) -> None:
    runner.variables = {
        "REFGUARD_URL": "https://archives.example/refguard.tar.gz",
        "REFGUARD_SHA256": digest(runner.archive),
        "DIRECTORY": ".",
        "GITHUB_REF_NAME": "main",
        "GITHUB_SERVER_URL": server,
        "GITHUB_ACTOR": "ada",
        "GITHUB_RUN_ID": "7",
        "GITHUB_WORKFLOW": "promote",
        "TOKEN": TOKEN,
        "DAEMONS": daemon,
        "REFGUARD_TOKEN": "",
    }
    promote_by_github(root, runner, origin)
    policies.commit("README.md", "a second merge")
    policies.git("push", "--quiet", str(origin.path), "main")
    runner.check_out(origin, f"{server}/origin.git")
    promote_by_github(root, runner, origin)
    assert "production" in (runner.folder / "summary").read_text()
    assert "https://archives.example/refguard.tar.gz" in (runner.folder / "calls").read_text()
    # The token is kept nowhere.
    config = (runner.clone / ".git/config").read_text()
    assert TOKEN not in config and "extraheader" not in config.lower()


def promote_by_github(root: Path, runner: Runner, origin: Repository) -> None:
    """Runs both jobs for what was merged last."""
    merged = source = origin.git("rev-parse", "main")
    for name in ("staging", "production"):
        for step, script in github(root, name).items():
            ran = runner.run(script, ENVIRONMENT=name, SOURCE=source, GITHUB_SHA=merged)
            assert ran.returncode == 0, f"{step}: {ran.stdout}{ran.stderr}"
        said = origin.git("log", "-1", "--format=%an <%ae>%n%B", name)
        assert said.startswith("ada <ada@users.noreply.github.com>")
        assert f"Refguard-Commit: {source}" in said and "run 7 of promote" in said
        # What the job of staging hands on, by the output that the job of production names.
        source = (runner.folder / "output").read_text().split("commit=")[-1].strip()
        assert source == origin.git("rev-parse", "staging")


def test_production_takes_nothing_that_staging_does_not_have(
    root: Path, runner: Runner, policies: Repository, origin: Repository, server: str
) -> None:
    steps = github(root, "production")
    runner.variables = {
        "REFGUARD_URL": "https://archives.example/refguard.tar.gz",
        "REFGUARD_SHA256": digest(runner.archive),
        "DIRECTORY": ".",
        "ENVIRONMENT": "production",
        "GITHUB_REF_NAME": "main",
        "GITHUB_SERVER_URL": server,
        "GITHUB_ACTOR": "ada",
        "GITHUB_RUN_ID": "7",
        "GITHUB_WORKFLOW": "promote",
        "TOKEN": TOKEN,
    }
    runner.variables["DAEMONS"] = runner.variables["REFGUARD_TOKEN"] = ""
    promote_by_github(root, runner, origin)
    before = origin.git("rev-parse", "production")

    unseen = policies.commit("README.md", "not in staging")
    policies.git("push", "--quiet", str(origin.path), "main")
    runner.check_out(origin, f"{server}/origin.git")
    ran = runner.run(steps["Promote"], SOURCE=unseen, GITHUB_SHA=unseen)
    assert ran.returncode == 1 and "gate `published`" in ran.stderr, ran
    assert origin.git("rev-parse", "production") == before
    # Without daemons nothing is waited for, and that is said.
    ran = runner.run(steps["Wait until it is in force"], DAEMONS="", REFGUARD_TOKEN="")
    assert ran.returncode == 0 and "::notice::" in ran.stdout


def test_an_archive_with_another_digest_is_not_unpacked(root: Path, runner: Runner) -> None:
    install = github(root, "staging")["Install"]
    for url, sha256 in (
        ("", ""),
        ("http://archives.example/x", "0" * 64),
        ("https://archives.example/x", "main"),
        ("https://archives.example/x", "0" * 64),
    ):
        ran = runner.run(install, REFGUARD_URL=url, REFGUARD_SHA256=sha256)
        assert ran.returncode != 0, (url, sha256)
        ran = runner.run(f"bash {root}/setup-refguard/install.sh temp/bin", URL=url, SHA256=sha256)
        assert ran.returncode != 0 and "::error" in ran.stdout, (url, sha256)
    assert not (runner.folder / "temp/refguard").exists() and not (runner.clone / "temp/bin").exists()


def test_the_setup_action_puts_the_program_on_the_path(root: Path, runner: Runner) -> None:
    action = yaml.safe_load((root / "setup-refguard/action.yml").read_text())
    (step,) = action["runs"]["steps"]
    named = {"URL": "https://archives.example/refguard.tar.gz", "SHA256": digest(runner.archive)}
    ran = runner.run(step["run"], GITHUB_ACTION_PATH=str(root / "setup-refguard"), **named)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    folder = (runner.folder / "path").read_text().strip()
    assert subprocess.run([f"{folder}/refguard", "--version"], capture_output=True).returncode == 0

    review = yaml.safe_load((root / "action.yml").read_text())["runs"]["steps"][0]
    (runner.folder / "temp/refguard/bin/refguard").unlink()
    ran = runner.run(review["run"], GITHUB_ACTION_PATH=str(root), **named)
    assert ran.returncode == 0 and (runner.folder / "temp/refguard/bin/refguard").exists(), ran.stderr


def test_an_archive_is_fetched_once_and_checked_at_each_use(root: Path, runner: Runner) -> None:
    cache, calls = runner.folder / "tools", runner.folder / "calls"
    named = {"URL": "https://archives.example/refguard.tar.gz", "SHA256": digest(runner.archive)}

    def install(**more: str) -> tuple[str, int]:
        shutil.rmtree(runner.folder / "temp/bin", ignore_errors=True)
        script = f"bash {root}/setup-refguard/install.sh {runner.folder}/temp/bin"
        ran = runner.run(script, **{"RUNNER_TOOL_CACHE": str(cache), **named, **more})
        is_there = (runner.folder / "temp/bin/refguard").exists()
        assert is_there == (ran.returncode == 0), ran.stdout + ran.stderr
        return ran.stdout, len(calls.read_text().splitlines())

    assert install()[1] == 1
    told, fetched = install()
    assert fetched == 1 and "kept from an earlier run" in told
    # Whoever writes into the cache gains nothing: it is fetched and kept anew.
    (kept,) = (cache / "refguard").iterdir()
    assert kept.name == f"{named['SHA256']}.tar.gz"
    kept.write_bytes(b"something else")
    assert install()[1] == 2 and digest(kept) == named["SHA256"]
    # Another archive is not the one that is kept, and what is refused is not kept.
    told, fetched = install(SHA256="0" * 64)
    assert fetched == 3 and "another SHA-256" in told
    assert [it.name for it in (cache / "refguard").iterdir()] == [kept.name]
    # A cache that nobody may write keeps nothing, and is in nobody's way.
    assert install(RUNNER_TOOL_CACHE="/dev/null")[1] == 4


def test_the_gitlab_component_does_the_same(
    root: Path, runner: Runner, origin: Repository, server: str, daemon: str
) -> None:
    main = origin.git("rev-parse", "main")
    jobs = gitlab(
        root,
        {
            "url": "https://archives.example/refguard.tar.gz",
            "sha256": digest(runner.archive),
            "staging-daemons": daemon,
            "production-daemons": daemon,
        },
    )
    shared = jobs[".refguard-promote"]
    runner.variables = {
        "CI_COMMIT_SHA": main,
        "CI_DEFAULT_BRANCH": "main",
        "CI_SERVER_URL": server,
        "CI_PROJECT_URL": f"{server}/origin",
        "CI_PIPELINE_ID": "9",
        "GITLAB_USER_NAME": "Ada",
        "GITLAB_USER_EMAIL": "ada@example.org",
        "REFGUARD_PUSH_TOKEN": TOKEN,
        **shared["variables"],
    }
    script = "\n".join(shared["before_script"] + shared["script"])
    source = main
    for name in ("staging", "production"):
        job = jobs[f"promote-{name}"]
        assert (job["extends"], job["environment"]) == (".refguard-promote", name)
        variables = {**job["variables"], "SOURCE": source}
        ran = runner.run(script, CI_ENVIRONMENT_NAME=name, **variables)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        said = origin.git("log", "-1", "--format=%ae%n%B", name)
        assert said.startswith("ada@example.org") and f"Refguard-Commit: {source}" in said
        # What the job of staging hands on, as GitLab reads it.
        name, _, source = (runner.clone / "promoted.env").read_text().strip().partition("=")
        assert jobs["promote-production"]["variables"]["SOURCE"] == f"${name}"
    assert jobs["promote-staging"]["variables"]["SOURCE"] == "$CI_COMMIT_SHA"
    assert jobs["promote-production"]["when"] == "manual" and jobs["promote-production"]["allow_failure"] is False


def workflows(root: Path) -> list[Path]:
    found = [root / "action.yml", root / "setup-refguard/action.yml", *(root / "ci-templates").glob("github-*.yml")]
    return found + sorted((root / ".github").rglob("*.yml"))


def test_zizmor_finds_nothing(root: Path) -> None:
    zizmor = Path(sys.executable).with_name("zizmor")
    ran = subprocess.run(
        [zizmor, "--offline", "--persona", "auditor", *workflows(root)], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout


def test_actions_are_named_by_their_digest_and_nothing_is_installed_by_a_name(root: Path) -> None:
    for path in workflows(root):
        for line in path.read_text().splitlines():
            if used := re.search(r"uses: (\S+)", line):
                assert used[1].startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used[1]), f"{path}: {line}"
    for path in [*workflows(root), *(root / "ci-templates").glob("gitlab-*.yml")]:
        text = path.read_text()
        assert not re.search(r"(pip|pipx|uvx|uv|npm|npx|brew)\S* (install )?\S*refguard", text), path
        named = r"--path|--git|cargo-(semver-checks|cyclonedx|deny)@\d"
        assert not re.search(rf"cargo install(?! --locked ({named}))", text), path
