"""Small sets, as the daemon writes them in either form."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from refguard_litellm.client import Bundle

# In the order of rising specificity.
_TARGETS = ("teams", "keys", "users", "tags", "models", "tools")


def bundle(name: str, *guardrails: str, body: str | None = None) -> Bundle:
    """A set of as many policies as guardrails, each for every call."""
    policies = "".join(f"  {g}-policy:\n    guardrails:\n      add:\n        - {g}\n" for g in guardrails)
    attachments = "".join(f'  - policy: {g}-policy\n    scope: "*"\n' for g in guardrails)
    text = f"policies:\n{policies}policy_attachments:\n{attachments}" if body is None else body
    return Bundle(text.encode(), etag=f'"{name}-litellm"', commit=name)


def core_bundle(name: str, *guardrails: str) -> Bundle:
    """The same in the form of refguard."""
    return core_bundle_of(
        name,
        {f"{g}-policy": {"guardrails": {"add": [g]}} for g in guardrails},
        [{"policy": f"{g}-policy", "scope": "*"} for g in guardrails],
    )


def core_bundle_of(commit: str, policies: dict[str, dict[str, Any]], attachments: list[dict[str, Any]]) -> Bundle:
    """A set that is written as in a LiteLLM config, perhaps with what only refguard has, in the form of refguard."""
    ours = [_policy(name, raw) for name, raw in sorted(policies.items())]
    theirs = [_attachment(raw) for raw in sorted(attachments, key=_order)]
    digest = hashlib.sha256(_canonical({"policies": ours, "attachments": theirs})).hexdigest()
    body = {
        "version": 1,
        "set": "production",
        "commit": commit,
        "promotion": None,
        "digest": digest,
        "instant": None,
        "valid_until": None,
        "guardrails": None,
        "policies": [{"requestable": None, **policy, "version": 3} for policy in ours],
        "attachments": [{"expires": None, "reason": None, **attachment} for attachment in theirs],
    }
    return Bundle(json.dumps(body).encode(), f'"{commit}-refguard-0-0"', commit, is_json=True, form="refguard")


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _listed(value: Any) -> list[str]:
    return sorted(set([value] if isinstance(value, str) else value))


def _policy(name: str, raw: dict[str, Any]) -> dict[str, Any]:
    found = {key: raw[key] for key in ("description", "inherit", "requestable") if raw.get(key)} | {"name": name}
    guardrails = {key: _listed(names) for key, names in raw.get("guardrails", {}).items() if names}
    if guardrails:
        found["guardrails"] = guardrails
    if raw.get("condition"):
        found["condition"] = {"model": _listed(raw["condition"]["model"])}
    if raw.get("pipeline"):
        steps = [_step(step) for step in raw["pipeline"]["steps"]]
        found["pipeline"] = {"mode": raw["pipeline"].get("mode", "pre_call"), "steps": steps}
    return found


def _step(raw: dict[str, Any]) -> dict[str, Any]:
    failed = raw.get("on_fail", "block")
    step = {"guardrail": raw["guardrail"], "on_pass": raw.get("on_pass", "allow"), "on_fail": failed}
    step |= {"on_error": raw.get("on_error") or failed, "pass_data": raw.get("pass_data", False)}
    message = raw.get("modify_response_message")
    return step | ({"modify_response_message": message} if message else {})


def _attachment(raw: dict[str, Any]) -> dict[str, Any]:
    found = {"policy": raw["policy"]}
    if raw.get("scope"):
        found["scope"] = raw["scope"]
    else:
        found |= {key: _listed(raw[key]) for key in _TARGETS if raw.get(key)}
    if raw.get("priority") is not None:
        found["priority"] = raw["priority"]
    found |= {key: raw[key] for key in ("expires", "reason") if raw.get(key)}
    return found | ({"default": True} if raw.get("default") else {})


def _order(raw: dict[str, Any]) -> tuple[bool, int, int, int]:
    """The order of evaluation."""
    named = [rank for rank, key in enumerate(_TARGETS, start=1) if raw.get(key) and not raw.get("scope")]
    return (raw.get("priority") is None, raw.get("priority") or 0, max(named, default=0), len(named))
