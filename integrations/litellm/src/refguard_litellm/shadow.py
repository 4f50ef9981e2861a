"""The shadow: LiteLLM's own policies are enforced, and what refguard's set would give each call is compared with it.

Nothing here changes a call or refuses one. Differences are counted by team, with an example each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from litellm.proxy.policy_engine.policy_matcher import PolicyMatcher
from litellm.proxy.policy_engine.policy_registry import POLICY_VERSION_ID_PREFIX, get_policy_registry
from litellm.proxy.policy_engine.policy_resolver import PolicyResolver
from litellm.types.proxy.policy_engine import PolicyMatchContext

from . import request_path
from .bundle import PolicySet
from .follower import logger
from .readings import asked_by, held_metadata, held_policies, now, step_meanings, text, texts
from .request_path import entry_names

if TYPE_CHECKING:
    from litellm.proxy._types import UserAPIKeyAuth

# Teams, and differences of a team, that are told apart.
_MAX_TEAMS = 1_000
_MAX_DIFFERENCES = 20


@dataclass(frozen=True)
class Difference:
    """How refguard's set differs from what LiteLLM did for a call."""

    missing: tuple[str, ...]
    """Guardrails that LiteLLM gave, and refguard would not."""
    extra: tuple[str, ...]
    """Guardrails that only refguard would give."""
    pipelines: tuple[str, ...]
    """Policies whose pipelines only one of both runs, or with other steps."""


@dataclass
class Team:
    """What was seen of a team."""

    calls: int = 0
    differing: int = 0
    differences: dict[Difference, dict[str, Any]] = field(default_factory=dict)
    """Each with how often it was seen and the first call that had it."""


class Comparison:
    """What was compared in this worker since its start."""

    def __init__(self) -> None:
        self.since = now()
        self.errors = 0
        self._teams: dict[str | None, Team] = {}

    def note(self, context: PolicyMatchContext, difference: Difference | None) -> None:
        """Counts a call."""
        name = context.team_alias
        if name not in self._teams and len(self._teams) >= _MAX_TEAMS:
            name = "(other teams)"
        team = self._teams.setdefault(name, Team())
        team.calls += 1
        if difference is None:
            return
        team.differing += 1
        known = team.differences.get(difference)
        if known is not None:
            known["count"] += 1
        elif len(team.differences) < _MAX_DIFFERENCES:
            example = {"key": context.key_alias, "model": context.model, "tags": context.tags or []}
            team.differences[difference] = {"count": 1, "example": example}

    def report(self, commit: str | None) -> dict[str, Any]:
        """All of it, as JSON: teams with differences first."""
        teams = [
            {
                "team": name,
                "calls": team.calls,
                "differing": team.differing,
                "differences": [
                    {
                        "missing": list(difference.missing),
                        "extra": list(difference.extra),
                        "pipelines": list(difference.pipelines),
                        **seen,
                    }
                    for difference, seen in team.differences.items()
                ],
            }
            for name, team in self._teams.items()
        ]
        teams.sort(key=lambda team: (-int(str(team["differing"])), str(team["team"])))
        return {
            "worker": os.getpid(),
            "since": self.since,
            "commit": commit,
            "calls": sum(team.calls for team in self._teams.values()),
            "differing": sum(team.differing for team in self._teams.values()),
            "errors": self.errors,
            "teams": teams,
        }


def function(look: Callable[[], PolicySet | None], comparison: Comparison) -> request_path.Function:
    """LiteLLM's own function, and a comparison after it."""
    own = request_path.original()

    async def add_guardrails_from_policy_engine(
        data: dict[str, Any], metadata_variable_name: str, user_api_key_dict: UserAPIKeyAuth
    ) -> None:
        named = data.get("policies")
        bucket = data.get(metadata_variable_name)
        before = entry_names(bucket.get("guardrails")) if isinstance(bucket, dict) else set()
        await own(data, metadata_variable_name, user_api_key_dict)
        found = look()
        if found is None:
            return
        try:
            context = request_path.context_of(data, metadata_variable_name, user_api_key_dict)
            metadata = data.get(metadata_variable_name) or {}
            comparison.note(context, _compare(found, context, user_api_key_dict, named, before, metadata))
        except Exception:  # A bug here must not end a call.
            comparison.errors += 1
            logger.exception("refguard: a call could not be compared")

    return add_guardrails_from_policy_engine


def _compare(
    found: PolicySet,
    context: PolicyMatchContext,
    user: UserAPIKeyAuth,
    named: object,
    before: set[str],
    metadata: dict[str, Any],
) -> Difference | None:
    by_key = held_policies(user)
    registry = get_policy_registry()
    theirs_by_key = {
        guardrail
        for name in by_key
        if registry.has_policy(name)
        for guardrail in PolicyResolver.resolve_policy_guardrails(name, registry.get_all_policies(), context).guardrails
    }
    direct = {name for held in held_metadata(user) for name in entry_names(held.get("guardrails"))}

    names = [name for name in texts(named) if not name.startswith(POLICY_VERSION_ID_PREFIX)]
    user_id = text(user.user_id)
    ours, pipelines = _answer(found, context, user_id, names)
    by_name, _ = _answer(found, context, user_id, by_key)
    wanted = (before - theirs_by_key) | direct | ours | by_name
    given = entry_names(metadata.get("guardrails"))
    theirs = _steps(metadata.get("_guardrail_pipelines") or ())
    differing = {name for name in {*pipelines, *theirs} if pipelines.get(name) != theirs.get(name)}
    if wanted == given and not differing:
        return None
    return Difference(tuple(sorted(given - wanted)), tuple(sorted(wanted - given)), tuple(sorted(differing)))


def _answer(
    found: PolicySet, context: PolicyMatchContext, user: str | None, names: list[str]
) -> tuple[set[str], dict[str, Any]]:
    """The guardrails and pipelines that a set gives a call."""
    policies = found.policies.get_all_policies()
    if found.core is not None:
        _, guardrails, piped = found.core.resolve(asked_by(context, user), names)
        pipelines = [(name, policy.pipeline) for name in piped if (policy := found.policies.get_policy(name))]
        return set(guardrails), _steps(pipelines)
    applies = PolicyMatcher.policy_applies(context, policies)
    attached = found.attachments.get_attached_policies(context, applies)
    given = PolicyMatcher.get_policies_with_matching_conditions(
        list(dict.fromkeys([*attached, *names])), context, policies
    )
    resolved = PolicyResolver.resolve_guardrails_for_context(context, policies, given) if given else []
    return set(resolved), _steps(PolicyResolver.resolve_pipelines_for_context(context, policies, given))


def _steps(pipelines: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Of each policy, what its pipeline does, however it is written."""
    return {name: (pipeline.mode, step_meanings(pipeline.steps)) for name, pipeline in pipelines}
