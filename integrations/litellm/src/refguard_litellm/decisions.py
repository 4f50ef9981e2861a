"""The decision log: one JSON line for each call that policies were matched for, or a sample of them.

The lines are the daemon's own: docs/decision-log.md. Knows nothing of where they are kept.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from litellm.proxy.policy_engine.policy_resolver import PolicyResolver
from litellm.types.proxy.policy_engine import PolicyMatchContext

from .bundle import PolicySet
from .line_log import LineLog
from .readings import now
from .settings import Settings


@dataclass
class Matching:
    """The matching of one call's policies: with which set, and for which request."""

    found: PolicySet
    context: PolicyMatchContext
    user: str | None = None
    """The user whose key it is, where policies are matched by users too."""
    is_told: bool = field(default=False)
    """Whether a line was written, or left out of the sample."""


class DecisionLog:
    """Which decisions are written, and how."""

    def __init__(self, settings: Settings, log: LineLog) -> None:
        self.log = log
        self._set = settings.set_name
        self._one_of = settings.decision_sample
        self._hash_keys = settings.decision_hash_keys
        self._seen = 0

    def tell(self, matching: Matching, applied: object) -> None:
        """Writes what a call got, once. `applied` are the policies by LiteLLM's own account of the call."""
        if matching.is_told:
            return
        matching.is_told = True
        self._seen += 1
        if (self._seen - 1) % self._one_of == 0:
            self.log.write(json.dumps(self._line(matching, _names(applied)), ensure_ascii=False, separators=(",", ":")))

    def _line(self, matching: Matching, applied: list[str]) -> dict[str, Any]:
        policies, context = matching.found.policies.get_all_policies(), matching.context
        known = [name for name in applied if name in policies]
        guardrails = {
            guardrail
            for name in known
            for guardrail in PolicyResolver.resolve_policy_guardrails(name, policies, context).guardrails
        }
        return {
            "time": now("microseconds"),
            "by": "litellm",
            "set": self._set,
            "commit": matching.found.commit,
            "policies": known,
            "guardrails": sorted(guardrails),
            "unknown": [name for name in applied if name not in policies],
            "team": context.team_alias,
            "key": self._key(context.key_alias),
            "user": matching.user,
            "tags": list(dict.fromkeys(context.tags or ())),
            "model": context.model,
            # No policies are matched by tools.
            "tool": None,
        }

    def _key(self, key: str | None) -> str | None:
        if key is None or not self._hash_keys:
            return key
        return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def _names(applied: object) -> list[str]:
    return [name for name in applied if isinstance(name, str)] if isinstance(applied, (list, tuple)) else []
