"""The image: its layout, what is in it, and the daemon of the manifests run from it."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.pod import TOKEN, Pod
from support.repository import Repository, environment
from support.scripts import load_script

USER = 65532
LIMIT = 40e6

# What a runtime does: the root can only be read, volumes are mounted, the user is not root, nothing is inherited.
CONTAINER = """
root=$1; shift
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    mount --bind "${1%%=*}" "$root${1#*=}"
    shift
done
shift
exec /usr/sbin/chroot --userspec=65532:65532 --groups=65532 "$root" "$@"
"""


@functools.cache
def may_mount() -> bool:
    """Whether this machine lets its user make a mount namespace: some containers do not."""
    return subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True).returncode == 0


@dataclass(frozen=True)
class Image:
    """An archive and what is in it, unpacked."""

    archive: Path
    root: Path
    config: dict[str, Any]

    def command(self, words: list[str], volumes: dict[str, Path]) -> list[str]:
        """A command that runs in a container of this image."""
        if not may_mount():
            pytest.skip("this machine lets nobody make a mount namespace, so the image is not run")
        for inside in volumes:
            (self.root / inside.removeprefix("/")).mkdir(parents=True, exist_ok=True)
        mounts = [f"{outside}={inside}" for inside, outside in sorted(volumes.items())]
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        return [*unshare, "sh", "-euc", CONTAINER, "sh", str(self.root), *mounts, "--", *words]

    def variables(self) -> dict[str, str]:
        return dict(it.split("=", 1) for it in self.config["Env"])

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = self.command(list(words), {})
        # `unshare` and what it starts are found by the path of this machine, which is the image's too.
        return subprocess.run(command, env=environment(**self.variables()), capture_output=True, text=True, timeout=60)


class ContainerPod(Pod):
    """A Pod whose containers run from the image, with paths as the manifest has them."""

    image: Image

    def localize(self, text: str) -> str:
        return text

    def command(self, words: list[str]) -> list[str]:
        program = [*self.image.config["Entrypoint"], *words[1:]] if words[0] == "refguard" else words
        volumes = {it["mountPath"]: self.folder / it["name"] for it in self.container["volumeMounts"]}
        for volume in self.spec["volumes"]:
            subprocess.run(["chown", "-R", f":{USER}", self.folder / volume["name"]], check=True)
            subprocess.run(["chmod", "-R", "g+rwX", self.folder / volume["name"]], check=True)
        return self.image.command(program, volumes)

    def own_variables(self) -> dict[str, str]:
        return self.image.variables()

    def first_process(self) -> int:
        outer = super().first_process()
        return int(Path(f"/proc/{outer}/task/{outer}/children").read_text().split()[0])


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory, stripped: Path, root: Path) -> Image:
    folder = tmp_path_factory.mktemp("image")
    archive = folder / "image.oci.tar"
    build = ["python3", root / "packaging/image/build.py", "--binary", stripped, "--output", archive]
    subprocess.run(build, check=True)

    blobs = {}
    with tarfile.open(archive) as outer:
        for member in outer:
            if member.isfile():
                blobs[member.name] = outer.extractfile(member).read()  # type: ignore[union-attr]
    read = lambda it: json.loads(blobs["blobs/" + it["digest"].replace(":", "/")])  # noqa: E731
    (listed,) = json.loads(blobs["index.json"])["manifests"]
    manifest = read(listed)
    (layer,) = manifest["layers"]
    packed = folder / "layer.tar.gz"
    packed.write_bytes(blobs["blobs/" + layer["digest"].replace(":", "/")])
    unpacked = folder / "root"
    unpacked.mkdir()
    subprocess.run(
        ["tar", "--extract", "--numeric-owner", "--same-permissions", "-C", unpacked, "-f", packed], check=True
    )
    return Image(archive, unpacked, read(manifest["config"])["config"])


def test_the_layout_is_what_other_tools_take(image: Image, installed: Callable[[str], str], tmp_path: Path) -> None:
    skopeo = installed("skopeo")
    copy = [skopeo, "copy", "--quiet", "--insecure-policy", f"oci-archive:{image.archive}", f"oci:{tmp_path}/copy:x"]
    subprocess.run(copy, check=True)
    inspect = [skopeo, "inspect", "--config", f"oci:{tmp_path}/copy:x"]
    seen = json.loads(subprocess.run(inspect, check=True, capture_output=True).stdout)
    assert seen["config"]["User"] == f"{USER}:{USER}"
    assert seen["config"]["Entrypoint"] == ["/usr/bin/refguard"]


def test_it_is_small_and_holds_nothing_to_break_out_with(image: Image) -> None:
    assert image.archive.stat().st_size <= LIMIT
    programs = {it.name for it in (image.root / "usr/bin").iterdir()}
    assert programs == {"refguard", "git"}
    for path in image.root.rglob("*"):
        mode = path.lstat().st_mode
        assert not mode & 0o6000, f"{path} runs as another user"
        is_open = (
            mode & 0o002 and not path.is_symlink() and path.relative_to(image.root).parts[0] not in ("dev", "proc")
        )
        assert not is_open or path == image.root / "tmp", f"{path} can be written by everyone"


def test_it_tells_what_it_is_made_of(image: Image) -> None:
    """Scanners read the packages that files come from; the licences of their copies go with them."""
    packages = {it.name for it in (image.root / "var/lib/dpkg/status.d").iterdir()}
    assert {"git", "libc6", "zlib1g", "ca-certificates"} <= packages
    for package in packages:
        assert (image.root / "usr/share/doc" / package / "copyright").stat().st_size > 0
        assert f"Package: {package}\n" in (image.root / "var/lib/dpkg/status.d" / package).read_text()


def test_the_same_input_makes_the_same_image(program: Path, root: Path) -> None:
    build = load_script(root / "packaging/image/build.py")
    binary = Path("/usr/bin/git")
    layers = {build.digest(build.write_archive(build.collect(binary), 0)) for _ in range(2)}
    assert len(layers) == 1


def test_its_root_cannot_be_written_and_its_user_is_not_root(image: Image) -> None:
    refused = image.run("/usr/bin/git", "init", "/usr/share/x")
    assert refused.returncode != 0 and "Read-only file system" in refused.stderr
    assert image.run("/usr/bin/refguard", "--version").stdout.startswith("refguard ")


def test_git_speaks_https(image: Image) -> None:
    """Nothing listens there: what matters is that git's transport starts and gets as far as connecting."""
    away = image.run("/usr/bin/git", "ls-remote", "https://127.0.0.1:1/policies.git")
    assert "ailed to connect" in away.stderr, away.stderr


def test_the_manifests_run_from_it(
    image: Image, render: Any, policies: Repository, remote: str, tmp_path: Path, program: Path, root: Path
) -> None:
    pod = ContainerPod(render("central"), tmp_path / "pod", program)
    pod.image = image
    pod.mount(remote, root)
    pod.initialize()
    pod.start()
    try:
        pod.until_ready()
        served = pod.status(Authorization=f"Bearer {TOKEN}")["sets"][0]
        assert served["commit"] == policies.git("rev-parse", "production")

        status = Path(f"/proc/{pod.first_process()}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split() == [str(USER)] * 4
        assert fields["NSpid"].split()[-1] == "1"
        assert int(fields["CapEff"], 16) == 0
    finally:
        assert pod.stop() == 0


def test_its_health_is_asked_by_the_binary_itself(
    image: Image, render: Any, remote: str, tmp_path: Path, program: Path, root: Path
) -> None:
    pod = ContainerPod(render("sidecar"), tmp_path / "pod", program)
    pod.image = image
    pod.mount(remote, root)
    pod.initialize()
    pod.start()
    try:
        pod.until_ready()
        assert pod.probe("startupProbe")
    finally:
        assert pod.stop() == 0
    assert not pod.probe("readinessProbe")


def test_the_page_names_flags_that_exist(program: Path, root: Path) -> None:
    page = (root / "docs/container.md").read_text()
    (written,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    service = yaml.safe_load(written)["services"]["refguard"]
    for verb, words in (("serve", service["command"]), ("wait", service["healthcheck"]["test"])):
        assert verb in words
        known = subprocess.run([program, verb, "--help"], check=True, capture_output=True, text=True).stdout
        flags = {word.split("=")[0] for word in words if word.startswith("--")}
        assert flags and all(f"{flag} " in known or f"{flag}\n" in known for flag in flags), flags
