"""A websocket of `/v1/responses`: what is sent is seen by the guardrails that policies want, or it is refused."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import litellm
import pytest
from fastapi import HTTPException
from litellm.caching.dual_cache import DualCache
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.proxy import proxy_server
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.utils import ProxyLogging
from websockets.exceptions import ConnectionClosed
from websockets.sync.connection import Connection
from websockets.sync.server import ServerConnection, serve

from refguard_litellm import proxy
from refguard_litellm.bundle import build
from refguard_litellm.proxy import RefguardCallback
from refguard_litellm.settings import Settings
from sets import bundle
from support import Daemon, Proxy, Repository, losing_guards
from test_proxy import alone

KEY = UserAPIKeyAuth(api_key="k")


@pytest.mark.parametrize(
    ("shows", "call_type", "guardrails", "is_refused"),
    [
        (False, "_aresponses_websocket", ["a"], True),
        (False, "_aresponses_websocket", [{"a": {}}], True),
        # No policy wants it.
        (False, "_aresponses_websocket", ["other"], False),
        (False, "_aresponses_websocket", [], False),
        (False, "aresponses", ["a"], False),
        (True, "_aresponses_websocket", ["a"], False),
    ],
)
def test_only_a_socket_whose_messages_nobody_would_see_is_refused(
    monkeypatch: pytest.MonkeyPatch, shows: bool, call_type: str, guardrails: list[Any], is_refused: bool
) -> None:
    monkeypatch.setattr(proxy_server, "prisma_client", None)
    monkeypatch.setattr(proxy, "_shows_frames", lambda: shows)
    litellm.callbacks.append(CustomGuardrail(guardrail_name="a"))
    callback = RefguardCallback(Settings())
    monkeypatch.setattr(callback.follower, "start", lambda: None)
    callback.follower._pending = build(bundle("c1", "a"))
    callback.follower._recheck()

    async def story() -> None:
        data = {"model": "m", "litellm_metadata": {"guardrails": guardrails}}
        if not is_refused:
            await callback.async_pre_call_hook(KEY, DualCache(), data, call_type)
            return
        with pytest.raises(HTTPException) as raised:
            await callback.async_pre_call_hook(KEY, DualCache(), data, call_type)
        assert raised.value.status_code == 503
        assert "policies want a: use HTTP" in str(raised.value.detail)

    alone(story())


def test_a_message_whose_guardrail_is_lost_meanwhile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an open websocket, or a request in a file: LiteLLM asks for them what enforces something only."""
    monkeypatch.setattr(proxy_server, "prisma_client", None)
    guardrails = [CustomGuardrail(guardrail_name=name) for name in "ab"]
    litellm.callbacks.extend(guardrails)
    callback = RefguardCallback(Settings())
    litellm.callbacks.append(callback)
    monkeypatch.setattr(callback.follower, "start", lambda: None)
    callback.follower._pending = build(bundle("c1", "a", "b"))
    callback.follower._recheck()
    logging = ProxyLogging(user_api_key_cache=proxy_server.user_api_key_cache)

    async def story(guardrail: str) -> None:
        data = {"model": "m", "input": "hello", "metadata": {"guardrails": [guardrail]}}
        await logging.pre_call_hook(user_api_key_dict=KEY, data=data, call_type="aresponses", guardrails_only=True)

    alone(story("a"))
    litellm.callbacks.remove(guardrails[0])
    with pytest.raises(HTTPException) as raised:
        alone(story("a"))
    assert "this proxy has lost the guardrail a" in str(raised.value.detail)
    alone(story("b"))


@pytest.mark.skipif(not os.environ.get("REFGUARD_BIN"), reason="REFGUARD_BIN does not name the refguard program")
@pytest.mark.skipif(proxy._shows_frames(), reason="this LiteLLM shows every message to the guardrails")
def test_a_real_proxy_refuses_the_socket(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    commit = repository.promote({"base": "mark-a"})
    daemon = Daemon(repository, "127.0.0.1:0")
    followed = Proxy(tmp_path / "proxy", {"REFGUARD_URL": daemon.url})
    try:
        followed.until_alive()
        followed.until_running(commit)
        with followed.open_socket("/v1/responses") as socket:
            socket.send(json.dumps({"type": "response.create", "model": "m", "input": "block mark-a"}))
            answer = json.loads(socket.recv(timeout=60))
            assert answer["type"] == "error", answer
            assert "policies want mark-a: use HTTP" in answer["error"]["message"]
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=60)
    finally:
        followed.kill()
        daemon.kill()


# They read the frames of an open socket.
OPEN_GUARDS = losing_guards(
    """

class Guard(CustomGuardrail):
    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        if f"block {self.guardrail_name}" in str(data.get("input")):
            raise HTTPException(status_code=400, detail={"error": f"blocked by {self.guardrail_name}"})
        return data
"""
)


@dataclass
class Provider:
    """A provider of `/v1/responses` over TLS, as LiteLLM wants it, which remembers what it was sent."""

    url: str
    certificate: Path
    sent: list[str] = field(default_factory=list)

    def was_sent(self, text: str) -> bool:
        return any(text in message for message in self.sent)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 for one day that vouches for itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a provider")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


@contextmanager
def provider(folder: Path) -> Iterator[Provider]:
    certificate, key = make_certificate(folder)
    sent: list[str] = []

    def answer(socket: ServerConnection) -> None:
        for message in socket:
            sent.append(str(message))
            response = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": []}
            socket.send(json.dumps({"type": "response.completed", "response": response}))

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = serve(answer, "127.0.0.1", 0, ssl=context)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Provider(f"https://127.0.0.1:{server.socket.getsockname()[1]}/v1", certificate, sent)
    finally:
        server.shutdown()


def say(socket: Connection, text: str, **more: Any) -> Any:
    """What comes back for a message: the provider's answer, or an error."""
    socket.send(json.dumps({"type": "response.create", "model": "m", "input": text, **more}))
    return json.loads(socket.recv(timeout=60))


def is_refused(answer: Any, reason: str) -> bool:
    """Whether a message came back as an error of that reason."""
    return bool(answer["type"] == "error") and reason in json.dumps(answer)


@pytest.mark.skipif(not os.environ.get("REFGUARD_BIN"), reason="REFGUARD_BIN does not name the refguard program")
@pytest.mark.skipif(not proxy._shows_frames(), reason="this LiteLLM shows no guardrail what is sent over the socket")
def test_each_message_of_an_open_socket_is_seen(tmp_path: Path) -> None:
    """Over TLS to a provider of the test's own, since LiteLLM speaks nothing else there."""
    repository = Repository(tmp_path / "repository")
    commit = repository.promote({"base": "mark-a"})
    daemon = Daemon(repository, "127.0.0.1:0")
    with provider(tmp_path) as upstream:
        followed = Proxy(
            tmp_path / "proxy",
            {"REFGUARD_URL": daemon.url},
            environment={"UPSTREAM": upstream.url, "SSL_CERT_FILE": str(upstream.certificate)},
            callbacks=("guards.switch", "refguard_litellm.proxy.callback"),
            files={"guards.py": OPEN_GUARDS},
        )
        try:
            followed.until_alive()
            followed.until_running(commit)
            with followed.open_socket("/v1/responses") as socket:
                assert say(socket, "hello, one")["type"] == "response.completed"
                refused = say(socket, "block mark-a, two")
                assert (refused["type"], "blocked by mark-a" in json.dumps(refused)) == ("error", True), refused
                # The session goes on.
                assert say(socket, "hello, three")["type"] == "response.completed"
                # What its policies wanted when it was opened is what it keeps.
                followed.until_running(repository.promote({"base": "mark-b"}))
                assert say(socket, "block mark-b, four")["type"] == "response.completed"
                refused = say(socket, "block mark-a, five")
                assert (refused["type"], "blocked by mark-a" in json.dumps(refused)) == ("error", True), refused
                # A guardrail that is lost lets nothing pass.
                followed.complete("lose mark-a")
                refused = say(socket, "hello, six")
                assert "this proxy has lost the guardrail mark-a" in json.dumps(refused), refused
            for text, was_sent in (("one", True), ("two", False), ("three", True), ("five", False), ("six", False)):
                assert upstream.was_sent(text) == was_sent, (text, upstream.sent)
        finally:
            followed.kill()
            daemon.kill()


# What a message says of guardrails beside its text, in each form that LiteLLM takes, and which guardrails it then has
# on a socket that was opened under `mark-a`, after a swap to `mark-b`.
PICKS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "nothing": ({}, ("mark-a",)),
    "a name": ({"guardrails": ["mark-b"]}, ("mark-a", "mark-b")),
    "settings": ({"guardrails": [{"mark-b": {"threshold": 1}}]}, ("mark-a", "mark-b")),
    "settings of its own": ({"guardrails": [{"mark-a": {"threshold": 1}}]}, ("mark-a",)),
    "a policy": ({"policies": ["base"]}, ("mark-a", "mark-b")),
    "a policy and settings": (
        {"policies": ["base"], "guardrails": [{"mark-a": {}}, {"mark-b": {"threshold": 1}}]},
        ("mark-a", "mark-b"),
    ),
    "settings in metadata": ({"litellm_metadata": {"guardrails": [{"mark-b": {}}]}}, ("mark-a", "mark-b")),
}


@pytest.mark.skipif(not os.environ.get("REFGUARD_BIN"), reason="REFGUARD_BIN does not name the refguard program")
@pytest.mark.skipif(not proxy._shows_frames(), reason="this LiteLLM shows no guardrail what is sent over the socket")
def test_a_message_only_adds_to_what_its_socket_was_opened_with(tmp_path: Path) -> None:
    """Whatever it names and in whatever form, also after a swap, and when a guardrail is lost."""
    repository = Repository(tmp_path / "repository")
    commit = repository.promote({"base": "mark-a"})
    daemon = Daemon(repository, "127.0.0.1:0")
    with provider(tmp_path) as upstream:
        followed = Proxy(
            tmp_path / "proxy",
            {"REFGUARD_URL": daemon.url},
            environment={"UPSTREAM": upstream.url, "SSL_CERT_FILE": str(upstream.certificate)},
            callbacks=("guards.switch", "refguard_litellm.proxy.callback"),
            files={"guards.py": OPEN_GUARDS},
        )
        try:
            followed.until_alive()
            followed.until_running(commit)
            with followed.open_socket("/v1/responses") as socket:
                assert say(socket, "hello, one")["type"] == "response.completed"
                followed.until_running(repository.promote({"base": "mark-b"}))
                for form, (picks, has) in PICKS.items():
                    assert say(socket, f"hello, {form}", **picks)["type"] == "response.completed", form
                    for name in ("mark-a", "mark-b"):
                        answer = say(socket, f"block {name}, {form}", **picks)
                        assert is_refused(answer, f"blocked by {name}") == (name in has), (form, answer)
                # A guardrail that the opening wanted is lost: nothing passes, in whatever form it is named.
                followed.complete("lose mark-a")
                for form, (picks, _) in PICKS.items():
                    answer = say(socket, f"lost, {form}", **picks)
                    assert is_refused(answer, "this proxy has lost the guardrail mark-a"), (form, answer)
            assert not upstream.was_sent("block mark-a") and not upstream.was_sent("lost, ")
            # A socket of the set that runs does not need it.
            with followed.open_socket("/v1/responses") as socket:
                assert say(socket, "hello, after")["type"] == "response.completed"
                assert is_refused(say(socket, "block mark-b, after"), "blocked by mark-b")
        finally:
            followed.kill()
            daemon.kill()
