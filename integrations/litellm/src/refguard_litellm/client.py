"""Asking the daemon for its set, over HTTP. Knows nothing of LiteLLM, nor of what is in a set."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx

from .settings import Settings

# What an answer may take beyond the time that the daemon was told to wait.
_ANSWER_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_DETAIL_BYTES = 2048


class DaemonAway(Exception):
    """The daemon gave no set: it cannot be reached, or it answers with an error."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Bundle:
    """A set as the daemon sent it."""

    body: bytes
    etag: str
    commit: str
    """The commit; the set's digest where it has none, as a work tree."""
    is_json: bool = False
    form: str = "litellm"
    """`litellm`, or `refguard`: docs/bundle.md."""


class Client:
    """A connection that is kept to one daemon. For one event loop."""

    def __init__(
        self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None, form: str = "litellm"
    ) -> None:
        self._settings = settings
        self._form = form
        base = settings.url
        verify: ssl.SSLContext | bool = True
        if settings.ca_file is not None:
            verify = ssl.create_default_context(cafile=str(settings.ca_file))
        if transport is None and base.startswith("unix:"):
            # The host is only a name here; the daemon refuses foreign ones.
            transport = httpx.AsyncHTTPTransport(uds=base.removeprefix("unix:"))
            base = "http://localhost"
        self._http = httpx.AsyncClient(
            base_url=base,
            transport=transport,
            verify=verify,
            # A token must not go to whatever proxy the environment names for the models' traffic.
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
        )

    async def __aenter__(self) -> Client:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def poll(self, etag: str | None, wait: int) -> Bundle | None:
        """The set, as soon as it is another than the one with this tag; `None` where it is not.

        The daemon may hold the question for `wait` seconds; with 0 it answers at once.
        """
        parameters = self._of_set({"format": self._form})
        # Python reads YAML some thirty times slower, and keeps the event loop waiting by seconds for a large set.
        headers = {"Accept": "application/json, application/yaml;q=0.9"}
        if etag is not None:
            headers["If-None-Match"] = etag
            if wait > 0:
                headers["Prefer"] = f"wait={wait}"
        headers |= await self._authorization()
        timeout = httpx.Timeout(wait + _ANSWER_SECONDS, connect=_CONNECT_SECONDS)
        try:
            request = self._http.build_request("GET", "/v1/bundle", params=parameters, headers=headers, timeout=timeout)
            response = await self._http.send(request, stream=True)
            try:
                return await self._read(response)
            finally:
                await response.aclose()
        except httpx.TimeoutException as error:
            raise DaemonAway(f"no answer in time ({type(error).__name__})") from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            raise DaemonAway(str(error) or type(error).__name__) from error

    async def ask(self, path: str, parameters: Mapping[str, str] | None = None) -> dict[str, Any] | None:
        """What the daemon says of the set, as JSON; `None` where it has no such thing."""
        try:
            request = self._http.build_request(
                "GET", path, params=self._of_set(parameters or {}), headers=await self._authorization()
            )
            response = await self._http.send(request, stream=True)
            try:
                if response.status_code == httpx.codes.NOT_FOUND:
                    return None
                if response.status_code != httpx.codes.OK:
                    raise DaemonAway(await _problem(response))
                answer = json.loads(await self._body(response))
            finally:
                await response.aclose()
        except httpx.TimeoutException as error:
            raise DaemonAway(f"no answer in time ({type(error).__name__})") from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            raise DaemonAway(str(error) or type(error).__name__) from error
        return answer if isinstance(answer, dict) else None

    async def report(self, client_id: str, report: dict[str, Any]) -> dict[str, Any] | None:
        """Says what this worker enforces; the daemon answers how it stands with the set.

        `None` where the daemon takes no reports: one of an older version.
        """
        try:
            response = await self._http.put(
                f"/v1/clients/{client_id}", json=report, headers=await self._authorization()
            )
            if response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED):
                return None
            if response.status_code != httpx.codes.OK:
                raise DaemonAway(f"the report is not taken: the daemon answers {response.status_code}")
            answer = response.json()
        except httpx.TimeoutException as error:
            raise DaemonAway(f"no answer in time ({type(error).__name__})") from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            raise DaemonAway(str(error) or type(error).__name__) from error
        return answer if isinstance(answer, dict) else None

    async def leave(self, client_id: str) -> None:
        """Says that this worker ends. The daemon forgets it by itself, though later."""
        await self._http.delete(f"/v1/clients/{client_id}", headers=await self._authorization())

    def _of_set(self, parameters: Mapping[str, str]) -> dict[str, str]:
        named = {"set": self._settings.set_name} if self._settings.set_name is not None else {}
        return {**parameters, **named}

    async def _authorization(self) -> dict[str, str]:
        token = await self._token()
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    async def _token(self) -> str | None:
        token = self._settings.token
        if self._settings.token_file is not None:
            try:
                token = (await asyncio.to_thread(self._settings.token_file.read_text, "utf-8")).strip()
            except (OSError, UnicodeDecodeError) as error:
                raise DaemonAway(f"the token file cannot be read: {error}") from error
        if token is not None and not (token.isascii() and token.isprintable()):
            # The error of the HTTP library would print it.
            raise DaemonAway("the token has characters that a header cannot hold")
        return token

    async def _read(self, response: httpx.Response) -> Bundle | None:
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return None
        if response.status_code != httpx.codes.OK:
            raise DaemonAway(await _problem(response), _retry_after(response))
        body = await self._body(response)
        etag = response.headers.get("etag", "")
        commit = response.headers.get("x-refguard-commit") or _identity(etag, self._form)
        if not etag or not commit:
            raise DaemonAway("the answer has no `ETag` or no `X-Refguard-Commit`: is this a refguard daemon?")
        kind = response.headers.get("content-type", "")
        return Bundle(body, etag, commit, is_json=kind.startswith("application/json"), form=self._form)

    async def _body(self, response: httpx.Response) -> bytes:
        limit = self._settings.max_bundle_bytes
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > limit:
                raise DaemonAway(f"the answer is larger than `REFGUARD_MAX_BUNDLE_BYTES`, {limit}")
        return bytes(body)


def _identity(etag: str, form: str) -> str:
    return etag.removeprefix("W/").strip('"').partition(f"-{form}")[0]


async def _problem(response: httpx.Response) -> str:
    """What a problem document says; of another body only the status."""
    said = f"the daemon answers {response.status_code}"
    if not response.headers.get("content-type", "").startswith("application/problem+json"):
        return said
    try:
        body = b""
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > _DETAIL_BYTES:
                return said
        detail = json.loads(body).get("detail")
    except (httpx.HTTPError, ValueError, AttributeError):
        return said
    return f"{said}: {detail}" if isinstance(detail, str) else said


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(60.0, max(0.0, float(response.headers.get("retry-after", "0"))))
    except ValueError:
        return 0.0
