"""The documentation: the site that is built of it, and pages of examples run as they stand there."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from html import unescape
from pathlib import Path

import pytest
from support import console
from support.repository import environment
from support.scenes import SCENES, WITH_LITELLM, Stage
from support.scripts import load_script

# Made by packaging/site/reference.py; test_reference.py holds each against the program.
REFERENCE = [f"{it}.html" for it in ("commands", "documents", "gates", "exit-codes", "metrics", "api", "limits")]


def test_every_page_is_there_and_is_found_by_a_search(site: Path, root: Path) -> None:
    pages = {path.with_suffix(".html").name for path in (root / "docs").glob("*.md")}
    assert pages | {"index.html", *REFERENCE} <= {it.name for it in site.glob("*.html")}
    index = json.loads((site / "search/search_index.json").read_text())
    found = {entry["location"].split("#")[0] for entry in index["docs"] if "safe.directory" in entry["text"]}
    assert "container.html" in found


def test_a_page_of_a_proxy_shows_its_configuration_and_names_tests_that_are_there(site: Path, root: Path) -> None:
    stories = (root / "tests/daemon/proxies.rs").read_text()
    stories += "".join(path.read_text() for path in (root / "integrations/litellm/tests").glob("test_*.py"))
    pages = sorted((root / "docs").glob("proxy-*.md"))
    assert [page.stem for page in pages] == ["proxy-caddy", "proxy-envoy", "proxy-litellm", "proxy-nginx"]
    for page in pages:
        tried = re.search(r"^## What was tried\n.*", page.read_text(), re.MULTILINE | re.DOTALL)
        named = re.findall(r"`([a-z]+(?:_[a-z0-9]+){3,})`", tried[0]) if tried else []
        assert len(named) >= 5 and all(re.search(rf"(fn|def) {name}\(", stories) for name in named), page
    shown = unescape(re.sub("<[^>]*>", "", (site / "proxy-caddy.html").read_text()))
    for line in (root / "integrations/caddy/Caddyfile").read_text().splitlines():
        assert line.strip() in shown, line


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
    assert pages_with_examples(root) == sorted(SCENES), told


@pytest.mark.parametrize("page", SCENES)
def test_the_page_shows_what_happens(
    root: Path, program: Path, tmp_path: Path, page: str, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    with ExitStack() as closing:
        stage = Stage.build(folder, program, root, closing)
        if page in WITH_LITELLM:
            stage.litellm_python = request.getfixturevalue("litellm_python")
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
