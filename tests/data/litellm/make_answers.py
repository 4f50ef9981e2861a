"""Writes policies.json and attachments.json: answers of `/policies/list` and `/policies/attachments/list`.

Made by the response models of LiteLLM 1.110.2: run it with a Python that has this version.
"""

import pathlib
from datetime import datetime, timezone

from litellm.types.proxy.policy_engine.resolver_types import (
    PolicyAttachmentDBResponse,
    PolicyAttachmentListResponse,
    PolicyDBResponse,
    PolicyListDBResponse,
)


def at(month, day=1, year=2026):
    return datetime(year, month, day, 12, 0, 0, 250_000, tzinfo=timezone.utc)


def row(name, number, status, time, author, **fields):
    return PolicyDBResponse(
        policy_id=f"{name}-{number}",
        policy_name=name,
        version_number=number,
        version_status=status,
        is_latest=False,
        created_at=time,
        updated_at=time,
        created_by=author,
        updated_by=author,
        published_at=None if status == "draft" else time,
        production_at=time if status == "production" else None,
        **fields,
    )


# The newest first, as the proxy lists them.
POLICIES = [
    row("health", 5, "draft", at(6), "user-3", inherit="base", guardrails_add=["hipaa", "topic"]),
    row("health", 4, "draft", at(5), "user-2", inherit="base", guardrails_add=["hipaa", "phi"]),
    row("health", 3, "production", at(4), "user-2", inherit="base", guardrails_add=["hipaa"],
        condition={"model": "gpt-4.*"},
        pipeline={"mode": "pre_call", "steps": [{"guardrail": "hipaa", "on_fail": "block", "on_pass": "allow",
                                                 "on_error": None, "pass_data": False,
                                                 "modify_response_message": None}]}),
    row("health", 2, "draft", at(3), "user-1", inherit="base", guardrails_add=["old"]),
    row("health", 1, "published", at(2), "user-1", inherit="base", guardrails_add=["hipaa"]),
    row("base", 2, "production", at(1, year=1), "", guardrails_add=["pii"], description="for all \U0001f600"),
    row("base", 1, "published", at(1), "user-1", guardrails_add=["pii", "toxicity"]),
]
ATTACHMENTS = [
    PolicyAttachmentDBResponse(attachment_id="b", policy_name="health", teams=["health*"], created_at=at(2)),
    PolicyAttachmentDBResponse(attachment_id="a", policy_name="base", scope="*", created_at=at(1)),
]

here = pathlib.Path(__file__).parent
answers = {
    "policies.json": PolicyListDBResponse(policies=POLICIES, total_count=len(POLICIES)),
    "attachments.json": PolicyAttachmentListResponse(attachments=ATTACHMENTS, total_count=len(ATTACHMENTS)),
}
for name, answer in answers.items():
    (here / name).write_text(answer.model_dump_json(indent=1) + "\n")
