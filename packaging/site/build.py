#!/usr/bin/env python3
"""Builds the documentation as pages: python3 packaging/site/build.py --refguard target/debug/refguard --output site

The pages of docs/, README.md as the first one, and the reference that the program itself tells (reference.py), made
anew each time. A link that leads nowhere is an error; a page that mkdocs.yml does not name stands under "More".

Needs the package mkdocs-material (packaging/site/requirements.txt).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from itertools import zip_longest
from pathlib import Path

import reference

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs/images"
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
# A link that is a paragraph of its own, to a file beside docs/.
EXAMPLE = re.compile(r"(?<=\n\n)\[([^\]]+)\]\((\.\./[^)\s]+)\)(?=\n\n)")


def lead_links(text: str, page: Path) -> str:
    """The text with links that leave docs/ as names of files: the pages have no repository beside them. A file that is
    not there is an error."""

    def lead(found: re.Match[str]) -> str:
        words, target = found.groups()
        path = target.partition("#")[0]
        if "://" in target or target.startswith("#"):
            return found[0]
        file = (page.parent / path).resolve()
        if not file.exists():
            raise SystemExit(f"{page.relative_to(ROOT)} links to `{target}`, which is not there")
        if file.parent == IMAGES:
            return f"[{words}](images/{file.name})"
        if file.suffix == ".md" and file.parent == ROOT / "docs":
            return f"[{words}]({file.name}{target[len(path) :]})"
        named = words.strip("`")
        return f"`{named}`" if named == str(file.relative_to(ROOT)) else f"{words} (`{file.relative_to(ROOT)}`)"

    return LINK.sub(lead, text)


def show_file(name: str, target: str, page: Path) -> str:
    """A file beside docs/ as a page shows it."""
    file = (page.parent / target).resolve()
    if not file.is_file():
        raise SystemExit(f"{page.relative_to(ROOT)} shows `{target}`, which is not there")
    language = {".yaml": "yaml", ".conf": "nginx"}.get(file.suffix, "text")
    return f'```{language} title="{name}"\n{file.read_text().rstrip()}\n```'


def write_page(page: Path) -> str:
    """A page of docs/ as the site has it: whole files stand where a link to one is a paragraph."""
    parts = EXAMPLE.split(page.read_text())
    texts = [lead_links(it, page) for it in parts[::3]]
    files = [show_file(*named, page) for named in zip(parts[1::3], parts[2::3], strict=True)]
    return "".join(it for pair in zip_longest(texts, files, fillvalue="") for it in pair)


def collect_pages(program: Path) -> dict[str, str]:
    """The pages by the names of their files."""
    pages = {path.name: write_page(path) for path in sorted((ROOT / "docs").glob("*.md"))}
    pages["index.md"] = lead_links((ROOT / "README.md").read_text(), ROOT / "README.md")
    pages["commands.md"] = reference.write_commands(program)
    pages["documents.md"] = reference.write_documents(ROOT / "schema")
    pages["gates.md"] = reference.write_gates(program, (ROOT / "docs/lifecycle.md").read_text())
    pages["exit-codes.md"] = reference.write_exit_codes(program)
    pages["limits.md"] = reference.write_limits(program)
    with reference.run_daemon(program) as daemon:
        pages["metrics.md"] = reference.write_metrics(daemon.call("/metrics"))
        pages["api.md"] = reference.write_api(json.loads(daemon.call("/openapi.json")))
    return pages


def list_others(settings: str, pages: dict[str, str]) -> str:
    """An entry of the navigation for pages that it does not name: a new page is never out of reach."""
    others = [name for name in pages if f": {name}\n" not in settings]
    return "".join(["  - More:\n", *(f"      - {name}\n" for name in others)]) if others else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--refguard", type=Path, required=True, help="the program whose help is the reference")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write, which is made anew")
    arguments = parser.parse_args()

    pages = collect_pages(arguments.refguard.resolve())
    with tempfile.TemporaryDirectory() as folder:
        settings = (ROOT / "packaging/site/mkdocs.yml").read_text()
        (Path(folder) / "mkdocs.yml").write_text(settings + list_others(settings, pages))
        shutil.copytree(IMAGES, Path(folder) / "pages" / "images")
        for name, text in pages.items():
            (Path(folder) / "pages" / name).write_text(text)
        # Its theme tells of its successor at each run.
        quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--clean"]
        subprocess.run([*build, "--site-dir", arguments.output.resolve()], check=True, cwd=folder, env=quiet)
    print(f"{arguments.output}: {len(pages)} pages")


if __name__ == "__main__":
    main()
