"""Calls of MCP tools: the guardrails that policies gave a call are handed on to where the tool is called.

LiteLLM matches policies for every call of a tool, and scans the tool's arguments as a request made for that. On the way
of `/mcp-rest/tools/call` this request gets the call's guardrails; on the way of `/mcp` they are lost, and none of them
would run. Knows nothing of sets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from litellm.proxy.utils import ProxyLogging

_NAME = "_convert_mcp_to_llm_format"
# What a call got, in the words of LiteLLM's own `guardrail_context`.
_KEYS = (
    "guardrails",
    "_guardrail_pipelines",
    "_pipeline_managed_guardrails",
    "applied_policies",
    "policy_sources",
    "tags",
)
# Where the replacement keeps what it replaced.
_ORIGINAL = "__refguard_original__"

# What the policies gave the running call.
_given: ContextVar[Mapping[str, Any]] = ContextVar("refguard_given")


def note(metadata: object) -> None:
    """Notes what a call was given, right after its policies were matched."""
    found = metadata if isinstance(metadata, dict) else {}
    _given.set({key: found[key] for key in _KEYS if found.get(key)})


def given() -> Mapping[str, Any]:
    """What the running call was given."""
    return _given.get({})


def install() -> None:
    """Has LiteLLM hand on what a call was given, wherever it does not by itself."""
    current: Callable[..., Any] | None = vars(ProxyLogging).get(_NAME)
    if current is None or hasattr(current, _ORIGINAL):
        # Another LiteLLM: what is lost there is refused.
        return

    def convert(self: ProxyLogging, request_obj: Any, kwargs: Mapping[str, Any]) -> Any:
        context = kwargs.get("guardrail_context") or {}
        if given() and not context.get("metadata"):
            kwargs = {**kwargs, "guardrail_context": {**context, "metadata": dict(given())}}
        return current(self, request_obj, kwargs)

    setattr(convert, _ORIGINAL, current)
    setattr(ProxyLogging, _NAME, convert)
