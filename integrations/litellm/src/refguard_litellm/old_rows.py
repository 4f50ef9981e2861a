"""What LiteLLM's database still holds of policies beside those of git: read only to be told of.

By LiteLLM's rule a row in production stands in the place of a policy of the same name. Knows nothing of the daemon.
"""

from __future__ import annotations

from typing import Any

from litellm.proxy.policy_engine.attachment_registry import get_attachment_registry
from litellm.proxy.policy_engine.policy_registry import get_policy_registry
from litellm.types.proxy.policy_engine import Policy, PolicyDBResponse
from pydantic import ValidationError

from .bundle import PolicySet
from .readings import step_meanings

# Names that a sentence holds.
_SAID = 5


async def find_old_rows(found: PolicySet, database: Any, are_in_force: bool) -> dict[str, Any]:
    """The rows in production, by what they are to the policies of git."""
    rows = await get_policy_registry().get_all_policies_from_db(database, version_status="production")
    attachments = await get_attachment_registry().get_all_attachments_from_db(database)
    hiding: list[str] = []
    contradicting: list[str] = []
    foreign: list[str] = []
    for row in rows:
        own = found.policies.get_policy(row.policy_name)
        if own is None:
            foreign.append(row.policy_name)
            continue
        hiding.append(row.policy_name)
        if not _is_same(own, row):
            contradicting.append(row.policy_name)
    return {
        "are_in_force": are_in_force,
        "hiding": sorted(hiding),
        "contradicting": sorted(contradicting),
        "only_here": sorted(foreign),
        "attachments": len(attachments),
    }


def sentence(rows: dict[str, Any]) -> str | None:
    """The same for the log; `None` where the database holds nothing."""
    if not (rows["hiding"] or rows["only_here"] or rows["attachments"]):
        return None
    parts = []
    if rows["contradicting"]:
        parts.append(f"{_named(rows['contradicting'])} there, with another meaning than in git")
    equal = sorted(set(rows["hiding"]) - set(rows["contradicting"]))
    if equal:
        parts.append(f"{_named(equal)} there, as in git")
    if rows["only_here"]:
        parts.append(f"{_named(rows['only_here'])} only there")
    if rows["attachments"]:
        parts.append(f"{rows['attachments']} attachments")
    effect = "they are in force, in the place of git's" if rows["are_in_force"] else "none of them is in force"
    return f"the proxy's database holds old policies: {'; '.join(parts)}; {effect}"


def _named(names: list[str]) -> str:
    rest = len(names) - _SAID
    return ", ".join(f"`{name}`" for name in names[:_SAID]) + (f" and {rest} more" if rest > 0 else "")


def _is_same(own: Policy, row: PolicyDBResponse) -> bool:
    try:
        theirs = Policy.model_validate(
            {
                "inherit": row.inherit or None,
                "guardrails": {"add": row.guardrails_add, "remove": row.guardrails_remove},
                "condition": row.condition or None,
                "pipeline": row.pipeline or None,
            }
        )
    except ValidationError:
        return False
    return _meaning(own) == _meaning(theirs)


def _meaning(policy: Policy) -> tuple[object, ...]:
    """What counts: a description does not, nor the order of names, nor whether a list is written or left out."""
    models = policy.condition.model if policy.condition is not None else None
    steps = policy.pipeline.steps if policy.pipeline is not None else ()
    return (
        policy.inherit,
        frozenset(policy.guardrails.get_add()),
        frozenset(policy.guardrails.get_remove()),
        frozenset([models] if isinstance(models, str) else models or ()),
        policy.pipeline.mode if policy.pipeline is not None else None,
        step_meanings(steps),
    )
