"""Following the daemon: what is asked for, what becomes of the answer, and whether calls may pass meanwhile.

One follower for each process. Everything but the building of a set happens on the event loop, so that no lock is
needed: a call sees the state before a step or after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from litellm._logging import verbose_proxy_logger
from litellm.types.proxy.policy_engine import PolicyMatchContext

from . import __version__
from .bundle import BundleRejected, PolicySet, build, give_back_memory
from .client import Bundle, Client, DaemonAway
from .decisions import Matching
from .engine import LITELLM, Engine
from .readings import now
from .registries import Registries
from .report import Report, Reporter
from .settings import Settings

# A child of the proxy's logger: it has the proxy's handlers, redaction and format, but tells more than warnings.
logger = verbose_proxy_logger.getChild("refguard")
logger.setLevel("INFO")

_RETRY_FIRST = 0.5
# Sets that come thick and fast are skipped, and what ignores `Prefer: wait` is not asked without a pause.
_PAUSE_AFTER_SET = 0.2
_PAUSE_AFTER_NOTHING = 1.0
# How often a guardrail that is missing is looked for.
_RECHECK_SECONDS = 1
# A daemon that stays away is told again after this.
_REMIND_SECONDS = 300.0

Clock = Callable[[], float]
# The guardrails that can run, each with the modes that it runs in.
Guardrails = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Resolved:
    """By which set a request's policies were matched, and what that set needs.

    Not the set itself: a websocket may be open long after it was replaced.
    """

    commit: str
    guardrails: frozenset[str]
    step_modes: Mapping[str, frozenset[str]]


# Of the running request: each has a context of its own.
_resolved: ContextVar[Resolved | None] = ContextVar("refguard_resolved", default=None)
_matching: ContextVar[Matching | None] = ContextVar("refguard_matching", default=None)


class Source(Protocol):
    """Where sets come from."""

    async def poll(self, etag: str | None, wait: int) -> Bundle | None:
        """The set, as soon as it is another than the one with this tag."""


class Refusal(Exception):
    """Why a call does not pass."""


@dataclass
class Rejection:
    """A set that is not enforced, though the daemon serves it."""

    commit: str
    reason: str
    at: str


@dataclass
class Contact:
    """How it stands with the daemon."""

    failures: int = 0
    error: str | None = None
    last: float | None = None
    last_at: str | None = None
    told: float = field(default=float("-inf"), repr=False)


class Follower:
    """Keeps the proxy's registries at what the daemon serves."""

    def __init__(
        self,
        settings: Settings,
        registries: Registries,
        guardrails: Callable[[], Guardrails],
        conflict: Callable[[], str | None] = lambda: None,
        enforced: Callable[[PolicySet], None] = lambda found: None,
        clock: Clock = time.monotonic,
        engine: Engine = LITELLM,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._registries = registries
        self._guardrails = guardrails
        self._database_conflict = conflict
        self._enforced = enforced
        self._clock = clock
        self._seen: str | None = None
        self._current: PolicySet | None = None
        self._applied_at: str | None = None
        self._pending: PolicySet | None = None
        self._rejection: Rejection | None = None
        self._contact = Contact()
        self._config_conflict: str | None = None
        self._lost: frozenset[str] = frozenset()
        self._held_back: str | None = None
        self._report_trouble: str | None = None
        self._reporter: Reporter | None = None
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None
        if registries.is_occupied() and settings.mode != "replace":
            self._found_config()
        if engine.refusal is not None:
            logger.error("refguard: %s; calls are refused", engine.refusal)
        elif engine.reason is not None:
            logger.warning("refguard: LiteLLM's own engine matches policies: %s", engine.reason)
        registries.guard(self.match)

    # What a call meets.

    def match(self, context: PolicyMatchContext | None, user: str | None = None) -> PolicySet | None:
        """Lets the matching of policies happen, or not, and notes which set it happens with."""
        self.admit()
        found = self._current
        _resolved.set(_resolved_by(found, _resolved.get()) if found is not None else None)
        if context is not None:
            _matching.set(Matching(found, context, user) if found is not None else None)
        return found

    def current(self) -> PolicySet | None:
        """The set that runs."""
        return self._current

    def admit(self) -> None:
        """Raises [`Refusal`] where a call may not pass now."""
        self.start()
        refusal = self.refusal()
        if refusal is not None:
            raise Refusal(refusal)

    def refusal(self) -> str | None:
        """Why no call passes now."""
        if self._settings.mode == "shadow":
            return None
        if self._engine.refusal is not None:
            return self._engine.refusal
        conflict = self._database_conflict()
        if conflict is not None:
            return conflict
        if not self._registries.is_intact():
            self._mend()
        if self._config_conflict is not None:
            return self._config_conflict
        if self._current is None:
            return None if self._settings.allow_before_first_set else "no policy set has been loaded yet"
        limit, age = self._settings.max_staleness, self._age()
        if limit is not None and age is not None and age > limit:
            return f"the daemon has not answered for {age:.0f} s, and `REFGUARD_MAX_STALENESS` is {limit:.0f}"
        return None

    def resolved_commit(self) -> str | None:
        """The commit by which the running request's policies were matched; `None` where none were."""
        resolved = _resolved.get()
        return resolved.commit if resolved is not None else None

    def matching(self) -> Matching | None:
        """The last matching of the running request's policies; `None` where there was none."""
        return _matching.get()

    def forget_matching(self) -> None:
        """Lets the set go by which the running request was matched: of a websocket, which stays."""
        _matching.set(None)

    def wanted(self, names: frozenset[str]) -> frozenset[str]:
        """Those of the names that are guardrails of the running set, or of the one that matched the running request."""
        return frozenset().union(*(names & found.guardrails for found in self._sets_that_count()))

    def missing(self, wanted: frozenset[str]) -> frozenset[str]:
        """The guardrails of the set among those that the proxy has lost since the set was accepted, or which no longer
        run in the mode that the set needs.

        Also of the set by which the running request was matched: a call keeps what it was given when the set changes,
        and an open websocket does so for an hour.
        """
        asked = [(wanted & found.guardrails, found) for found in self._sets_that_count()]
        able = self._guardrails() if any(names for names, _ in asked) else {}
        return frozenset().union(*(_unable(names, found, able) for names, found in asked))

    def _sets_that_count(self) -> list[PolicySet | Resolved]:
        return [found for found in (self._current, _resolved.get()) if found is not None]

    # Following.

    def start(self) -> None:
        """Follows from now on, on the running event loop; nothing where it does already, or none runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._task is not None and not self._task.done() and self._task.get_loop() is loop:
            return
        self._task = loop.create_task(self._run(), name="refguard")

    async def stop(self) -> None:
        """Ends the following. The end of the event loop does the same."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        async with Client(self._settings, form=self._engine.bundle_format) as client:
            self._client = client
            self._reporter = Reporter(self.report, self._heard, self._not_reported)
            reporting = asyncio.create_task(self._reporter.run(client), name="refguard-report")
            try:
                await self.follow(client)
            finally:
                reporting.cancel()
                await asyncio.gather(reporting, return_exceptions=True)

    async def ask(self, path: str, parameters: Mapping[str, str] | None = None) -> dict[str, Any] | None:
        """What the daemon says of the set besides, as JSON; `None` where it has no such thing."""
        if self._client is None:
            raise DaemonAway("nothing follows it yet")
        return await self._client.ask(path, parameters)

    async def follow(self, source: Source) -> None:
        """Follows a source until it is cancelled."""
        while True:
            before = self._current.etag if self._current is not None else None
            delay = await self._turn(source)
            if delay > 0:
                await asyncio.sleep(delay)
            if before is not None and self._current is not None and self._current.etag != before:
                # By now nobody has the one before.
                await asyncio.to_thread(give_back_memory)

    async def _turn(self, source: Source) -> float:
        """Asks once, and acts on what came. Says after how many seconds to ask again."""
        try:
            delay = await self._ask(source)
        except DaemonAway as error:
            delay = self._failed(str(error), error.retry_after)
        except Exception as error:  # A bug here must not end the following for good.
            logger.exception("refguard: following failed")
            delay = self._failed(f"{type(error).__name__}: {error}", 0.0)
        try:
            self._recheck()
        except Exception:
            logger.exception("refguard: the set could not be enforced")
        if self._reporter is not None:
            self._reporter.notice()
        return delay

    async def _ask(self, source: Source) -> float:
        began = self._clock()
        wait = self._patience()
        bundle = await source.poll(self._seen, wait)
        self._answered()
        if bundle is None:
            return began + _PAUSE_AFTER_NOTHING - self._clock()
        came = self._clock()
        if self._current is not None and bundle.etag == self._current.etag:
            # Back at what runs: a newer one was withdrawn.
            self._pending, self._rejection = None, None
        else:
            await self._consider(bundle)
        # Only now: what an exception left unjudged is asked for again.
        self._seen = bundle.etag
        # However fast they come, calls have at least half of the process.
        return max(_PAUSE_AFTER_SET, self._clock() - came)

    def _patience(self) -> int:
        """The seconds that the daemon may hold the next question; 0: it answers at once.

        After a failure an answer is wanted at once: a daemon that was restarted has nothing new to say, and a question
        that it holds would leave the proxy `away` all that time.
        """
        if self._contact.error is not None:
            return 0
        if self._pending is not None:
            return min(self._settings.wait, _RECHECK_SECONDS)
        return self._settings.wait

    async def _consider(self, bundle: Bundle) -> None:
        try:
            built = await asyncio.to_thread(build, bundle)
        except BundleRejected as error:
            self._pending = None
            self._reject(bundle.commit, str(error))
            return
        self._pending = built

    def _recheck(self) -> None:
        """Enforces the set that waits, if the proxy has all its guardrails; looks whether any was lost."""
        if self._pending is not None and self._database_conflict() is None:
            fault = self._fault(self._pending)
            if fault is not None:
                self._reject(self._pending.commit, fault)
            else:
                self._enforce(self._pending)
        lost: frozenset[str] = frozenset()
        if self._current is not None:
            lost = _unable(self._current.guardrails, self._current, self._guardrails())
        if lost and lost != self._lost:
            logger.error(
                "refguard: this proxy has lost the guardrail %s: calls that need it are refused", _listed(lost)
            )
        self._lost = lost

    def _fault(self, found: PolicySet) -> str | None:
        """What this proxy cannot run of a set: LiteLLM would run nothing in its place."""
        able = self._guardrails()
        absent = found.guardrails - able.keys()
        if absent:
            return f"this proxy has no guardrail {_listed(absent)}"
        for name in sorted(found.guardrails):
            unfit = found.step_modes.get(name, frozenset()) - able[name]
            if unfit:
                return (
                    f"the guardrail `{name}` is a step of a {_listed(unfit)} pipeline, and here it runs at "
                    f"{_listed(able[name]) or 'no mode for every request'}: LiteLLM would pass the step in silence"
                )
        return None

    def _enforce(self, found: PolicySet) -> None:
        if not self._registries.is_intact():
            self._mend()
        if self._config_conflict is not None:
            return
        self._registries.assign(found.policies, found.attachments)
        is_known = self._current is not None and self._current.commit == found.commit
        self._current, self._pending, self._rejection = found, None, None
        if is_known:
            # The same set, whose version numbers came later.
            return
        self._applied_at = now()
        logger.info(
            "refguard: running commit %s (%d policies, %d attachments, %d guardrails)",
            found.commit,
            found.policy_count,
            found.attachment_count,
            len(found.guardrails),
        )
        self._enforced(found)

    def _reject(self, commit: str, reason: str) -> None:
        if self._rejection is not None and (self._rejection.commit, self._rejection.reason) == (commit, reason):
            return
        self._rejection = Rejection(commit, reason, now())
        logger.error("refguard: commit %s is not enforced: %s; %s", commit, reason, self._instead())

    def _answered(self) -> None:
        if self._contact.error is not None:
            logger.info("refguard: the daemon is back")
        self._contact = Contact(last=self._clock(), last_at=now())

    def _failed(self, error: str, retry_after: float) -> float:
        """Notes a failure; says after how many seconds to try again."""
        contact, now = self._contact, self._clock()
        if error != contact.error or now - contact.told > _REMIND_SECONDS:
            logger.warning("refguard: the daemon is away: %s; %s", error, self._instead())
            contact.told = now
        contact.error = error
        contact.failures += 1
        longest = min(self._settings.retry_max, _RETRY_FIRST * 2.0 ** min(contact.failures - 1, 20))
        # Workers that lost the daemon at the same moment must not come back at the same moment.
        return max(retry_after, longest * random.uniform(0.5, 1.0))  # Nothing secret.

    def _instead(self) -> str:
        if self._current is not None:
            return f"commit {self._current.commit} keeps running"
        return "calls pass without policies" if self._settings.allow_before_first_set else "calls are refused"

    # Policies from elsewhere.

    def _mend(self) -> None:
        if self._settings.mode == "replace":
            # What the config or the database brought is put aside, again and again.
            if self._current is None:
                self._registries.empty()
            else:
                self._registries.assign(self._current.policies, self._current.attachments)
            return
        if self._current is None:
            self._found_config()
            return
        logger.error("refguard: the policies were changed from elsewhere: commit %s is put back", self._current.commit)
        self._registries.assign(self._current.policies, self._current.attachments)

    def _found_config(self) -> None:
        if self._config_conflict is None:
            self._config_conflict = "the proxy's config has policies of its own: remove `policies` there"
            logger.error("refguard: %s; calls are refused", self._config_conflict)

    # What can be asked.

    @property
    def state(self) -> str:
        """In one word: `current`, `behind`, `starting`, `away`, `rejected` or `refusing`."""
        if self._engine.refusal is not None or self._database_conflict() is not None:
            return "refusing"
        if self._config_conflict is not None:
            return "refusing"
        if self._contact.error is not None:
            return "away"
        if self._rejection is not None:
            return "rejected"
        if self._current is None:
            return "starting"
        return "behind" if self._held_back is not None else "current"

    def report(self) -> Report:
        """What this worker enforces, as the daemon is told it."""
        state = self.state
        core = self._current.core if self._current is not None and self._settings.mode != "shadow" else None
        if self._settings.mode == "shadow":
            # It enforces nothing of the daemon's.
            state = "refusing"
        reasons = {
            "behind": self._held_back,
            "away": self._contact.error,
            "rejected": self._rejection.reason if self._rejection is not None else None,
        }
        return {
            "set": self._settings.set_name,
            "commit": self._current.commit if self._current is not None and self._settings.mode != "shadow" else None,
            # In LiteLLM's form a set has what is in force when it is sent, and does not say as of when.
            "instant": core.instant if core is not None else None,
            "state": {"starting": "away", "refusing": "rejected"}.get(state, state),
            "reason": self._shadow_reason() or (reasons.get(state) if state in reasons else self.refusal()),
            "guardrails": [
                {"name": name, "modes": sorted(modes)} for name, modes in sorted(self._guardrails().items())
            ],
        }

    def _shadow_reason(self) -> str | None:
        is_shadow = self._settings.mode == "shadow"
        return "in the shadow: policies of the proxy's own are enforced" if is_shadow else None

    def _heard(self, answer: Report | None) -> None:
        """Takes what the daemon says of the set that this worker follows."""
        self._report_trouble = None
        held_back = None
        # A daemon of another version may say it otherwise: that is no reason to stop.
        with contextlib.suppress(KeyError, TypeError):
            told = answer["set"] if answer is not None else None
            if told is not None and told["behind"] and told["rejected"]:
                held_back = f"the daemon holds back commit {told['rejected']['commit']}: {told['rejected']['message']}"
        if held_back is not None and held_back != self._held_back:
            logger.warning("refguard: %s; %s", held_back, self._instead())
        self._held_back = held_back

    def _not_reported(self, error: str) -> None:
        if self._contact.error is None and error != self._report_trouble:
            logger.warning("refguard: the daemon is not told what runs here: %s", error)
        self._report_trouble = error

    def status(self) -> dict[str, Any]:
        """All that there is to know, as JSON."""
        current, contact, age = self._current, self._contact, self._age()
        refusal = self.refusal()
        return {
            "mode": self._settings.mode,
            "state": self.state,
            "serving": refusal is None,
            "refusal": refusal,
            "commit": current.commit if current is not None else None,
            "policies": current.policy_count if current is not None else 0,
            "attachments": current.attachment_count if current is not None else 0,
            "valid_until": current.core.valid_until if current is not None and current.core is not None else None,
            "guardrails": sorted(current.guardrails) if current is not None else [],
            "lost_guardrails": sorted(self._lost),
            "applied_at": self._applied_at,
            "rejected": vars(self._rejection) if self._rejection is not None else None,
            "held_back": self._held_back,
            "engine": {"name": self._engine.name, "reason": self._engine.refusal or self._engine.reason},
            "daemon": {
                "url": self._settings.url,
                "set": self._settings.set_name,
                "last_answer_at": contact.last_at,
                "seconds_since_answer": round(age, 1) if age is not None else None,
                "failures": contact.failures,
                "error": contact.error,
                "client": self._reporter.client_id if self._reporter is not None else None,
                "report_error": self._report_trouble,
            },
            "worker": os.getpid(),
            "version": __version__,
        }

    def _age(self) -> float | None:
        return None if self._contact.last is None else self._clock() - self._contact.last


def _resolved_by(found: PolicySet, earlier: Resolved | None) -> Resolved:
    """A message of a websocket that names policies is matched anew, and keeps what the websocket was given before."""
    if earlier is None:
        return Resolved(found.commit, found.guardrails, found.step_modes)
    modes = {
        name: earlier.step_modes.get(name, frozenset()) | found.step_modes.get(name, frozenset())
        for name in (*earlier.step_modes, *found.step_modes)
    }
    return Resolved(found.commit, earlier.guardrails | found.guardrails, modes)


def _unable(wanted: frozenset[str], found: PolicySet | Resolved, able: Guardrails) -> frozenset[str]:
    """Those that are not there, or do not run in a mode in which the set steps them."""
    return frozenset(
        name for name in wanted if name not in able or not found.step_modes.get(name, frozenset()) <= able[name]
    )


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
