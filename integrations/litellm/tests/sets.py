"""Small sets, as the daemon writes them."""

from __future__ import annotations

from refguard_litellm.client import Bundle


def bundle(name: str, *guardrails: str, body: str | None = None) -> Bundle:
    """A set of as many policies as guardrails, each for every call."""
    policies = "".join(f"  {g}-policy:\n    guardrails:\n      add:\n        - {g}\n" for g in guardrails)
    attachments = "".join(f'  - policy: {g}-policy\n    scope: "*"\n' for g in guardrails)
    text = f"policies:\n{policies}policy_attachments:\n{attachments}" if body is None else body
    return Bundle(text.encode(), etag=f'"{name}-litellm"', commit=name)
