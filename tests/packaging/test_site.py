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


def all_pages(root: Path) -> list[Path]:
    """Everything that is written for people."""
    return [
        root / "README.md",
        root / "CONTRIBUTING.md",
        *(root / "docs").glob("*.md"),
        *root.glob("integrations/*/*.md"),
    ]


def test_every_link_leads_to_a_file_and_a_heading(root: Path) -> None:
    faults = []
    for page in all_pages(root):
        for target in find_links(page.read_text()):
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists():
                faults.append(f"{page.name}: {target} is not there")
            elif anchor and anchor not in list_anchors(file.read_text()):
                faults.append(f"{page.name}: {target} has no such heading")
    assert not faults, faults
    assert find_links("```\n[x](in-a-block)\n```\n[`y`](docs/y.md#z) `[z](code)`") == ["docs/y.md#z"]


def find_links(text: str) -> list[str]:
    """Where a page's links lead, but for those to other sites."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"`[^`\n]*`", "", prose)
    return [it for it in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", prose) if "://" not in it]


def list_anchors(text: str) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", it.strip().lower()).replace(" ", "-") for it in headings}


def test_pages_name_verbs_and_options_that_there_are(root: Path, program: Path) -> None:
    helps = dict(load_script(root / "packaging/site/reference.py").list_helps(program))
    faults, seen = [], 0
    for page in all_pages(root):
        for command in find_commands(page.read_text()):
            seen += 1
            faults += [f"{page.name}: `{command}`: {it}" for it in judge_command(command, helps)]
    assert not faults, faults
    assert seen > 100
    assert judge_command("refguard promote --no-such X", helps) == ["promote has no --no-such"]
    assert judge_command("refguard -C x no-such", helps) == ["no such verb"]

    told = (root / "docs/reference.md").read_text().split("## Commands")[1]
    for verb in helps:
        assert not verb or re.search(rf"`(\w+ )*{verb[-1]}\b", told), f"docs/reference.md does not name {verb}"


def find_commands(text: str) -> list[str]:
    """The commands of refguard that a page names in its prose, or shows to be typed."""
    found = [it for it in re.findall(r"`([^`\n]+)`", text) if it.startswith("refguard ")]
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            found += re.findall(r"^(?:\$ |[A-Z_]+=\S+ | +)?(refguard .*)", line)
    return [it.split(" #")[0] for it in found]


def judge_command(command: str, helps: dict[tuple[str, ...], str]) -> list[str]:
    """What of a command the program does not have."""
    words = re.sub(r"-C \S+", "", command).split()[1:]
    verb: tuple[str, ...] = ()
    options = [word.split("=")[0] for word in words if re.match(r"--[a-z]", word)]
    for word in words:
        if (*verb, word) not in helps:
            break
        verb = (*verb, word)
    if not verb and words[0] != "VERB" and not options:
        return ["no such verb"]
    return [f"{' '.join(verb)} has no {it}" for it in options if not re.search(rf"{it}(?![\w-])", helps[verb])]


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
