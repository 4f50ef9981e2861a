#!/usr/bin/env python3
"""Builds the documentation as pages: python3 packaging/site/build.py --refguard target/debug/refguard --output site

The pages of docs/, README.md as the first one, and a reference that the binary and the schemas tell: every verb by its
help, every kind of document by its schema. These are made anew each time and so are never out of date. A link that
leads nowhere is an error; a page that mkdocs.yml does not name stands under "More".

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
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs/images"
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
# A schema's type for a person.
PLURALS = {"string": "text", "integer": "number", "boolean": "true or false", "object": "mapping", "null": "nothing"}


def ask(program: Path, *words: str) -> str:
    """What the program prints."""
    return subprocess.run([program, *words], check=True, capture_output=True, text=True).stdout


def write_commands(program: Path) -> str:
    """Every verb with its help, also the verbs below a verb."""
    parts = ["# Commands\n", "What `refguard VERB --help` says, of every verb.\n"]
    todo: list[tuple[str, ...]] = [()]
    while todo:
        verb = todo.pop(0)
        text = ask(program, *verb, "--help")
        parts.append(f"## {' '.join(('refguard', *verb))}\n\n```text\n{text.strip()}\n```\n")
        todo += [(*verb, name) for name in list_verbs(text) if name != "help"]
    return "\n".join(parts)


def list_verbs(text: str) -> list[str]:
    """The verbs that a help names."""
    _, _, rest = text.partition("\nCommands:\n")
    return re.findall(r"^  ([a-z][a-z-]*) ", rest.partition("\n\n")[0], re.MULTILINE)


def write_documents(folder: Path) -> str:
    """Every kind of document with its fields, by the schemas."""
    parts = ["# Documents\n", "Every field of every kind, by the schemas in `schema/`. Editors check by the same.\n"]
    for path in sorted(folder.glob("*.json")):
        schema = json.loads(path.read_text())
        if "allOf" in schema:
            continue  # the one for all kinds, made of the others
        parts.append(f"## {schema['title']}\n\n{schema.get('description', '')}\n")
        parts.append(write_fields(schema))
        for name, nested in sorted(schema.get("$defs", {}).items()):
            if "properties" in nested:
                parts.append(f"### {schema['title']}: {name.removeprefix('Raw')}\n\n{nested.get('description', '')}\n")
                parts.append(write_fields(nested))
    return "\n".join(parts)


def write_fields(schema: dict[str, Any]) -> str:
    """A table of the fields of a mapping."""
    rows = ["| field | is | what it says |", "|---|---|---|"]
    for name, field in schema["properties"].items():
        told = " ".join(field.get("description", "").split()).replace("|", "\\|")
        mark = " (must be there)" if name in schema.get("required", []) else ""
        rows.append(f"| `{name}` | {name_type(field)}{mark} | {told} |")
    return "\n".join(rows) + "\n"


def name_type(field: dict[str, Any]) -> str:
    """A field's type in words."""
    if reference := field.get("$ref"):
        return reference.split("/")[-1].removeprefix("Raw")
    for key in ("anyOf", "oneOf"):
        if key in field:
            named = [name_type(it) for it in field[key]]
            return " or ".join(dict.fromkeys(it for it in named if it != "nothing"))
    types = field.get("type", "anything")
    named = [PLURALS.get(it, it) for it in (types if isinstance(types, list) else [types])]
    if "array" in named:
        named[named.index("array")] = f"list of {name_type(field.get('items', {}))}"
    return " or ".join(it for it in named if it != "nothing") or "anything"


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


def collect_pages(program: Path) -> dict[str, str]:
    """The pages by the names of their files."""
    pages = {path.name: lead_links(path.read_text(), path) for path in sorted((ROOT / "docs").glob("*.md"))}
    pages["index.md"] = lead_links((ROOT / "README.md").read_text(), ROOT / "README.md")
    pages["commands.md"] = write_commands(program)
    pages["documents.md"] = write_documents(ROOT / "schema")
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
