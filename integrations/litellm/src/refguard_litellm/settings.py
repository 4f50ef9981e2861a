"""What the operator says, from the environment. Knows nothing of LiteLLM.

A setting that cannot be meant ends the start of the proxy: a guess could leave calls unguarded.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:8731"

_YES = {"1", "true", "yes", "on"}
_NO = {"0", "false", "no", "off"}


class SettingsError(ValueError):
    """A setting that cannot be used; the text names it."""


@dataclass(frozen=True)
class Settings:
    """How to follow the daemon, and what to do meanwhile."""

    url: str = DEFAULT_URL
    """Where the daemon listens: `http://…`, `https://…`, or `unix:PATH`."""
    token: str | None = field(default=None, repr=False)
    """The bearer token."""
    token_file: Path | None = None
    """A file with the token, read for each request, so that it may be rotated."""
    set_name: str | None = None
    """Which set to follow; the daemon's first where none is named."""
    ca_file: Path | None = None
    """Certificates to trust instead of the usual ones."""
    wait: int = 30
    """Seconds that the daemon may hold a question that has no new answer."""
    retry_max: float = 1.0
    """Seconds between two tries at most, while the daemon is away."""
    allow_before_first_set: bool = False
    """Whether calls pass, without the policies, while there never was a set."""
    max_staleness: float | None = None
    """Seconds without an answer of the daemon after which calls are refused; `None`: never."""
    allow_database: bool = False
    """Whether the proxy may have policies from its database too."""
    max_bundle_bytes: int = 64 << 20
    """The largest set that is read."""
    mode: str = "enforce"
    """`enforce`; `shadow`: LiteLLM's own policies are enforced, and compared; `replace`: in the place of those."""
    engine: str = "auto"
    """Whose engine matches policies: `refguard`, `litellm`, or `auto`: refguard's where it can be used."""
    strict_requests: bool = False
    """Whether a call is refused that names a policy which is not `requestable`."""
    decision_log: str | None = None
    """A file that decisions are appended to, or `-`: stderr."""
    decision_sample: int = 1
    """One of so many decisions is written."""
    decision_hash_keys: bool = False
    """Whether keys are written as their SHA-256."""
    repository: str | None = None
    """Where people find the policies, as the dashboard tells who would change them there."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """The settings of a process."""
        read = _Reader(environment)
        url = read.text("REFGUARD_URL") or DEFAULT_URL
        _judge_url(url)
        token, token_file = read.text("REFGUARD_TOKEN"), read.path("REFGUARD_TOKEN_FILE")
        if token and token_file:
            raise SettingsError("`REFGUARD_TOKEN` and `REFGUARD_TOKEN_FILE` are both set: keep one")
        wait = int(read.number("REFGUARD_WAIT", 30, least=1, most=60))
        max_staleness = None
        if read.text("REFGUARD_MAX_STALENESS") is not None:
            # An answer that has nothing new comes only after `wait`.
            max_staleness = read.number("REFGUARD_MAX_STALENESS", 0, least=wait + 5, most=31_536_000)
        decision_log = read.text("REFGUARD_DECISION_LOG")
        if decision_log is not None:
            _judge_log(decision_log)
        before = read.choice("REFGUARD_BEFORE_FIRST_SET", ("refuse", "allow"))
        return cls(
            url=url,
            token=token,
            token_file=token_file,
            set_name=read.text("REFGUARD_SET"),
            ca_file=read.path("REFGUARD_CA_FILE"),
            wait=wait,
            retry_max=read.number("REFGUARD_RETRY_MAX", 1, least=0.1, most=300),
            allow_before_first_set=before == "allow",
            max_staleness=max_staleness,
            allow_database=read.switch("REFGUARD_ALLOW_DATABASE_POLICIES"),
            max_bundle_bytes=int(read.number("REFGUARD_MAX_BUNDLE_BYTES", 64 << 20, least=1, most=1 << 40)),
            mode=read.choice("REFGUARD_MODE", ("enforce", "shadow", "replace")),
            engine=read.choice("REFGUARD_ENGINE", ("auto", "refguard", "litellm")),
            strict_requests=read.switch("REFGUARD_STRICT_REQUESTS"),
            decision_log=decision_log,
            decision_sample=int(read.number("REFGUARD_DECISION_SAMPLE", 1, least=1, most=1_000_000_000)),
            decision_hash_keys=read.switch("REFGUARD_DECISION_HASH_KEYS"),
            repository=read.text("REFGUARD_REPOSITORY"),
        )


@dataclass(frozen=True)
class _Reader:
    environment: Mapping[str, str]

    def text(self, name: str) -> str | None:
        """An empty value is no value: container files write those."""
        return self.environment.get(name, "").strip() or None

    def path(self, name: str) -> Path | None:
        text = self.text(name)
        return Path(text) if text else None

    def number(self, name: str, default: float, *, least: float, most: float) -> float:
        text = self.text(name)
        if text is None:
            return default
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not least <= number <= most:
            raise SettingsError(f"`{name}` is `{text}`: it must be a number from {least:g} to {most:g}")
        return number

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        text = self.text(name) or choices[0]
        if text not in choices:
            raise SettingsError(f"`{name}` is `{text}`: it must be {' or '.join(f'`{c}`' for c in choices)}")
        return text

    def switch(self, name: str) -> bool:
        text = (self.text(name) or "false").lower()
        if text not in _YES | _NO:
            raise SettingsError(f"`{name}` is `{text}`: it must be `true` or `false`")
        return text in _YES


def _judge_log(path: str) -> None:
    """Refuses what cannot be written, as far as that is known before the first line. A FIFO may have no reader yet."""
    if path == "-":
        return
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o640))
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise SettingsError(
                f"`REFGUARD_DECISION_LOG` is `{path}`, which cannot be written: {error.strerror}"
            ) from None


def _judge_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise SettingsError(f"`REFGUARD_URL` is `{url}`: it is no URL") from None
    if parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc:
        return
    if parts.username or parts.password:
        raise SettingsError("`REFGUARD_URL` holds a user or a password: use `REFGUARD_TOKEN_FILE`")
    if parts.scheme not in {"http", "https"} or not usable or parts.query or parts.fragment:
        raise SettingsError(f"`REFGUARD_URL` is `{url}`: it must be `http://…`, `https://…` or `unix:/path`")
