#!/usr/bin/env python3
"""Makes the container image as an OCI archive, by hand: no daemon, no network, no base image.

    python3 packaging/image/build.py --binary target/dist/refguard --output refguard.oci.tar

It holds refguard, git with its https transport, the libraries that these need, and the certificates of authorities.
There is no shell in it and nothing to install with. Everything but refguard comes from Debian packages of the machine
that builds it; the image says which, as scanners read it (`/var/lib/dpkg/status.d`).

The same input makes the same bytes: times are `SOURCE_DATE_EPOCH` (else 0), names are sorted.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

USER = 65532
HOME = "/var/lib/refguard"
GIT = [
    "/usr/bin/git",
    "/usr/lib/git-core/git-remote-http",
]
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

TEXTS = {
    "/etc/passwd": f"root:x:0:0:root:/root:/sbin/nologin\nrefguard:x:{USER}:{USER}:refguard:{HOME}:/sbin/nologin\n",
    "/etc/group": f"root:x:0:\nrefguard:x:{USER}:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


@dataclass(frozen=True)
class Entry:
    """A file, folder or link of the image."""

    mode: int
    owner: int = 0
    content: bytes | None = None
    link: str | None = None


def collect(binary: Path) -> dict[str, Entry]:
    """The image's files by their paths."""
    entries = {path: Entry(0o644, content=text.encode()) for path, text in TEXTS.items()}
    entries |= {path: Entry(0o755) for path in ("/dev", "/etc/refguard", "/proc", "/sys")}
    entries |= {"/tmp": Entry(0o1777), HOME: Entry(0o700, owner=USER)}
    entries["/usr/bin/refguard"] = Entry(0o755, content=binary.read_bytes())
    entries["/usr/lib/git-core/git-remote-https"] = Entry(0o777, link="git-remote-http")

    taken = [*GIT, CERTIFICATES]
    for path in [*GIT, str(binary)]:
        taken += libraries(path)
    for path in sorted(set(taken)):
        mode = 0o644 if path == CERTIFICATES else 0o755
        entries[path] = Entry(mode, content=Path(path).read_bytes())

    for package in packages(taken):
        status = subprocess.run(["dpkg-query", "--status", package], check=True, capture_output=True).stdout
        entries[f"/var/lib/dpkg/status.d/{package}"] = Entry(0o644, content=status)
        licence = Path(f"/usr/share/doc/{package}/copyright")
        entries[str(licence)] = Entry(0o644, content=licence.read_bytes())
    return with_folders(merge_usr(entries))


def libraries(path: str) -> list[str]:
    """The libraries that a program is linked with, as the loader finds them here."""
    said = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
    missing = re.findall(r"(\S+) => not found", said)
    if missing:
        raise SystemExit(f"{path} needs {', '.join(missing)}, which is not installed")
    return re.findall(r"(/\S+) \(0x", said)


def packages(paths: list[str]) -> list[str]:
    """The packages that files come from; a file that no package has, such as refguard, is left out."""
    names: set[str] = set()
    for path in paths:
        names |= {path, os.path.realpath(path), path.removeprefix("/usr"), "/usr" + path}
    ran = subprocess.run(["dpkg-query", "--search", *sorted(names)], capture_output=True, text=True)
    found = {line.split(":")[0] for line in ran.stdout.splitlines() if not line.startswith("diversion")}
    # Its file is made from all certificates when it is installed, and so in no list of files.
    return sorted(found | {"ca-certificates"})


def merge_usr(entries: dict[str, Entry]) -> dict[str, Entry]:
    """`/lib`, `/lib64` and `/bin` are links into `/usr`, as on Debian: what is below them goes there."""
    tops = {"bin", "lib", "lib64", "sbin"}
    merged = {f"/{top}": Entry(0o777, link=f"usr/{top}") for top in tops}
    for path, entry in entries.items():
        is_moved = path.split("/")[1] in tops
        merged["/usr" + path if is_moved else path] = entry
    return merged


def with_folders(entries: dict[str, Entry]) -> dict[str, Entry]:
    """The same with every folder that leads to a file."""
    folders = {str(parent): Entry(0o755) for path in entries for parent in Path(path).parents if str(parent) != "/"}
    return {**folders, "/usr/lib64": Entry(0o755), "/usr/sbin": Entry(0o755), **entries}


def write_archive(entries: dict[str, Entry], time: int) -> bytes:
    """An archive of the files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, entry in sorted(entries.items()):
            info = tarfile.TarInfo(path.removeprefix("/"))
            info.mode, info.mtime = entry.mode, time
            info.uid = info.gid = entry.owner
            if entry.link is not None:
                info.type, info.linkname = tarfile.SYMTYPE, entry.link
            elif entry.content is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(entry.content)
            archive.addfile(info, io.BytesIO(entry.content or b""))
    return buffer.getvalue()


def configure(layer: bytes, architecture: str, time: int, labels: dict[str, str]) -> dict[str, object]:
    """How the image is run."""
    created = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "created": created,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "Env": ["PATH=/usr/bin", f"HOME={HOME}", f"SSL_CERT_FILE={CERTIFICATES}"],
            "Entrypoint": ["/usr/bin/refguard"],
            "Cmd": ["--help"],
            "WorkingDir": HOME,
            "StopSignal": "SIGTERM",
            "Labels": labels,
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created": created, "created_by": "packaging/image/build.py"}],
    }


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def write_image(output: Path, layer: bytes, config: dict[str, object], name: str, time: int) -> None:
    """The archive in the layout of the OCI image specification 1.0."""
    packed = gzip.compress(layer, compresslevel=9, mtime=0)
    config_text = json.dumps(config, sort_keys=True).encode()
    vendor = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{vendor}.manifest.v1+json",
        "config": describe_blob(f"{vendor}.config.v1+json", config_text),
        "layers": [describe_blob(f"{vendor}.layer.v1.tar+gzip", packed)],
    }
    manifest_text = json.dumps(manifest, sort_keys=True).encode()
    platform = {"architecture": config["architecture"], "os": config["os"]}
    listed = {
        **describe_blob(f"{vendor}.manifest.v1+json", manifest_text),
        "platform": platform,
        "annotations": {"org.opencontainers.image.ref.name": name},
    }
    index = {
        "schemaVersion": 2,
        "mediaType": f"{vendor}.index.v1+json",
        "manifests": [listed],
    }

    blobs = {f"blobs/sha256/{hashlib.sha256(it).hexdigest()}": it for it in (packed, config_text, manifest_text)}
    texts = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps(index, sort_keys=True).encode(),
    }
    files = {path: Entry(0o644, content=content) for path, content in (blobs | texts).items()}
    folders = {path: Entry(0o755) for path in ("blobs", "blobs/sha256")}
    output.write_bytes(write_archive(folders | files, time))


def describe_blob(kind: str, content: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": digest(content), "size": len(content)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True, help="the refguard to pack")
    parser.add_argument("--output", type=Path, required=True, help="the archive to write")
    parser.add_argument("--revision", default="", help="the commit that it was built from")
    arguments = parser.parse_args()

    time = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    said = subprocess.run([arguments.binary, "--version"], check=True, capture_output=True, text=True).stdout
    version = said.split()[1]
    title = "org.opencontainers.image"
    labels = {
        f"{title}.title": "refguard",
        f"{title}.version": version,
        f"{title}.licenses": "Apache-2.0",
    }
    if arguments.revision:
        labels[f"{title}.revision"] = arguments.revision

    entries = collect(arguments.binary.resolve())
    layer = write_archive(entries, time)
    config = configure(layer, ARCHITECTURES[os.uname().machine], time, labels)
    write_image(arguments.output, layer, config, version, time)
    size = arguments.output.stat().st_size
    print(f"{arguments.output}: {size / 1e6:.1f} MB, unpacked {len(layer) / 1e6:.1f} MB, {len(entries)} entries")


if __name__ == "__main__":
    main()
