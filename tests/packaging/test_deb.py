"""The Debian package: installed by apt, its service's command run by hand, removed. Needs root on a Debian machine."""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.repository import Repository

UNIT = Path("/usr/lib/systemd/system/refguard.service")
STATE = Path("/var/lib/refguard")
PATIENCE = 60


def run(*words: str | Path, **more: str) -> str:
    variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", **more}
    ran = subprocess.run([str(it) for it in words], capture_output=True, text=True, env=variables)
    assert ran.returncode == 0, f"{words}: {ran.stdout}{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def archive(stripped: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("deb") / "refguard.deb"
    build = root / "packaging/deb/build.py"
    run("python3", build, "--binary", stripped, "--output", path, "--compression", "none")
    return path


@pytest.fixture(scope="module")
def package(archive: Path) -> Iterator[Path]:
    """The package, installed by apt as long as the stories of this file run."""
    # Images of containers tell dpkg to leave man pages out: here they are asked for.
    with_pages = ["-o", "Dpkg::Options::=--path-include=/usr/share/man/*"]
    run("apt-get", "install", "-qq", "-y", "--no-install-recommends", *with_pages, archive)
    try:
        yield archive
    finally:
        run("dpkg", "--purge", "refguard")


def read_unit() -> dict[str, list[str]]:
    """The values of the unit's settings by their names."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^([A-Za-z]+)=(.*)$", UNIT.read_text(), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def test_it_says_what_it_needs(archive: Path) -> None:
    depends = run("dpkg-deb", "--field", archive, "Depends")
    for name in ("git (>=", "libc6 (>= 2.", "libgcc-s1"):
        assert name in depends
    owners = {line.split()[1] for line in run("dpkg-deb", "--contents", archive).splitlines()}
    assert owners == {"root/root"}


def test_pages_and_completions_are_where_programs_look_for_them(package: Path) -> None:
    assert "/usr/bin/refguard" in run("dpkg", "--listfiles", "refguard").splitlines()
    assert run("/usr/bin/refguard", "--version").startswith("refguard ")
    pages = [path for path in listed_files(package) if path.startswith("/usr/share/man/")]
    assert {f"/usr/share/man/man1/{page}.1.gz" for page in list_pages()} == set(pages)
    for path in pages:
        name = Path(path).name.removesuffix(".1.gz").upper()
        assert f"\n.TH {name} 1 " in run("gzip", "-dc", path)
    loaded = run("bash", "-c", ". /usr/share/bash-completion/completions/refguard && complete -p refguard")
    assert "refguard" in loaded
    for path in ("/usr/share/zsh/vendor-completions/_refguard", "/usr/share/fish/vendor_completions.d/refguard.fish"):
        assert "refguard" in Path(path).read_text()


def listed_files(archive: Path) -> list[str]:
    """The paths of the files that a package has, as dpkg-deb tells them."""
    lines = run("dpkg-deb", "--contents", archive).splitlines()
    return [line.split()[5].removeprefix(".") for line in lines if line.startswith("-")]


def list_pages() -> set[str]:
    """A page for the program, each verb, and each verb below a verb, as its help names them."""

    def below(*words: str) -> list[str]:
        _, _, rest = run("/usr/bin/refguard", *words, "--help").partition("\nCommands:\n")
        verbs = re.findall(r"^  ([a-z-]+) ", rest.partition("\n\n")[0], re.MULTILINE)
        return [verb for verb in verbs if verb != "help"]

    verbs = below()
    assert {"serve", "hook", "promote"} <= set(verbs)
    return {"refguard", *(f"refguard-{verb}" for verb in verbs)} | {
        f"refguard-{verb}-{last}" for verb in verbs for last in below(verb)
    }


def test_every_file_is_at_its_place_with_its_mode(archive: Path) -> None:
    modes = {}
    for line in run("dpkg-deb", "--contents", archive).splitlines():
        mode, _, _, _, _, path = line.split(maxsplit=5)
        modes[path.removeprefix(".")] = mode
    program = modes.pop("/usr/bin/refguard")
    assert program == "-rwxr-xr-x"
    assert set(modes.values()) == {"-rw-r--r--", "drwxr-xr-x"}
    files = {path for path, mode in modes.items() if mode.startswith("-")}
    assert {path for path in files if not path.startswith("/usr/share/man/man1/refguard")} == {
        "/etc/refguard/environment",
        "/usr/lib/systemd/system/refguard.service",
        "/usr/lib/sysusers.d/refguard.conf",
        "/usr/share/bash-completion/completions/refguard",
        "/usr/share/doc/refguard/changelog.gz",
        "/usr/share/doc/refguard/copyright",
        "/usr/share/fish/vendor_completions.d/refguard.fish",
        "/usr/share/zsh/vendor-completions/_refguard",
    }


def test_systemd_takes_the_unit(package: Path) -> None:
    if not shutil.which("systemd-analyze"):
        run("apt-get", "install", "-qq", "-y", "--no-install-recommends", "systemd")
    ran = subprocess.run(["systemd-analyze", "verify", UNIT], capture_output=True, text=True)
    told = [line for line in ran.stderr.splitlines() if "refguard" in line]
    assert ran.returncode == 0 and told == [], ran.stderr


def test_the_command_of_the_unit_runs_as_its_user(package: Path, program: Path) -> None:
    unit = read_unit()
    (user,), (group,) = unit["User"], unit["Group"]
    shell = run("getent", "passwd", user).strip().split(":")[-1]
    assert shell.endswith("nologin")

    # What systemd does before it starts the service.
    shutil.rmtree(STATE, ignore_errors=True)
    run("install", "-d", "-m", unit["StateDirectoryMode"][0], "-o", user, "-g", group, STATE)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        repository = Repository.make(Path(folder) / "policies", program)
        run("chown", "-R", f"{user}:{group}", repository.path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(f"{folder}/notify")
            os.chmod(f"{folder}/notify", 0o777)
            told.settimeout(PATIENCE)
            serve(unit, user, repository.path, told)
    kept = [it.name for it in STATE.rglob("*")]
    assert "served-production.json" in kept


def serve(unit: dict[str, list[str]], user: str, repository: Path, told: socket.socket) -> None:
    """Starts the service's command, waits until it tells the service manager that it is ready, and ends it."""
    variables = dict(line.split("=", 1) for line in unit["Environment"])
    variables |= {"REFGUARD_REPOSITORY": str(repository), "REFGUARD_OPTIONS": "--listen 127.0.0.1:0"}
    (command,) = unit["ExecStart"]
    words: list[str] = []
    for word in shlex.split(command):
        if named := re.fullmatch(r"\$([A-Z_]+)", word):
            words += variables[named[1]].split()
        else:
            words.append(re.sub(r"\$\{([A-Z_]+)\}", lambda found: variables[found[1]], word))
    assert not any("$" in word for word in words), words

    variables |= {"NOTIFY_SOCKET": told.getsockname(), "STATE_DIRECTORY": str(STATE), "PATH": "/usr/bin:/bin"}
    start = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--no-new-privs", *words]
    daemon = subprocess.Popen(start, env=variables, stdout=subprocess.PIPE, text=True)
    try:
        assert daemon.stdout is not None
        ready, _, _ = select.select([daemon.stdout], [], [], PATIENCE)
        assert ready and daemon.stdout.readline().startswith("listening on http://127.0.0.1:")
        assert b"READY=1" in told.recv(4096)
        uid = re.search(r"^Uid:\s+(\d+)", Path(f"/proc/{daemon.pid}/status").read_text(), re.MULTILINE)
        assert uid and int(uid[1]) == int(run("id", "-u", user))
    finally:
        daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(PATIENCE) == 0


def test_a_removal_leaves_the_state_and_a_purge_takes_it(package: Path) -> None:
    STATE.mkdir(exist_ok=True)
    (STATE / "served-production.json").touch()
    run("apt-get", "remove", "-qq", "-y", "refguard")
    assert not Path("/usr/bin/refguard").exists()
    assert (STATE / "served-production.json").exists()
    assert Path("/etc/refguard/environment").exists()

    run("dpkg", "--purge", "refguard")
    assert not STATE.exists() and not Path("/etc/refguard/environment").exists()
