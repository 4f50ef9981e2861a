"""Environments of Python with the package for LiteLLM proxies in them, by its wheel, and proxies that run there."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.repository import environment

PATIENCE = 180
KEY = "sk-0f4e2b7d91"
# No table of prices is fetched, nothing is shown to a browser.
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_DOCS": "True", "DISABLE_ADMIN_UI": "True"}
CONFIG = """\
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: none, mock_response: "hello"}
litellm_settings:
  callbacks: ["refguard_litellm.proxy.callback"]
guardrails:
"""
GUARDRAIL = """\
  - guardrail_name: {name}
    litellm_params: {{guardrail: guards.Guard, mode: pre_call, default_on: false}}
"""
GUARDS = """\
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.proxy.common_utils.callback_utils import add_guardrail_to_applied_guardrails_header


class Guard(CustomGuardrail):
    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        add_guardrail_to_applied_guardrails_header(request_data=data, guardrail_name=self.guardrail_name)
        return data
"""


def run(*words: str | Path, **more: str) -> str:
    """What a program says, which must end well."""
    # pip asks `rustc` for its version, and rustup makes the home that it is given: there nobody can.
    own = environment(HOME="/dev/null", **more)
    own |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    ran = subprocess.run(words, capture_output=True, text=True, env=own)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def build(root: Path, folder: Path) -> Path:
    """The wheel, for this machine only, with what `REFGUARD_EXTENSION_TARGET` has of earlier builds."""
    maturin = Path(sys.executable).with_name("maturin")
    target = os.environ.get("REFGUARD_EXTENSION_TARGET", root / "target/ci-extension")
    subprocess.run(
        [maturin, "build", "--compatibility", "linux", "--out", folder],
        check=True,
        cwd=root / "integrations/litellm",
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
    )
    (found,) = folder.glob("*.whl")
    return found


def install(python: str | Path, folder: Path, wheel: Path) -> Path:
    """A fresh environment of a Python with the wheel and nothing that it depends on; its interpreter."""
    run(python, "-m", "venv", folder)
    made = folder / "bin/python"
    run(made, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel)
    return made


def lend(python: Path, lender: str | Path) -> None:
    """Has an environment find what another one has, behind its own: LiteLLM takes minutes to install."""
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own, others = (Path(run(it, "-c", where).strip()) for it in (python, lender))
    (own / "lent.pth").write_text(f"{others}\n")


@contextmanager
def run_proxy(
    python: Path, folder: Path, daemon: str, guardrails: list[str], *, settings: dict[str, str], config: str = ""
) -> Iterator[str]:
    """The address of a proxy that has read what a daemon serves. Its guardrails let everything pass, its model needs no
    network."""
    folder.mkdir()
    (folder / "guards.py").write_text(GUARDS)
    text = CONFIG + "".join(GUARDRAIL.format(name=name) for name in guardrails) + config
    (folder / "config.yaml").write_text(text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    start = "from litellm.proxy.proxy_cli import run_server; run_server()"
    words = ["--config", folder / "config.yaml", "--host", "127.0.0.1", "--port", address.split(":")[1]]
    log = folder / "log"
    running = subprocess.Popen(
        [python, "-c", start, *words, "--telemetry", "False"],
        env=environment(HOME=str(folder), REFGUARD_URL=f"http://{daemon}", LITELLM_MASTER_KEY=KEY, **QUIET, **settings),
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + PATIENCE
        while not (ask(address, "/refguard/status") or {}).get("commit"):
            assert running.poll() is None and time.monotonic() < end, log.read_text()[-4000:]
            time.sleep(0.1)
        yield address
    finally:
        running.terminate()
        running.wait(PATIENCE)


def ask(address: str, path: str, body: object = None) -> dict[str, Any] | None:
    """What a proxy answers the key of its admin, as JSON; nothing where it does not answer yet."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{address}{path}", data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)
    except (urllib.error.URLError, ConnectionError):
        return None
