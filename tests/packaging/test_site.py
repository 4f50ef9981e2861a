"""The documentation: the site that is built of it, and pages of examples run as they stand there."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import console
from support.repository import environment
from support.scenes import SCENES, WITHOUT_A_SCENE, Stage
from support.scripts import load_script


@pytest.fixture(scope="module")
def site(root: Path, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site. A link that leads nowhere makes its building fail."""
    folder = tmp_path_factory.mktemp("site") / "site"
    build = [sys.executable, root / "packaging/site/build.py", "--refguard", program, "--output", folder]
    subprocess.run(build, check=True)
    return folder


def test_every_page_is_there_and_is_found_by_a_search(site: Path, root: Path) -> None:
    pages = {path.with_suffix(".html").name for path in (root / "docs").glob("*.md")}
    assert pages | {"index.html", "commands.html", "documents.html"} <= {it.name for it in site.glob("*.html")}
    index = json.loads((site / "search/search_index.json").read_text())
    found = {entry["location"].split("#")[0] for entry in index["docs"] if "safe.directory" in entry["text"]}
    assert "container.html" in found


def test_the_reference_tells_every_verb_and_every_field(site: Path, program: Path, root: Path) -> None:
    commands = (site / "commands.html").read_text()
    for verb in ("refguard promote", "refguard hook pre-receive", "refguard import litellm"):
        assert f">{verb}<" in commands, verb
    documents = (site / "documents.html").read_text()
    for path in (root / "schema").glob("*.json"):
        for field in json.loads(path.read_text()).get("properties", {}):
            assert f"<code>{field}</code>" in documents, f"{path.name}: {field}"


def test_a_link_that_leads_nowhere_is_found(root: Path) -> None:
    build = load_script(root / "packaging/site/build.py")
    page = root / "docs/daemon.md"
    with pytest.raises(SystemExit, match="which is not there"):
        build.lead_links("[x](../packaging/none.yaml)", page)
    assert build.lead_links("[x](kubernetes.md#secrets)", page) == "[x](kubernetes.md#secrets)"
    assert build.lead_links("[`action.yml`](../action.yml)", page) == "`action.yml`"


def pages_with_examples(root: Path) -> list[str]:
    pages = [root / "README.md", *(root / "docs").glob("*.md"), root / "integrations/litellm/README.md"]
    return sorted(str(path.relative_to(root)) for path in pages if console.read_examples(path.read_text()))


def test_every_page_with_examples_has_a_scene_and_no_other(root: Path) -> None:
    told = "support/scenes.py says what is there before a page begins"
    assert pages_with_examples(root) == sorted([*SCENES, *WITHOUT_A_SCENE]), told


@pytest.mark.parametrize("page", SCENES)
def test_the_page_shows_what_happens(root: Path, program: Path, tmp_path: Path, page: str) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    with ExitStack() as closing:
        stage = Stage.build(folder, program, root, closing)
        SCENES[page](stage)
        examples = console.read_examples((root / page).read_text())
        faults = console.run(examples, folder, stage.variables, stage.addresses, stage.prelude)
    assert not faults, "\n\n".join(faults)


def test_an_example_that_shows_something_else_is_found(tmp_path: Path) -> None:
    page = "```console\n$ echo one; echo two\none\n...\n$ cat <<X\n> three\n> X\nfour\n```\n"
    examples = console.read_examples(page)
    assert [it.command for it in examples] == ["echo one; echo two", "cat <<X\nthree\nX"]
    faults = console.run(examples, tmp_path, environment())
    assert len(faults) == 1 and "it says\nthree" in faults[0]
