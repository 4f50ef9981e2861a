"""LiteLLM's function of the request path that gives a call its policies, replaced or watched.

`add_guardrails_from_policy_engine` copies every policy for every call. Where its source is known, by a digest, another
stands in its place, which asks the extension. Elsewhere LiteLLM's own runs, after a look at what the call names.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from litellm.proxy import litellm_pre_call_utils
from litellm.proxy.common_utils.callback_utils import (
    add_policy_sources_to_metadata,
    add_policy_to_applied_policies_header,
)
from litellm.proxy.common_utils.http_parsing_utils import get_tags_from_request_body
from litellm.proxy.policy_engine.policy_registry import POLICY_VERSION_ID_PREFIX
from litellm.types.proxy.policy_engine import PolicyMatchContext

from . import tool_calls
from .bundle import PolicySet
from .readings import asked_by, held_policies, text, texts

if TYPE_CHECKING:
    from litellm.proxy._types import UserAPIKeyAuth

_NAME = "add_guardrails_from_policy_engine"
# What the replacement stands for: the function and those that only it calls.
_SOURCES = (_NAME, "_match_and_track_policies", "_apply_resolved_guardrails_to_metadata")
# Where the replacement keeps what it replaced.
_ORIGINAL = "__refguard_original__"

Function = Callable[[dict[str, Any], str, "UserAPIKeyAuth"], Awaitable[None]]


@dataclass(frozen=True)
class Dialect:
    """In what the versions of LiteLLM differ."""

    merge: Callable[[list[Any], list[str]], list[Any]]
    """The guardrails of a call, and those that policies add."""


def _all_tags(data: dict[str, Any], bucket: str) -> list[str] | None:
    return get_tags_from_request_body(data) or None


def _own_tags(data: dict[str, Any], bucket: str) -> list[str] | None:
    """Without those that tracing headers of the caller made."""
    found: list[str] | None = vars(litellm_pre_call_utils)["_policy_match_tags"](data, bucket)
    return found


def _merge_names(present: list[Any], added: list[str]) -> list[Any]:
    return list(dict.fromkeys((*present, *added)))


def _merge_entries(present: list[Any], added: list[str]) -> list[Any]:
    """An entry may carry settings, and is then kept instead of the plain name."""
    merged: list[Any] = vars(litellm_pre_call_utils)["merged_guardrail_entries"](present, added)
    return merged


# By the digest of the sources. What is not here is not known, and runs as it is.
_DIALECTS: Mapping[str, Dialect] = {
    # 1.106.2 to 1.108.7
    "6ccc9a6a6a1968d8e2b8bdcd53790214cfda22f34d491907a4a045d64a16e812": Dialect(_merge_names),
    # 1.109.3 to 1.110.2
    "65dbf20605950228ec61fbde6cd20ca9e880f2de529e904966baab245ac9232e": Dialect(_merge_entries),
}


def original() -> Function:
    """LiteLLM's own function."""
    current = vars(litellm_pre_call_utils)[_NAME]
    found: Function = getattr(current, _ORIGINAL, current)
    return found


def _digest() -> str:
    """Of the sources that a replacement stands for; empty where they cannot be read."""
    found = hashlib.sha256()
    try:
        for name in _SOURCES:
            known = vars(litellm_pre_call_utils).get(name)
            found.update(inspect.getsource(original() if name == _NAME else known).encode())  # type: ignore[arg-type]
    except (OSError, TypeError):
        return ""
    return found.hexdigest()


def known_dialect() -> Dialect | str:
    """How this LiteLLM's function is replaced; a text: why it cannot be."""
    found = _digest()
    dialect = _DIALECTS.get(found)
    return dialect or f"this LiteLLM's `{_NAME}` is not one that is known here (digest `{found[:16]}`)"


def install(function: Function) -> None:
    """Puts a function in the place of LiteLLM's, wherever it was imported by name."""
    replaced = original()
    setattr(function, _ORIGINAL, replaced)
    for module in list(sys.modules.values()):
        if not getattr(module, "__name__", "").startswith("litellm."):
            continue
        current = vars(module).get(_NAME)
        if current is not None and getattr(current, _ORIGINAL, current) is replaced:
            setattr(module, _NAME, function)


class Judge:
    """What a call may name. Raises `refuse(reason)` for what it may not."""

    def __init__(self, refuse: Callable[[str], Exception], is_strict: bool) -> None:
        self.refuse = refuse
        self._is_strict = is_strict

    def judge(self, found: PolicySet | None, named: object, user: UserAPIKeyAuth) -> list[str]:
        """The names in a call's body, with a policy's name in the place of a pin.

        Those of its key, team and project are judged too: LiteLLM passes over what it does not know, and such a call
        would run without it.
        """
        kept = [self._known(found, name) for name in texts(named)]
        for name in held_policies(user):
            if "@" in name:
                # LiteLLM looks them up by itself, and knows no versions.
                raise self.refuse(f"the policy `{name}` of the key, team or project is a version: name the policy")
            self._known(found, name)
        return kept

    def _known(self, found: PolicySet | None, name: str) -> str:
        plain, pinned, number = name.partition("@")
        core = found.core if found is not None else None
        if pinned:
            # No policy's name holds an `@`.
            version = core.version(plain) if core is not None else None
            if version is None or str(version) != number:
                served = f"version {version} is" if version is not None else "no such version is known to be"
                raise self.refuse(f"the call names `{name}`, and {served} what this proxy enforces")
        if self._is_strict:
            if core is None:
                raise self.refuse("LiteLLM's own engine runs here, which cannot tell whether a policy may be named")
            if not core.is_requestable(plain):
                raise self.refuse(f"the policy `{plain}` may not be named: it is not `requestable`")
        return plain


def watched(look: Callable[[], PolicySet | None], judge: Judge) -> Function:
    """LiteLLM's own function, after a look at what a call names."""
    function = original()

    async def add_guardrails_from_policy_engine(
        data: dict[str, Any], metadata_variable_name: str, user_api_key_dict: UserAPIKeyAuth
    ) -> None:
        tool_calls.note(None)
        named = data.get("policies")
        judge.judge(look(), named, user_api_key_dict)
        await function(data, metadata_variable_name, user_api_key_dict)
        tool_calls.note(data.get(metadata_variable_name))

    return add_guardrails_from_policy_engine


def replacement(
    look: Callable[[], PolicySet | None],
    match: Callable[[PolicyMatchContext, str | None], PolicySet | None],
    judge: Judge,
    dialect: Dialect,
) -> Function:
    """A function that asks the extension. `match` is the gate: it raises, or gives the set to match by."""
    for_litellm = watched(look, judge)

    async def add_guardrails_from_policy_engine(
        data: dict[str, Any], metadata_variable_name: str, user_api_key_dict: UserAPIKeyAuth
    ) -> None:
        current = look()
        if current is not None and current.core is None:
            # A set that is not in the extension: nothing but LiteLLM's own function reads it.
            await for_litellm(data, metadata_variable_name, user_api_key_dict)
            return
        tool_calls.note(None)
        named = data.pop("policies", None)
        context = context_of(data, metadata_variable_name, user_api_key_dict)
        user = text(user_api_key_dict.user_id)
        found = match(context, user)
        names = judge.judge(found, named, user_api_key_dict)
        if found is None or found.core is None:
            return
        # LiteLLM takes such a name for the id of a version in its database.
        names = [name for name in names if not name.startswith(POLICY_VERSION_ID_PREFIX)]
        try:
            matched, guardrails, piped = found.core.resolve(asked_by(context, user), names)
        except ValueError as error:
            # More, or longer values than the daemon takes.
            raise judge.refuse(str(error)) from error
        for name, _ in matched:
            add_policy_to_applied_policies_header(request_data=data, policy_name=name)
        add_policy_sources_to_metadata(data, {name: reason for name, reason in matched if reason is not None})
        _record(data.setdefault(metadata_variable_name, {}), found, guardrails, piped, dialect)
        tool_calls.note(data.get(metadata_variable_name))

    return add_guardrails_from_policy_engine


def entry_names(entries: object) -> set[str]:
    """The names in a list of a call's guardrails.

    An entry is a name, or `{name: settings}`, which newer proxies put in the place of the plain name.
    """
    names: set[str] = set()
    for entry in entries if isinstance(entries, (list, tuple, set, frozenset)) else ():
        if isinstance(entry, str):
            names.add(entry)
        elif isinstance(entry, dict):
            names.update(name for name in entry if isinstance(name, str))
    return names


def context_of(data: dict[str, Any], bucket: str, user: UserAPIKeyAuth) -> PolicyMatchContext:
    """What LiteLLM matches a call's policies by."""
    has_own_tags = "_policy_match_tags" in vars(litellm_pre_call_utils)
    return PolicyMatchContext(
        team_alias=text(user.team_alias),
        key_alias=text(user.key_alias),
        model=data.get("model"),
        tags=(_own_tags if has_own_tags else _all_tags)(data, bucket),
    )


def _record(
    metadata: dict[str, Any], found: PolicySet, guardrails: list[str], piped: Iterable[str], dialect: Dialect
) -> None:
    """Notes what runs, where the proxy looks for it."""
    pipelines = []
    for name in piped:
        policy = found.policies.get_policy(name)
        if policy is not None and policy.pipeline is not None:
            pipelines.append((name, policy.pipeline))
    if pipelines:
        metadata["_guardrail_pipelines"] = pipelines
        metadata["_pipeline_managed_guardrails"] = {s.guardrail for _, pipeline in pipelines for s in pipeline.steps}
    if guardrails or pipelines:
        present = metadata.get("guardrails", [])
        metadata["guardrails"] = dialect.merge(present if isinstance(present, list) else [], guardrails)
