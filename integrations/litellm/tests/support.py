"""A scratch policy repository, the real daemon over it, and a real LiteLLM proxy. Loopback only."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from websockets.sync.client import connect
from websockets.sync.connection import Connection

import refguard_litellm

PATIENCE = 180.0
MASTER_KEY = "sk-test-4e7b1f0c9d3a8b26"

T = TypeVar("T")


def until(what: str, look: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """Looks again and again until there is something to see."""
    deadline = time.monotonic() + patience
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not in {patience:.0f} s: {what}"
        time.sleep(0.01)


def clean_environment() -> dict[str, str]:
    """Nothing of the machine's own git or proxies."""
    who = dict.fromkeys(
        ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "a@example.org"
    )
    # No program, not even one of root's, can make a home there and leave it.
    return {"PATH": os.environ["PATH"], "HOME": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", **who}


class Answering(http.server.BaseHTTPRequestHandler):
    """What stands in for a server that a proxy asks: it answers JSON, and says nothing on stderr."""

    def asked(self) -> bytes:
        """The body of the request."""
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def reply(self, status: int, body: bytes) -> None:
        """Answers."""
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


class Repository:
    """Policies in git."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", self.path, *arguments], env=clean_environment(), check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def promote(self, policies: Mapping[str, str], expires: Mapping[str, str] | None = None) -> str:
        """Makes these, each a policy's name and its one guardrail for every call, the whole production set. What
        `expires` names ends then."""
        folder = self.path / "policies"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, guardrail in policies.items():
            (folder / f"{name}.yaml").write_text(
                f"apiVersion: refguard/v1\nkind: Policy\nname: {name}\nguardrails:\n  add: [{guardrail}]\n---\n"
                f'apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {name}\nscope: "*"\n'
                + (f"expires: {expires[name]}\n" if expires and name in expires else "")
            )
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")
        self.git("update-ref", "refs/heads/production", "HEAD")
        return self.git("rev-parse", "HEAD")


class Daemon:
    """`refguard serve` over a repository."""

    def __init__(self, repository: Repository, listen: str, *options: str) -> None:
        binary = os.environ["REFGUARD_BIN"]
        command = [binary, "-C", str(repository.path), "serve", "--poll", "300ms", "--listen", listen, *options]
        self.process = subprocess.Popen(
            command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line.startswith("listening on "), line
        self.url = line.removeprefix("listening on ")

    def kill(self) -> None:
        """Without a goodbye."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@dataclass
class Reply:
    """An answer of the proxy."""

    status: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        return json.loads(self.body)

    def listed(self, header: str) -> set[str]:
        return {part for part in self.headers.get(header, "").split(",") if part}


class Proxy:
    """A LiteLLM proxy that follows a daemon, with two guardrails of its own and a model that needs no network."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str],
        *,
        environment: Mapping[str, str] | None = None,
        config: str = "",
        workers: int = 1,
        guardrails: tuple[str, ...] = ("mark-a", "mark-b"),
        default_on: bool = False,
        ui: bool = False,
        modes: Mapping[str, str] | None = None,
        classes: Mapping[str, str] | None = None,
        callbacks: Sequence[str] = ("refguard_litellm.proxy.callback",),
        files: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True)
        for name, text in {"guards.py": _GUARDS, **(files or {})}.items():
            (folder / name).write_text(text)
        path = folder / "config.yaml"
        listed = [
            _GUARDRAIL.format(
                name=name,
                kind=(classes or {}).get(name, "Guard"),
                mode=(modes or {}).get(name, "pre_call"),
                default_on=str(default_on).lower(),
            )
            for name in guardrails
        ]
        path.write_text(_CONFIG.format(callbacks=json.dumps(list(callbacks))) + "".join(listed) + config)
        self.port = free_port()
        self.log = folder / "proxy.log"
        environment = {
            **clean_environment(),
            # The package that the tests import, wherever another one is installed.
            "PYTHONPATH": str(Path(refguard_litellm.__file__).parents[1]),
            **settings,
            **(environment or {}),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MASTER_KEY": MASTER_KEY,
            "NO_DOCS": "True",
            **({} if ui else {"DISABLE_ADMIN_UI": "True"}),
        }
        start = "from litellm.proxy.proxy_cli import run_server; run_server()"
        arguments = ["--config", str(path), "--host", "127.0.0.1", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", start, *arguments, "--num_workers", str(workers), "--telemetry", "False"],
            env=environment,
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def get(self, path: str, *, key: str | None = MASTER_KEY) -> Reply:
        return self._ask(path, None, key)

    def complete(self, text: str = "hello", **more: Any) -> Reply:
        body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
        return self._ask("/v1/chat/completions", json.dumps(body).encode(), MASTER_KEY)

    def open_socket(self, path: str) -> Connection:
        """A websocket of the proxy."""
        return connect(
            f"ws://127.0.0.1:{self.port}{path}",
            additional_headers={"Authorization": f"Bearer {MASTER_KEY}"},
            proxy=None,
        )

    def post(self, path: str, body: Any) -> Reply:
        return self._ask(path, json.dumps(body).encode(), MASTER_KEY)

    def post_without_key(self, path: str, body: Any) -> Reply:
        return self._ask(path, json.dumps(body).encode(), None)

    def post_form(self, path: str, fields: Mapping[str, str], content: str) -> Reply:
        """Sends a form with fields, and a file of that content under each name that LiteLLM looks for one."""
        parts = [f'content-disposition: form-data; name="{name}"\r\n\r\n{text}' for name, text in fields.items()]
        file = 'filename="f.wav"\r\ncontent-type: audio/wav'
        parts += [
            f'content-disposition: form-data; name="{name}"; {file}\r\n\r\n{content}'
            for name in ("file", "image", "video")
        ]
        form = "".join(f"--x\r\n{part}\r\n" for part in parts) + "--x--\r\n"
        return self._ask(path, form.encode(), MASTER_KEY, "multipart/form-data; boundary=x")

    def send(self, method: str, path: str, body: Any = None) -> Reply:
        """A request of any method."""
        return self._ask(path, None if body is None else json.dumps(body).encode(), MASTER_KEY, method=method)

    def upload(self, name: str, content: str) -> Reply:
        """Uploads the requests of a batch."""
        parts = (
            f'--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            f'--x\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n'
            f"content-type: application/jsonl\r\n\r\n{content}\r\n--x--\r\n"
        )
        return self._ask("/v1/files", parts.encode(), MASTER_KEY, "multipart/form-data; boundary=x")

    def until_alive(self) -> None:
        def alive() -> bool:
            assert self.process.poll() is None, self.tail()
            with contextlib.suppress(OSError):
                return self.get("/health/liveliness", key=None).status == 200
            return False

        until("the proxy answers", alive)

    def until_running(self, commit: str) -> Reply:
        """Completes until a completion was decided by a commit. Every answer before must be whole."""

        def running() -> Reply | None:
            reply = self.complete()
            return reply if reply.headers.get("x-refguard-commit") == commit else None

        return until(f"completions are decided by {commit}", running)

    def until_status(self, what: str, wanted: Callable[[Any], bool]) -> Any:
        seen: Any = None

        def look() -> Any:
            nonlocal seen
            seen = self.get("/refguard/status").json()
            return seen if wanted(seen) else None

        try:
            return until(what, look)
        except AssertionError as error:
            raise AssertionError(f"{error}: {seen}") from None

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def end(self) -> int:
        """Asks it to end, and waits until it has."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """With its workers, which have its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _ask(
        self, path: str, body: bytes | None, key: str | None, kind: str = "application/json", method: str | None = None
    ) -> Reply:
        headers = {"content-type": kind, "accept": "application/json, text/event-stream"} | (
            {"authorization": f"Bearer {key}"} if key else {}
        )
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=body, headers=headers, method=method
        )
        try:
            with _OPENER.open(request, timeout=PATIENCE) as reply:
                return Reply(reply.status, _lower(reply.headers), reply.read().decode())
        except urllib.error.HTTPError as reply:
            return Reply(reply.code, _lower(reply.headers), reply.read().decode())


# Whatever proxy the environment names is not for loopback.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask_daemon(address: str, path: str) -> Any:
    """What the daemon answers, as JSON."""
    with _OPENER.open(f"http://{address}{path}", timeout=PATIENCE) as reply:
        return json.load(reply)


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


_CONFIG = """\
model_list:
  - model_name: m
    litellm_params: {{model: openai/m, api_key: none, mock_response: "a fine answer"}}
litellm_settings:
  callbacks: {callbacks}
guardrails:
"""

_GUARDRAIL = """\
  - guardrail_name: {name}
    litellm_params: {{guardrail: guards.{kind}, mode: {mode}, default_on: {default_on}}}
"""

# A `guards.py` by which a call has `mark-a` lost; models are asked of the provider that `UPSTREAM` names.
_LOSING_GUARDS = """
import os

import litellm
from fastapi import HTTPException
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.integrations.custom_logger import CustomLogger

litellm.api_base = os.environ["UPSTREAM"]


class Switch(CustomLogger):
    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        if "lose mark-a" in str(data.get("messages")):
            kept = [c for c in litellm.callbacks if getattr(c, "guardrail_name", None) != "mark-a"]
            litellm.callbacks[:] = kept


switch = Switch()
"""


def losing_guards(classes: str) -> str:
    """A `guards.py` with these classes of guardrails, by which a call has `mark-a` lost."""
    return _LOSING_GUARDS + classes


_GUARDS = '''\
from fastapi import HTTPException
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.proxy.common_utils.callback_utils import add_guardrail_to_applied_guardrails_header


class Guard(CustomGuardrail):
    """Blocks a call that holds its own name."""

    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        said = [data.get(name) for name in ("messages", "input", "prompt", "query", "contents")]
        if f"block {self.guardrail_name}" in str(said):
            raise HTTPException(status_code=400, detail={"error": f"blocked by {self.guardrail_name}"})
        add_guardrail_to_applied_guardrails_header(request_data=data, guardrail_name=self.guardrail_name)
        return data
'''
