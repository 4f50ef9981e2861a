"""What LiteLLM loads: `callbacks: ["refguard_litellm.proxy.callback"]`.

It refuses calls that must not pass, names the commit in each answer, adds two paths to the proxy, and shows the set in
the place of the proxy's policy pages.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, NoReturn

import litellm
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.core_helpers import get_or_create_metadata_bucket
from litellm.types.guardrails import GuardrailEventHooks, Mode

from . import request_path, shadow, tool_calls
from .bundle import PolicySet
from .dashboard import Dashboard, add_routes
from .decisions import DecisionLog
from .engine import choose
from .follower import Follower, Refusal, logger
from .line_log import LineLog
from .old_rows import find_old_rows, sentence
from .registries import Registries, UntouchedRegistries
from .settings import Settings
from .shadow import Comparison

if TYPE_CHECKING:
    from litellm.caching.dual_cache import DualCache
    from litellm.proxy._types import UserAPIKeyAuth

COMMIT_HEADER = "x-refguard-commit"
STATE_HEADER = "x-refguard-state"
# The key in a request's metadata, for the proxy's logs.
COMMIT_KEY = "refguard_commit"
# Every mode that a guardrail of this proxy can have.
ALL_MODES = frozenset(hook.value for hook in GuardrailEventHooks)


# What LiteLLM calls the call of an MCP tool.
_TOOL_CALL = "call_mcp_tool"
# What a look into the proxy's database may take.
_DATABASE_SECONDS = 5.0
# What LiteLLM calls a websocket of `/v1/responses`.
_FRAMES = "_aresponses_websocket"
# Where calls of models wait for their turn, by their `priority`.
_QUEUE = "/queue/chat/completions"
# The opening of a realtime session.
_REALTIME = "_arealtime"


class RefguardCallback(CustomLogger):
    """The proxy's hooks. The first matching of a call's policies happens before any of them; a gate stands there."""

    # So that LiteLLM also asks it where only guardrails are: for a message of an open websocket, a request in a file.
    enforces_request_content = True

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._is_shadow = settings.mode == "shadow"
        # In the shadow LiteLLM's function stays.
        dialect = None if self._is_shadow else request_path.known_dialect()
        engine = choose(settings, dialect if isinstance(dialect, str) else None)
        kind = UntouchedRegistries if self._is_shadow else Registries
        self.follower = _HttpFollower(
            settings,
            kind(settings.allow_database),
            _guardrails,
            lambda: _database_conflict(settings),
            self._tell_old_rows,
            engine=engine,
        )
        self._allow_database = settings.allow_database
        self._told_rows: str | None = None
        self._tellings: set[asyncio.Task[None]] = set()
        # In the shadow, and beside policies of a database, the proxy's own answers are right.
        self.dashboard = None
        if not self._is_shadow and not settings.allow_database:
            follower = self.follower
            self.dashboard = Dashboard(follower.current, follower.refusal, follower, settings.repository)
        self.comparison = Comparison() if self._is_shadow else None
        judge = request_path.Judge(_bad_request, settings.strict_requests)
        if self.comparison is not None:
            request_path.install(shadow.function(self.follower.current, self.comparison))
        elif engine.name == "refguard" and engine.refusal is None and isinstance(dialect, request_path.Dialect):
            request_path.install(request_path.replacement(self.follower.current, self.follower.match, judge, dialect))
        else:
            request_path.install(request_path.watched(self.follower.current, judge))
        if not self._is_shadow:
            tool_calls.install()
        self.decisions = None
        if settings.decision_log is not None:
            log = LineLog(settings.decision_log, lambda error: logger.error("refguard: %s", error))
            self.decisions = DecisionLog(settings, log)

    async def old_rows(self) -> dict[str, Any] | None:
        """What the proxy's database still holds of policies; `None` without a database, or a set."""
        from litellm.proxy import proxy_server

        found, database = self.follower.current(), proxy_server.prisma_client
        if self._is_shadow or database is None or found is None:
            return None
        try:
            rows = await asyncio.wait_for(find_old_rows(found, database, self._allow_database), _DATABASE_SECONDS)
        except Exception as error:  # It is for people only: whatever is wrong with the database.
            return {"error": " ".join(str(error).split()) or type(error).__name__}
        return {**rows, "error": None}

    def _tell_old_rows(self, _found: PolicySet) -> None:
        """Says once in the log what the database holds beside a set that was just put in force."""

        async def tell() -> None:
            rows = await self.old_rows()
            said = sentence(rows) if rows is not None and rows["error"] is None else None
            if said is not None and said != self._told_rows:
                logger.warning("refguard: %s", said)
            self._told_rows = said

        with contextlib.suppress(RuntimeError):
            task = asyncio.get_running_loop().create_task(tell(), name="refguard-old-rows")
            self._tellings.add(task)
            task.add_done_callback(self._tellings.discard)

    async def async_pre_call_hook(
        self, user_api_key_dict: UserAPIKeyAuth, cache: DualCache, data: dict[str, Any], call_type: Any
    ) -> None:
        """Stops calls whose policies nobody matched, and those whose guardrails are gone; notes the commit."""
        if self._is_shadow:
            # Starts the following, if it ever died.
            self.follower.start()
            return
        self._tell_decision(data)
        self.follower.admit()
        self._refuse_unread_frames(data, call_type)
        self._refuse_unguarded_tools(data, call_type)
        _, metadata = get_or_create_metadata_bucket(data)
        wanted = _wanted_of(data)
        missing = self.follower.missing(wanted)
        if missing:
            raise _unavailable(f"this proxy has lost the guardrail {', '.join(sorted(missing))}")
        skipped = _opted_out(data, self.follower.wanted(wanted))
        if skipped:
            raise _unavailable(
                f"this key or its team has opted out of the guardrail {', '.join(sorted(skipped))}, which its policies "
                "want: take `disable_global_guardrails` or `opted_out_global_guardrails` from it, or give the "
                "guardrail `default_on: false`"
            )
        metadata.pop(COMMIT_KEY, None)
        commit = self.follower.resolved_commit()
        if commit is not None:
            metadata[COMMIT_KEY] = commit
        if _kind(call_type) in (_FRAMES, _REALTIME):
            self.follower.forget_matching()

    def _refuse_unread_frames(self, data: dict[str, Any], call_type: object) -> None:
        """Stops a websocket whose messages no guardrail would see, where policies want one."""
        kind = _kind(call_type)
        if kind not in (_FRAMES, _REALTIME):
            return
        wanted = self.follower.wanted(_wanted_of(data))
        if kind == _FRAMES and wanted and not _shows_frames():
            raise _unavailable(
                "this LiteLLM shows no guardrail what is sent over a websocket of `/v1/responses`, and policies want "
                f"{', '.join(sorted(wanted))}: use HTTP, or a newer LiteLLM"
            )
        unread = wanted - _readers() if kind == _REALTIME else frozenset()
        if unread:
            raise _unavailable(
                "the messages of a realtime session are shown to guardrails that have `apply_guardrail`, and policies "
                f"want {', '.join(sorted(unread))}, without it"
            )

    def _refuse_unguarded_tools(self, data: dict[str, Any], call_type: object) -> None:
        """Stops a call of an MCP tool that lost on its way what policies gave it."""
        if _kind(call_type) != _TOOL_CALL:
            return
        lost = self.follower.wanted(_wanted(dict(tool_calls.given()))) - _wanted_of(data)
        if lost:
            raise _unavailable(
                "this LiteLLM runs no guardrail on this way to an MCP tool, and policies want "
                f"{', '.join(sorted(lost))}: use `/mcp-rest/tools/call`"
            )

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: UserAPIKeyAuth,
        traceback_str: str | None = None,
    ) -> None:
        """What a call got that was blocked before it came to [`async_pre_call_hook`]: by a pipeline, say."""
        self._tell_decision(request_data)

    def _tell_decision(self, data: dict[str, Any]) -> None:
        matching = self.follower.matching() if self.decisions is not None else None
        if self.decisions is None or matching is None:
            return
        _, metadata = get_or_create_metadata_bucket(data)
        try:
            self.decisions.tell(matching, metadata.get("applied_policies"))
        except Exception:  # A bug here must not end a call.
            logger.exception("refguard: a decision could not be written down")

    async def async_post_call_response_headers_hook(
        self,
        data: dict[str, Any],
        user_api_key_dict: UserAPIKeyAuth,
        response: object,
        request_headers: dict[str, str] | None = None,
        litellm_call_info: dict[str, object] | None = None,
    ) -> dict[str, str]:
        """The commit by which this call's policies were matched, and what is not as it should be."""
        headers: dict[str, str] = {}
        if self._is_shadow:
            return headers
        commit, state = self.follower.resolved_commit(), self.follower.state
        if commit is not None:
            headers[COMMIT_HEADER] = commit
        if state != "current":
            headers[STATE_HEADER] = state
        return headers


class _HttpFollower(Follower):
    """Says no in the proxy's own way."""

    def admit(self) -> None:
        try:
            super().admit()
        except Refusal as refusal:
            raise _unavailable(str(refusal)) from None


def _unavailable(reason: str) -> HTTPException:
    return HTTPException(status_code=503, detail={"error": f"refguard: {reason}"}, headers={"retry-after": "1"})


def _bad_request(reason: str) -> HTTPException:
    return HTTPException(status_code=400, detail={"error": f"refguard: {reason}"})


class LostGuardrails(CustomGuardrail):
    """Stands where a guardrail was that an open realtime session needs: its messages come to guardrails only."""

    def __init__(self, follower: Follower) -> None:
        super().__init__(guardrail_name="refguard-lost-guardrails", default_on=True)
        self._follower = follower
        self._missing: frozenset[str] = frozenset()

    def should_run_guardrail(self, data: Any, event_type: GuardrailEventHooks) -> bool:
        self._missing = self._follower.missing(_wanted_of(data))
        return bool(self._missing)

    async def apply_guardrail(
        self, inputs: Any, request_data: Any, input_type: Any, logging_obj: Any = None
    ) -> NoReturn:
        # Nothing comes in between: it is asked for right after it was said to run.
        raise _unavailable(f"this proxy has lost the guardrail {', '.join(sorted(self._missing))}")


def _kind(call_type: object) -> str:
    return str(getattr(call_type, "value", call_type))


def _readers() -> frozenset[str]:
    """The guardrails that are shown texts by themselves, as those of an open realtime session are."""
    return frozenset(
        callback.guardrail_name
        for callback in litellm.callbacks
        if isinstance(callback, CustomGuardrail)
        and callback.guardrail_name
        and type(callback).apply_guardrail is not CustomGuardrail.apply_guardrail
        and getattr(callback, "use_native_lifecycle_hooks", False) is not True
    )


def _shows_frames() -> bool:
    """Whether this LiteLLM shows each message of a websocket of `/v1/responses` to the guardrails.

    1.106.2 shows them its opening, which holds the model's name only; 1.109.3 has a function for each message.
    """
    from litellm.proxy.response_api_endpoints import endpoints

    return hasattr(endpoints, "_metadata_with_frame_guardrails")


def _guardrails() -> dict[str, frozenset[str]]:
    """The guardrails that can run, of the same list that the proxy walks for each call, with their modes."""
    found: dict[str, frozenset[str]] = {}
    for callback in litellm.callbacks:
        name = getattr(callback, "guardrail_name", None)
        if name and isinstance(callback, CustomGuardrail) and not isinstance(callback, LostGuardrails):
            found[name] = found.get(name, frozenset()) | _modes(callback.event_hook)
    return found


def _modes(hook: object) -> frozenset[str]:
    """The modes in which a guardrail runs for every request that it is given to.

    One without a mode runs in all of them. Of one whose mode depends on a request's tags, those that all tags have.
    """
    if hook is None:
        return ALL_MODES
    if isinstance(hook, Mode):
        return frozenset.intersection(_modes(hook.default or []), *(_modes(mode) for mode in hook.tags.values()))
    hooks = hook if isinstance(hook, (list, tuple, set, frozenset)) else [hook]
    return frozenset(str(getattr(one, "value", one)) for one in hooks)


def _wanted(metadata: dict[str, Any]) -> frozenset[str]:
    """The guardrails that policies gave a call; what its body names may be among them."""
    lists = (metadata.get("guardrails"), metadata.get("_pipeline_managed_guardrails"))
    return frozenset().union(*map(request_path.entry_names, lists))


def _wanted_of(data: dict[str, Any]) -> frozenset[str]:
    """The same of all that a call says of itself: a guardrail that ran before may have made another place for it."""
    found = (data.get(bucket) for bucket in ("metadata", "litellm_metadata"))
    return frozenset().union(*(_wanted(metadata) for metadata in found if isinstance(metadata, dict)))


def _opted_out(data: dict[str, Any], wanted: frozenset[str]) -> frozenset[str]:
    """Those that LiteLLM would skip: a key may opt out of what is on by default, also where a policy names it."""
    return frozenset(
        callback.guardrail_name
        for callback in (litellm.callbacks if wanted else ())
        if isinstance(callback, CustomGuardrail)
        and callback.guardrail_name in wanted
        and callback.default_on is True
        and (
            callback.get_disable_global_guardrail(data) is True
            or callback.guardrail_name in callback.get_opted_out_global_guardrails_from_metadata(data)
        )
    )


def _database_conflict(settings: Settings) -> str | None:
    """A proxy with a database reads policies from there too, which would come in beside and before those of git."""
    if settings.allow_database or settings.mode != "enforce":
        return None
    from litellm.proxy import proxy_server

    if proxy_server.prisma_client is None or not proxy_server.should_load_db_object(object_type="policies"):
        return None
    return (
        "the proxy reads policies from a database too: leave `policies` out of `general_settings.supported_db_objects`,"
        " or set `REFGUARD_ALLOW_DATABASE_POLICIES=true`"
    )


def add_paths(app: FastAPI, callback: RefguardCallback) -> None:
    """`/refguard/status` for who administers the proxy, `/refguard/readyz` for probes, and what the dashboard asks."""
    from litellm.proxy.auth.user_api_key_auth import user_api_key_auth

    follower, decisions = callback.follower, callback.decisions

    async def status() -> JSONResponse:
        log = decisions.log.status() if decisions is not None else None
        return JSONResponse({**follower.status(), "old_rows": await callback.old_rows(), "decisions": log})

    async def readyz() -> JSONResponse:
        ready = follower.refusal() is None
        return JSONResponse({"ready": ready, "state": follower.state}, status_code=200 if ready else 503)

    app.add_api_route(
        "/refguard/status", status, methods=["GET"], tags=["refguard"], dependencies=[Depends(user_api_key_auth)]
    )
    comparison = callback.comparison
    if comparison is not None:

        async def compared() -> JSONResponse:
            current = follower.current()
            return JSONResponse(comparison.report(current.commit if current is not None else None))

        app.add_api_route(
            "/refguard/shadow", compared, methods=["GET"], tags=["refguard"], dependencies=[Depends(user_api_key_auth)]
        )
    app.add_api_route("/refguard/readyz", readyz, methods=["GET"], tags=["refguard"])
    if comparison is None:
        _refuse_queue(app)
    if callback.dashboard is not None:
        add_routes(app, callback.dashboard)


def _refuse_queue(app: FastAPI) -> None:
    """Stands before the one path to models on which LiteLLM runs no guardrail and no hook, and matches no policy."""
    from litellm.proxy.auth.user_api_key_auth import user_api_key_auth

    async def refuse() -> None:
        reason = f"no guardrail of a policy runs on `{_QUEUE}`: use `/v1/chat/completions`"
        raise HTTPException(status_code=403, detail={"error": f"refguard: {reason}"})

    app.router.routes.insert(
        0, APIRoute(_QUEUE, refuse, methods=["POST"], tags=["refguard"], dependencies=[Depends(user_api_key_auth)])
    )


def _loaded() -> RefguardCallback:
    """The process's callback. Made when the proxy loads its config, on the event loop that will serve."""
    from litellm.proxy.proxy_server import app

    made = RefguardCallback(Settings.from_environment())
    add_paths(app, made)
    _stop_with_proxy(made)
    made.follower.start()
    if made.comparison is None:
        litellm.callbacks.append(LostGuardrails(made.follower))
    return made


def _stop_with_proxy(callback: RefguardCallback) -> None:
    """Ends the following when the server shuts down: it ends the process before the event loop would end its tasks."""
    from uvicorn.server import Server

    ends = Server.shutdown

    async def shutdown(self: Server, sockets: Any = None) -> None:
        await callback.follower.stop()
        await ends(self, sockets)

    kind: Any = Server
    kind.shutdown = shutdown


_callback: RefguardCallback | None = None


def __getattr__(name: str) -> RefguardCallback:
    """`callback` is made when it is first asked for: an import alone changes nothing in the process."""
    global _callback  # One for each process.
    if name != "callback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _callback is None:
        _callback = _loaded()
    return _callback
