"""A set as LiteLLM's own registries, built beside the live ones. Knows nothing of where sets come from.

LiteLLM leaves out what it does not know, and an unknown guardrail runs as none. Here both are reasons to refuse a set.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from litellm.proxy.policy_engine.attachment_registry import AttachmentRegistry
from litellm.proxy.policy_engine.policy_registry import PolicyRegistry
from litellm.types.proxy.policy_engine import Policy, PolicyAttachment
from pydantic import ValidationError

from . import views
from .client import Bundle
from .engine import BrokenExtension, load_extension

if TYPE_CHECKING:
    from ._core import PolicySet as CoreSet

# Ten times faster than the loader in Python; wheels of PyYAML have it.
_Loader: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_KEYS = {"policies", "policy_attachments"}


class BundleRejected(Exception):
    """A set that this proxy cannot enforce as it was meant; the text says why."""


@dataclass(frozen=True)
class PolicySet:
    """A set that is ready to be enforced. Its registries are never the live ones."""

    commit: str
    etag: str
    policies: PolicyRegistry
    attachments: AttachmentRegistry
    guardrails: frozenset[str]
    """Every guardrail that some policy adds or steps through."""
    step_modes: dict[str, frozenset[str]]
    """Of each guardrail that is a step of a pipeline, the modes of those pipelines."""
    policy_count: int
    attachment_count: int
    core: CoreSet | None = None
    """The set in the extension, whose registries are views of it; `None`: LiteLLM's own engine answers."""


def build(bundle: Bundle) -> PolicySet:
    """Reads a set whole, or raises [`BundleRejected`]. Slow for a large set: not for the event loop."""
    return _build_in_core(bundle) if bundle.form == "refguard" else _build_for_litellm(bundle)


def _build_in_core(bundle: Bundle) -> PolicySet:
    """Has the extension read a set, which it does without the interpreter's lock."""
    try:
        extension = load_extension()
        if extension is None:
            raise BundleRejected("there is no extension to read it")
        core: CoreSet = extension.PolicySet.parse(bundle.body)
    except (BrokenExtension, ValueError) as error:
        raise BundleRejected(_line(error)) from error
    except BaseException as error:
        # What the extension did not expect is no `Exception`, and would end the following.
        if type(error).__module__ != "pyo3_runtime":
            raise
        raise BundleRejected(f"the extension failed: {_line(error)}") from error
    give_back_memory()
    fault = core.unenforceable()
    if fault is not None:
        raise BundleRejected(fault)
    policies, attachments = views.registries(core)
    modes: dict[str, frozenset[str]] = {}
    for name, mode in core.step_modes():
        modes[name] = modes.get(name, frozenset()) | {mode}
    return PolicySet(
        commit=bundle.commit,
        etag=bundle.etag,
        policies=policies,
        attachments=attachments,
        guardrails=frozenset(core.guardrails()),
        step_modes=modes,
        policy_count=core.policy_count,
        attachment_count=core.attachment_count,
        core=core,
    )


def give_back_memory() -> None:
    """What a large set took while it was read, and one that was replaced: the C library of Linux keeps it otherwise."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _build_for_litellm(bundle: Bundle) -> PolicySet:
    document = _parsed(bundle)
    if not isinstance(document, dict) or set(document) != _KEYS:
        raise BundleRejected("it does not have the keys `policies` and `policy_attachments`, and only these")
    raw_policies, raw_attachments = document["policies"], document["policy_attachments"]
    if not isinstance(raw_policies, dict) or not raw_policies:
        # The daemon refuses to serve one. No policies would mean: nothing is guarded.
        raise BundleRejected("it has no policies")
    if not isinstance(raw_attachments, list):
        raise BundleRejected("`policy_attachments` is no list")
    policies, attachments = PolicyRegistry(), AttachmentRegistry()
    refusal = _load(policies, attachments, raw_policies, raw_attachments)
    _judge_reading(policies, attachments, raw_policies, raw_attachments, refusal)
    loaded = attachments.get_all_attachments()
    every = policies.get_all_policies()
    _judge_references(every, loaded)
    return PolicySet(
        commit=bundle.commit,
        etag=bundle.etag,
        policies=policies,
        attachments=attachments,
        guardrails=frozenset(name for policy in every.values() for name in _guardrails(policy)),
        step_modes=_step_modes(every.values()),
        policy_count=len(every),
        attachment_count=len(loaded),
    )


def _load(
    policies: PolicyRegistry, attachments: AttachmentRegistry, raw_policies: Any, raw_attachments: Any
) -> str | None:
    """Has LiteLLM read a set; says what it does not take."""
    try:
        policies.load_policies(raw_policies)
        attachments.load_attachments(raw_attachments)
    except ValueError as error:
        return _line(error)
    return None


def _judge_reading(
    policies: PolicyRegistry,
    attachments: AttachmentRegistry,
    raw_policies: dict[object, object],
    raw_attachments: list[object],
    refusal: str | None,
) -> None:
    """Reads a set a second time, strictly, and compares: LiteLLM leaves out keys that it does not know.

    Each piece is let go at once: a large set that is held twice keeps the event loop waiting for the collector.
    """
    for name, raw in raw_policies.items():
        strict = _policy(name, raw)
        if refusal is None and policies.get_policy(str(name)) != strict:
            raise BundleRejected(f"policy `{name}`: LiteLLM reads it otherwise than it is written")
    loaded = attachments.get_all_attachments()
    for number, raw in enumerate(raw_attachments, start=1):
        strict_attachment = _attachment(number, raw)
        if refusal is None and loaded[number - 1] != strict_attachment:
            raise BundleRejected(f"attachment {number}: LiteLLM reads it otherwise than it is written")
    if refusal is not None:
        raise BundleRejected(f"LiteLLM does not take it: {refusal}")


def _parsed(bundle: Bundle) -> object:
    try:
        if bundle.is_json:
            return json.loads(bundle.body)
        return yaml.load(bundle.body, Loader=_Loader)  # noqa: S506 (both are safe loaders)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise BundleRejected(f"it cannot be parsed: {_line(error)}") from error


def _policy(name: object, raw: object) -> Policy:
    if not isinstance(name, str) or not name:
        raise BundleRejected(f"`{name}` is no name of a policy")
    try:
        # Forbids unknown keys, which `load_policies` would leave out.
        return Policy.model_validate(raw)
    except ValidationError as error:
        raise BundleRejected(f"policy `{name}`: {_first(error)}") from error


def _attachment(number: int, raw: object) -> PolicyAttachment:
    try:
        return PolicyAttachment.model_validate(raw)
    except ValidationError as error:
        raise BundleRejected(f"attachment {number}: {_first(error)}") from error


def _judge_references(policies: dict[str, Policy], attachments: list[PolicyAttachment]) -> None:
    for attachment in attachments:
        if attachment.policy not in policies:
            raise BundleRejected(f"an attachment names the policy `{attachment.policy}`, which it does not have")
    rooted: set[str] = set()
    for name in policies:
        chain: dict[str, None] = {}
        current: str | None = name
        while current is not None and current not in rooted:
            if current in chain:
                raise BundleRejected(f"policy `{current}` inherits from itself")
            if current not in policies:
                raise BundleRejected(f"a policy inherits from `{current}`, which it does not have")
            chain[current] = None
            current = policies[current].inherit
        rooted.update(chain)


def _guardrails(policy: Policy) -> list[str]:
    steps = policy.pipeline.steps if policy.pipeline is not None else []
    return [*policy.guardrails.get_add(), *(step.guardrail for step in steps)]


def _step_modes(policies: Iterable[Policy]) -> dict[str, frozenset[str]]:
    """Of each guardrail that is a step of a pipeline, the modes of those pipelines."""
    modes: dict[str, set[str]] = {}
    for policy in policies:
        if policy.pipeline is not None:
            for step in policy.pipeline.steps:
                modes.setdefault(step.guardrail, set()).add(str(policy.pipeline.mode))
    return {name: frozenset(found) for name, found in modes.items()}


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"`{place}`: {problem['msg']}" if place else problem["msg"]


def _line(error: BaseException) -> str:
    """On one line, and not the whole file: texts of parsers quote what they read."""
    return " ".join(str(error).split())[:300]
