"""What is wrong from outside, met by a real proxy: it starts, refuses with a reason, keeps its last good set, and says
so in its log and in `/refguard/status`. Only a LiteLLM of another layout ends its start."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import refguard_litellm
from refguard_litellm.client import Bundle
from sets import bundle, core_bundle, core_bundle_of
from support import PATIENCE, Answering, Proxy
from test_end_to_end import Cleaning, ending  # noqa: F401 (a fixture)

BASE = {"base": {"guardrails": {"add": ["mark-a"]}}}


class Server(http.server.ThreadingHTTPServer):
    """A daemon whose set is given by the test, and may be anything."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.bundle: Bundle | None = None
        self.is_ending = threading.Event()
        self._changed = threading.Condition()

    def serve(self, found: Bundle) -> None:
        """What is answered from now on."""
        with self._changed:
            self.bundle = found
            self._changed.notify_all()

    def other_than(self, etag: str | None, wait: float) -> Bundle | None:
        """The set, as soon as it has another tag."""

        def is_other() -> bool:
            return self.is_ending.is_set() or (self.bundle is not None and self.bundle.etag != etag)

        with self._changed:
            self._changed.wait_for(is_other, wait)
            found = self.bundle
        return None if found is None or found.etag == etag else found

    def end(self) -> None:
        """Lets every question go."""
        with self._changed:
            self.is_ending.set()
            self._changed.notify_all()
        self.shutdown()
        self.server_close()


class _Answer(Answering):
    server: Server

    def do_GET(self) -> None:
        _, _, wait = (self.headers.get("prefer") or "").partition("wait=")
        found = self.server.other_than(self.headers.get("if-none-match"), float(wait or 0))
        if found is None:
            self.send_response(304)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("etag", found.etag)
        self.send_header("x-refguard-commit", found.commit)
        self.send_header("content-type", "application/json" if found.is_json else "application/yaml")
        self.send_header("content-length", str(len(found.body)))
        self.end_headers()
        self.wfile.write(found.body)

    def do_PUT(self) -> None:
        self.asked()
        self.reply(404, b"{}")

    def do_DELETE(self) -> None:
        self.reply(404, b"{}")


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.end()


def spoiled(found: Bundle, change: Callable[[bytes], bytes]) -> Bundle:
    return Bundle(change(found.body), found.etag, found.commit, found.is_json, found.form)


def rejects(commit: str) -> Callable[[Any], bool]:
    """Whether a status says that a commit is rejected."""
    return lambda status: (status["rejected"] or {}).get("commit") == commit


def cut(body: bytes) -> bytes:
    return body[: len(body) // 2]


# What each engine cannot take: what is served, and the words that say why.
BAD: dict[str, list[tuple[Callable[[str], Bundle], str]]] = {
    "refguard": [
        (lambda commit: spoiled(core_bundle(commit, "mark-a"), cut), "cannot be parsed"),
        (lambda commit: spoiled(core_bundle(commit, "mark-a"), lambda _: b"\x00\xff" * 99), "cannot be parsed"),
        (lambda commit: spoiled(core_bundle(commit, "mark-a"), lambda b: b.replace(b"mark-a", b"mark-b")), "digest"),
        (lambda commit: core_bundle_of(commit, BASE, [{"policy": "base", "tools": ["x/*"]}]), "names `tools`"),
        (lambda commit: core_bundle(commit, "mark-a", "mark-c"), "no guardrail `mark-c`"),
    ],
    "litellm": [
        (lambda commit: bundle(commit, body="policies: {"), "cannot be parsed"),
        (lambda commit: bundle(commit, body="\x00\x01"), "cannot be parsed"),
        (lambda commit: bundle(commit, body="policies: {}\npolicy_attachments: []\n"), "it has no policies"),
        (
            lambda commit: bundle(
                commit, body="policies: {base: {guardrails: {add: [mark-a]}, owner: x}}\npolicy_attachments: []\n"
            ),
            "policy `base`: `owner`",
        ),
        (lambda commit: bundle(commit, "mark-a", "mark-c"), "no guardrail `mark-c`"),
    ],
}


@pytest.mark.parametrize("engine", [pytest.param("refguard", marks=pytest.mark.extension), "litellm"])
def test_a_set_that_cannot_be_enforced_leaves_the_last_good_one(
    tmp_path: Path,
    ending: Cleaning,  # noqa: F811
    engine: str,
) -> None:
    good = core_bundle if engine == "refguard" else bundle
    with serving() as server:
        # What is served first is bad: the proxy starts all the same, and no call passes.
        first, said = BAD[engine][0]
        server.serve(first("bad-first"))
        proxy: Proxy = ending(
            Proxy(tmp_path / "proxy", {"REFGUARD_URL": server.url, "REFGUARD_ENGINE": engine, "REFGUARD_WAIT": "5"})
        )
        proxy.until_alive()
        status = proxy.until_status("it is rejected", lambda status: status["rejected"])
        assert (status["state"], status["serving"], status["commit"]) == ("rejected", False, None)
        assert said in status["rejected"]["reason"], status
        refused = proxy.complete()
        assert (refused.status, refused.headers["x-refguard-state"]) == (503, "rejected")
        assert "no policy set has been loaded yet" in refused.body
        assert proxy.get("/refguard/readyz", key=None).status == 503

        server.serve(good("good", "mark-a"))
        proxy.until_running("good")
        for number, (make, said) in enumerate(BAD[engine]):
            commit = f"bad-{number}"
            server.serve(make(commit))
            status = proxy.until_status(f"{commit} is rejected", rejects(commit))
            assert (status["state"], status["serving"], status["commit"]) == ("rejected", True, "good"), status
            assert said in status["rejected"]["reason"], status
            reply = proxy.complete()
            assert (reply.status, reply.headers["x-refguard-commit"]) == (200, "good")
            assert (reply.headers["x-refguard-state"], proxy.complete("block mark-a").status) == ("rejected", 400)
            log = proxy.log.read_text()
            assert f"refguard: commit {commit} is not enforced: " in log, proxy.tail()
            assert "commit good keeps running" in log, proxy.tail()
        server.serve(good("better", "mark-a", "mark-b"))
        proxy.until_running("better")


def spoil_extension(source: Path, fault: str) -> None:
    """Makes the extension of a copy of the package one that does not fit."""
    for file in source.glob("refguard_litellm/_core*.so"):
        if fault == "of another interpreter":
            file.rename(file.with_name("_core.cpython-39-darwin.so"))
        else:
            file.write_bytes(b"\x7fELF, but not for long")


@pytest.mark.extension
@pytest.mark.parametrize(
    ("fault", "said"),
    [("of another interpreter", "is not for this interpreter"), ("broken", "cannot be used")],
)
def test_an_extension_that_does_not_fit_refuses_calls_and_lets_the_proxy_start(
    tmp_path: Path,
    ending: Cleaning,  # noqa: F811
    fault: str,
    said: str,
) -> None:
    source = tmp_path / "source"
    shutil.copytree(Path(refguard_litellm.__file__).parent, source / "refguard_litellm")
    spoil_extension(source, fault)
    with serving() as server:
        server.serve(core_bundle("good", "mark-a"))
        proxy: Proxy = ending(
            Proxy(tmp_path / "proxy", {"REFGUARD_URL": server.url}, environment={"PYTHONPATH": str(source)})
        )
        proxy.until_alive()
        status = proxy.get("/refguard/status").json()
        assert (status["state"], status["serving"], status["engine"]["name"]) == ("refusing", False, "refguard")
        assert said in status["engine"]["reason"], status
        refused = proxy.complete()
        assert (refused.status, said in refused.body) == (503, True), refused
        assert "calls are refused" in proxy.log.read_text() and said in proxy.log.read_text(), proxy.tail()


# A LiteLLM whose registry has a field more than is known.
OTHER_LAYOUT = """
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy.policy_engine.policy_registry import PolicyRegistry

made = PolicyRegistry.__init__


def make(self):
    made(self)
    self._by_team = {}


PolicyRegistry.__init__ = make
nothing = CustomLogger()
"""


def test_an_unknown_layout_ends_the_start(tmp_path: Path, ending: Cleaning) -> None:  # noqa: F811
    proxy: Proxy = ending(
        Proxy(
            tmp_path / "proxy",
            {"REFGUARD_URL": "http://127.0.0.1:1"},
            callbacks=("other_layout.nothing", "refguard_litellm.proxy.callback"),
            files={"other_layout.py": OTHER_LAYOUT},
        )
    )
    assert proxy.process.wait(PATIENCE) != 0
    log = proxy.log.read_text()
    assert "PolicyRegistry has the fields" in log and "_by_team" in log, proxy.tail()
