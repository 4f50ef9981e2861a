"""What is asked, and what becomes of each kind of answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from refguard_litellm.client import Bundle, Client, DaemonAway
from refguard_litellm.settings import Settings

HEADERS = {"etag": '"abc-litellm"', "x-refguard-commit": "abc", "content-type": "application/yaml"}


def ask(
    answer: httpx.Response | Exception,
    settings: Settings | None = None,
    etag: str | None = None,
) -> tuple[Bundle | None, httpx.Request]:
    """Asks once, of a transport that answers this."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def poll() -> Bundle | None:
        async with Client(settings or Settings(), httpx.MockTransport(handle)) as client:
            return await client.poll(etag, 30)

    return asyncio.run(poll()), seen[0]


def test_the_first_question_waits_for_nothing() -> None:
    bundle, request = ask(httpx.Response(200, headers=HEADERS, content=b"x"))
    assert bundle == Bundle(b"x", '"abc-litellm"', "abc")
    assert str(request.url) == "http://127.0.0.1:8731/v1/bundle?format=litellm"
    assert request.headers["accept"].startswith("application/json")
    assert not {"if-none-match", "prefer", "authorization"} & set(request.headers)


def test_the_next_names_what_is_known(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    settings = Settings(url="https://refguard.internal:8443/base", set_name="staging", token_file=token)
    bundle, request = ask(httpx.Response(304), settings, etag='"abc-litellm"')
    assert bundle is None
    assert str(request.url) == "https://refguard.internal:8443/base/v1/bundle?format=litellm&set=staging"
    assert request.headers["if-none-match"] == '"abc-litellm"'
    assert request.headers["prefer"] == "wait=30"
    assert request.headers["authorization"] == "Bearer s3cret"


def test_a_question_without_patience_is_answered_at_once() -> None:
    async def poll() -> None:
        async with Client(Settings(), httpx.MockTransport(handle)) as client:
            assert await client.poll('"abc-litellm"', 0) is None

    def handle(request: httpx.Request) -> httpx.Response:
        assert request.headers["if-none-match"] == '"abc-litellm"'
        assert "prefer" not in request.headers
        return httpx.Response(304)

    asyncio.run(poll())


def test_json_and_a_set_without_a_commit_are_known_as_such() -> None:
    headers = {"etag": '"d1-gest-litellm-json"', "x-refguard-commit": "", "content-type": "application/json"}
    bundle, _ = ask(httpx.Response(200, headers=headers, content=b"{}"))
    assert bundle == Bundle(b"{}", '"d1-gest-litellm-json"', "d1-gest", is_json=True)


PROBLEM = {"content-type": "application/problem+json", "retry-after": "7"}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (httpx.ConnectError("connection refused"), "connection refused"),
        (httpx.ReadTimeout("x"), "no answer in time"),
        (httpx.RemoteProtocolError("peer closed connection"), "peer closed"),
        (httpx.Response(302, headers={"location": "http://elsewhere/"}), "answers 302"),
        (httpx.Response(401), "answers 401"),
        (httpx.Response(503, headers=PROBLEM, content=b'{"detail":"not ready"}'), "answers 503: not ready"),
        (httpx.Response(503, headers=PROBLEM, content=b"{"), "answers 503"),
        (httpx.Response(503, headers=PROBLEM, content=b"[]"), "answers 503"),
        (httpx.Response(500, headers=PROBLEM, content=b'"' + b"x" * 10_000), "answers 500"),
        (httpx.Response(200, headers=HEADERS, content=b"x" * 101), "larger than `REFGUARD_MAX_BUNDLE_BYTES`"),
        (httpx.Response(200, content=b"<html>"), "is this a refguard daemon"),
    ],
)
def test_anything_else_is_a_daemon_that_is_away(answer: httpx.Response | Exception, says: str) -> None:
    with pytest.raises(DaemonAway) as raised:
        ask(answer, Settings(max_bundle_bytes=100))
    assert says in str(raised.value)
    is_problem = isinstance(answer, httpx.Response) and "retry-after" in answer.headers
    assert raised.value.retry_after == (7 if is_problem else 0)


def test_a_token_that_cannot_be_sent_is_not_shown(tmp_path: Path) -> None:
    for token in ("s3cret\nx: y", "s3crét"):
        with pytest.raises(DaemonAway) as raised:
            ask(httpx.Response(200), Settings(token=token))
        assert "s3cr" not in str(raised.value)
    with pytest.raises(DaemonAway, match="token file"):
        ask(httpx.Response(200), Settings(token_file=tmp_path / "absent"))


def test_the_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are for the models' traffic; a token for the daemon has no business there."""
    heard: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    async def poll() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, Client(Settings(url=f"http://127.0.0.1:{port}")) as client:
            assert await client.poll('"x"', 1) is None

    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    asyncio.run(poll())
    assert heard[0].startswith(b"GET /v1/bundle?format=litellm HTTP/1.1\r\n")


def test_an_answer_that_ends_early_is_no_set() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\netag: "c-litellm"\r\nx-refguard-commit: c\r\ncontent-length: 9\r\n\r\npoli')
        writer.close()

    async def poll() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, Client(Settings(url=f"http://127.0.0.1:{port}")) as client:
            await client.poll(None, 1)

    with pytest.raises(DaemonAway):
        asyncio.run(poll())
