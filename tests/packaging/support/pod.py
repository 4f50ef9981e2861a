"""What a node does with a Pod, as far as a daemon sees it: volumes, the environment, arguments, probes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import select
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.forge import basic

PATIENCE = 60.0
# What clients of the central daemon send, and what the forge asks for.
TOKEN = "t0ken"
BASIC = basic("reader", "s3cret")


@dataclass
class Pod:
    """The containers of a Pod of which refguard is one, its volumes below a folder of the host.

    Paths below the mount points are led into that folder, in arguments, variables and files alike; the port becomes a
    free one. Everything else is as the manifest has it.
    """

    documents: list[dict[str, Any]]
    folder: Path
    program: Path
    """What the image calls `refguard`."""
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    running: subprocess.Popen[str] | None = None
    address: str = ""

    @property
    def spec(self) -> dict[str, Any]:
        (deployment,) = (it for it in self.documents if it["kind"] == "Deployment")
        return deployment["spec"]["template"]["spec"]

    @property
    def container(self) -> dict[str, Any]:
        """The daemon's."""
        everything = self.spec.get("initContainers", []) + self.spec["containers"]
        (found,) = (it for it in everything if it["name"] == "refguard")
        return found

    def mount(self, remote: str, root: Path) -> None:
        """Makes the volumes, as a node does before it starts anything. What is in the manifests an example, the address
        of the forge, becomes `remote`."""
        for document in self.documents:
            if "gitconfig" in document.get("data", {}):
                example = document["data"]["gitconfig"]
                document["data"]["gitconfig"] = example.replace(
                    "https://git.example/policies.git", f"{remote}/policies"
                )
                assert document["data"]["gitconfig"] != example
        self.secrets = make_secrets(remote, root)
        for volume in self.spec["volumes"]:
            path = self.folder / volume["name"]
            path.mkdir(parents=True, exist_ok=True)
            for name, text in self.files(volume).items():
                (path / name).write_text(self.localize(text))

    def files(self, volume: dict[str, Any]) -> dict[str, str]:
        """What is in a volume at the start."""
        if "configMap" in volume:
            name = volume["configMap"]["name"]
            (found,) = (it for it in self.documents if it["kind"] == "ConfigMap" and it["metadata"]["name"] == name)
            return found["data"]
        if "secret" in volume:
            name = volume["secret"]["secretName"]
            assert name in self.secrets or volume["secret"].get("optional"), f"no secret {name}"
            return self.secrets.get(name, {})
        assert set(volume) == {"name", "emptyDir"}, volume
        return {}

    def localize(self, text: str) -> str:
        """The same text with paths of the container led to where the volumes are."""
        mounts = {it["mountPath"]: str(self.folder / it["name"]) for it in self.container["volumeMounts"]}
        paths = "|".join(re.escape(path) for path in sorted(mounts, key=len, reverse=True))
        return re.sub(rf"(?<![\w/])({paths})(?=/|$)", lambda found: mounts[found[1]], text, flags=re.MULTILINE)

    def command(self, words: list[str]) -> list[str]:
        """A command of the manifest, as it is run here."""
        assert words[0] in ("git", "refguard"), words
        first = str(self.program) if words[0] == "refguard" else words[0]
        return [first, *(self.localize(word) for word in words[1:])]

    def environment(self, container: dict[str, Any]) -> dict[str, str]:
        """What the manifest says, and nothing that this machine has beside it."""
        named = {it["name"]: self.localize(it["value"]) for it in container.get("env", [])}
        return {**self.own_variables(), **named}

    def own_variables(self) -> dict[str, str]:
        """What the image itself sets."""
        return {"PATH": os.environ["PATH"], "HOME": "/dev/null"}

    def initialize(self) -> None:
        """Runs the init containers that end, in their order."""
        for container in self.spec["initContainers"]:
            if container.get("restartPolicy") == "Always":
                continue
            words = container["command"] + container.get("args", [])
            subprocess.run(self.command(words), check=True, env=self.environment(container))

    def start(self) -> None:
        """Starts the daemon and waits for it to listen."""
        words = ["refguard", *self.container["args"]]
        words = [word.replace(":8731", ":0") if word.startswith("--listen=") else word for word in words]
        self.running = subprocess.Popen(
            self.command(words),
            env=self.environment(self.container),
            stdout=subprocess.PIPE,
            stderr=(self.folder / "log").open("w"),
            text=True,
        )
        assert self.running.stdout is not None
        ready, _, _ = select.select([self.running.stdout], [], [], PATIENCE)
        line = self.running.stdout.readline() if ready else ""
        assert line.startswith("listening on "), f"{line!r}; {(self.folder / 'log').read_text()}"
        self.address = line.removeprefix("listening on ").strip().replace("0.0.0.0", "127.0.0.1")

    def first_process(self) -> int:
        """The process that the node started, by its number here."""
        assert self.running is not None
        return self.running.pid

    def stop(self) -> int:
        """Ends the daemon as a node does; its exit code."""
        assert self.running is not None
        os.kill(self.first_process(), signal.SIGTERM)
        return self.running.wait(self.spec["terminationGracePeriodSeconds"])

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Status and body of a path, asked as a node or a client in the cluster does: by an address of the Pod."""
        host = {"Host": f"10.1.2.3:{urlsplit(self.address).port}"}
        request = urllib.request.Request(self.address + path, headers={**host, **headers})
        try:
            with urllib.request.urlopen(request, timeout=10, context=unchecked()) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def probe(self, name: str) -> bool:
        """Whether a probe of the daemon's container succeeds now."""
        probe = self.container[name]
        if "exec" in probe:
            words = [word.replace("http://127.0.0.1:8731", self.address) for word in probe["exec"]["command"]]
            ran = subprocess.run(self.command(words), env=self.environment(self.container), timeout=60)
            return ran.returncode == 0
        asked = probe["httpGet"]
        assert self.address.startswith(asked["scheme"].lower() + "://")
        assert asked["port"] in {it["name"] for it in self.container["ports"]}
        return 200 <= self.get(asked["path"])[0] < 400

    def until_ready(self) -> None:
        """Asks the readiness probe until it succeeds."""
        end = time.monotonic() + PATIENCE
        while not self.probe("readinessProbe"):
            assert time.monotonic() < end, (self.folder / "log").read_text()

    def status(self, **headers: str) -> dict[str, Any]:
        """What the daemon says of itself."""
        status, body = self.get("/v1/status", **headers)
        assert status == 200, body
        return json.loads(body)


def make_secrets(remote: str, root: Path) -> dict[str, dict[str, str]]:
    """What the cluster has beside the manifests, as docs/kubernetes.md names it."""
    certificates = root / "tests/data/tls"
    return {
        "refguard-git-credentials": {"gitconfig": f'[http "{remote}/"]\n    extraHeader = "Authorization: {BASIC}"\n'},
        "refguard-tokens": {"tokens": hashlib.sha256(TOKEN.encode()).hexdigest() + "  # proxies\n"},
        "refguard-tls": {
            "tls.crt": (certificates / "cert.pem").read_text(),
            "tls.key": (certificates / "key.pem").read_text(),
        },
    }


def unchecked() -> ssl.SSLContext:
    """A node's probe does not look at certificates."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
