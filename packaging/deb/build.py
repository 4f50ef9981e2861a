#!/usr/bin/env python3
"""Makes the Debian package of a binary that is there already.

    python3 packaging/deb/build.py --binary target/dist/refguard --output refguard.deb

Man pages and completions are what the binary itself prints. Versions of libraries are taken from the binary and from
the machine that builds: it runs on Debian releases that have these or newer ones.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTROL = """\
Package: refguard
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {size}
Depends: {depends}
Recommends: ca-certificates
Section: admin
Priority: optional
Description: guardrail policies of an LLM gateway, kept in git
 A policy says which guardrails a request gets. Policies are files in a git
 repository: checked like code, promoted by one compare-and-swap, and served to
 proxies by a daemon that keeps the last good set.
"""
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/refguard",
    "fish": "usr/share/fish/vendor_completions.d/refguard.fish",
    "zsh": "usr/share/zsh/vendor-completions/_refguard",
}
COPIES = {
    "packaging/systemd/environment": "etc/refguard/environment",
    "packaging/systemd/refguard.service": "usr/lib/systemd/system/refguard.service",
    "packaging/systemd/refguard.sysusers": "usr/lib/sysusers.d/refguard.conf",
    "LICENSE": "usr/share/doc/refguard/copyright",
}


def ask(binary: Path, *words: str) -> str:
    """What a program prints."""
    return subprocess.run([binary, *words], check=True, capture_output=True, text=True).stdout


def list_verbs(binary: Path, *above: str) -> list[str]:
    """The verbs, or those below one, as the help names them."""
    _, _, rest = ask(binary, *above, "--help").partition("\nCommands:\n")
    commands, _, _ = rest.partition("\n\n")
    return [verb for verb in re.findall(r"^  ([a-z-]+) ", commands, re.MULTILINE) if verb != "help"]


def list_pages(binary: Path) -> list[list[str]]:
    """The words of each manual page: none, a verb, or a verb and the one below it."""
    verbs = list_verbs(binary)
    return [[], *([verb] for verb in verbs), *([verb, below] for verb in verbs for below in list_verbs(binary, verb))]


def make_files(binary: Path) -> dict[str, bytes]:
    """The package's files by their paths, without the binary."""
    files = {inside: (ROOT / path).read_bytes() for path, inside in COPIES.items()}
    files |= {path: ask(binary, "completions", shell).encode() for shell, path in COMPLETIONS.items()}
    pages = {f"{'-'.join(['refguard', *words])}.1": ask(binary, "man", *words) for words in list_pages(binary)}
    files |= {f"usr/share/man/man1/{name}.gz": compress(page.encode()) for name, page in pages.items()}
    files["usr/share/doc/refguard/changelog.gz"] = compress((ROOT / "CHANGELOG.md").read_bytes())
    return files


def compress(text: bytes) -> bytes:
    return gzip.compress(text, compresslevel=9, mtime=0)


def find_dependencies(binary: Path) -> list[str]:
    """The packages of the libraries that the binary is linked with. libc in the version whose symbols it asks for."""
    linked = re.findall(r"=> (/\S+)", ask(Path("/usr/bin/ldd"), str(binary)))
    names = {name for path in linked for name in (path, os.path.realpath(path), path.removeprefix("/usr"))}
    said = subprocess.run(["dpkg-query", "--search", *sorted(names)], capture_output=True, text=True).stdout
    packages = {line.split(":")[0] for line in said.splitlines()} - {"libc6"}
    asked = re.findall(rb"GLIBC_(\d+)\.(\d+)", binary.read_bytes())
    newest = max((int(major), int(minor)) for major, minor in asked)
    return ["git (>= 1:2.30)", "libc6 (>= {}.{})".format(*newest), *sorted(packages)]


def write_tree(folder: Path, files: dict[str, bytes], binary: Path, control: Iterable[tuple[str, str, int]]) -> None:
    """Lays the package out as dpkg-deb wants it."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    program = folder / "usr/bin/refguard"
    program.parent.mkdir(parents=True)
    program.write_bytes(binary.read_bytes())
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path == program else 0o644)
    (folder / "DEBIAN").mkdir()
    for name, text, mode in control:
        (folder / "DEBIAN" / name).write_text(text)
        (folder / "DEBIAN" / name).chmod(mode)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True, help="the refguard to pack")
    parser.add_argument("--output", type=Path, required=True, help="the package to write")
    parser.add_argument("--maintainer", default="refguard <refguard@packages.invalid>", help="NAME <ADDRESS>")
    parser.add_argument("--compression", default="xz", choices=["xz", "none"], help="of the package's files")
    arguments = parser.parse_args()

    binary = arguments.binary.resolve()
    files = make_files(binary)
    size = (binary.stat().st_size + sum(len(content) for content in files.values())) // 1024
    written = CONTROL.format(
        version=ask(binary, "--version").split()[1],
        architecture=ask(Path("/usr/bin/dpkg"), "--print-architecture").strip(),
        maintainer=arguments.maintainer,
        size=size,
        depends=", ".join(find_dependencies(binary)),
    )
    scripts = [(name, (ROOT / "packaging/deb" / name).read_text(), 0o755) for name in ("postinst", "postrm", "prerm")]
    control = [("control", written, 0o644), ("conffiles", "/etc/refguard/environment\n", 0o644), *scripts]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        write_tree(Path(folder), files, binary, control)
        build = ["dpkg-deb", "--root-owner-group", f"-Z{arguments.compression}", "--build", folder, arguments.output]
        time = os.environ.get("SOURCE_DATE_EPOCH", "0")
        subprocess.run(build, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": time})


if __name__ == "__main__":
    main()
