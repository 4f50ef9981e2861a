"""What several modules read of LiteLLM's objects, each in one way. Knows nothing of sets and of the daemon."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from litellm.types.proxy.policy_engine import PolicyMatchContext

if TYPE_CHECKING:
    from litellm.proxy._types import UserAPIKeyAuth
    from litellm.types.proxy.policy_engine.pipeline_types import PipelineStep

    from ._core import _Asked


def asked_by(context: PolicyMatchContext, user: str | None = None) -> _Asked:
    """A request's context as the extension takes it."""
    return (context.team_alias, context.key_alias, context.model, context.tags, user)


def text(value: object) -> str | None:
    """A text; `None` for anything else."""
    return value if isinstance(value, str) else None


def texts(listed: object) -> list[str]:
    """The texts of a list; none of anything else."""
    return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []


def held_metadata(user: UserAPIKeyAuth) -> list[dict[str, Any]]:
    """The metadata of a call's key, team and project."""
    return [held for held in (user.metadata, user.team_metadata, user.project_metadata) if isinstance(held, dict)]


def held_policies(user: UserAPIKeyAuth) -> list[str]:
    """The policies that a call's key, team and project name."""
    return [name for held in held_metadata(user) for name in texts(held.get("policies"))]


def step_meanings(steps: Iterable[PipelineStep]) -> list[tuple[object, ...]]:
    """What each step of a pipeline does, however it is written."""
    return [
        (s.guardrail, s.on_pass, s.on_fail, s.on_error or s.on_fail, s.pass_data, s.modify_response_message)
        for s in steps
    ]


def now(precision: str = "milliseconds") -> str:
    """The time as RFC 3339 in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec=precision).replace("+00:00", "Z")
