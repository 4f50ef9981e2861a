"""The routes of LiteLLM's policy API that its dashboard asks, answered of the set that is enforced here; read-only.

Without a database LiteLLM answers most of them with 500; with one it shows rows that nothing enforces. What is shown is
this worker's own set. Version numbers, authors and times are the daemon's, and absent while it is away. Who writes is
told where the policies are kept. Must not know how sets come here, nor what calls do with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote, unquote

from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.routing import APIRoute
from litellm.proxy.policy_engine.attachment_registry import get_attachment_registry
from litellm.proxy.policy_engine.policy_matcher import PolicyMatcher
from litellm.proxy.policy_engine.policy_resolver import PolicyResolver
from litellm.types.proxy.policy_engine import (
    AttachmentImpactResponse,
    Policy,
    PolicyAttachment,
    PolicyAttachmentCreateRequest,
    PolicyAttachmentDBResponse,
    PolicyAttachmentListResponse,
    PolicyDBResponse,
    PolicyListDBResponse,
    PolicyMatchContext,
    PolicyMatchDetail,
    PolicyResolveRequest,
    PolicyResolveResponse,
    PolicyVersionCompareResponse,
    PolicyVersionListResponse,
)
from pydantic import BaseModel, ValidationError
from starlette.routing import Match
from starlette.types import Scope

from .bundle import PolicySet
from .client import DaemonAway

# What LiteLLM compares of two versions.
_COMPARED = ("inherit", "description", "guardrails_add", "guardrails_remove", "condition", "pipeline")
# What a policy has in LiteLLM's words.
_FIELDS = ("inherit", "description", "guardrails", "condition", "pipeline")
_PAGE = "1000"
# Of a policy that has more than ten thousand versions, the newest are shown.
_VERSION_PAGES = 100

Json = dict[str, Any]


class Daemon(Protocol):
    """Who knows the history of policies."""

    async def ask(self, path: str, parameters: Mapping[str, str] | None = None) -> Json | None:
        """What it answers; `None` where it has no such thing."""


@dataclass
class _Known:
    """What the daemon says of each policy of a commit."""

    commit: str
    rows: dict[str, Json] = field(default_factory=dict)


class Dashboard:
    """The answers. `look` gives the set that is enforced, `refusal` says why there is none."""

    def __init__(
        self,
        look: Callable[[], PolicySet | None],
        refusal: Callable[[], str | None],
        daemon: Daemon,
        repository: str | None,
    ) -> None:
        self._look = look
        self._refusal = refusal
        self._daemon = daemon
        self._repository = repository
        self._known: _Known | None = None

    # Reading.

    async def policies(self, version_status: str | None = None) -> PolicyListDBResponse:
        """Each policy at the version that is enforced."""
        found = self._found()
        if version_status not in (None, "production"):
            return PolicyListDBResponse(policies=[], total_count=0)
        rows = await self._rows(found)
        # A large set has many, and calls must not wait for them.
        shown = await asyncio.to_thread(self._listed, found, rows)
        return PolicyListDBResponse(policies=shown, total_count=len(shown))

    def _listed(self, found: PolicySet, rows: dict[str, Json]) -> list[PolicyDBResponse]:
        shown = []
        for name, policy in found.policies.get_all_policies().items():
            row = rows.get(name, {})
            number = self._number(found, name, row)
            shown.append(_shown(name, policy, number, is_enforced=True, written=row.get("published")))
        return shown

    async def policy(self, policy_id: str) -> PolicyDBResponse:
        """One version of a policy; the enforced one where the id has no number."""
        found = self._found()
        name, number = self._address(found, policy_id)
        enforced = found.policies.get_policy(name)
        current = self._number(found, name, (await self._rows(found)).get(name, {}))
        is_enforced = enforced is not None and number in (None, current)
        if number is None:
            number = current if is_enforced else None
        if number is None:
            if enforced is None:
                raise _not_found(f"no policy `{name}` is enforced here")
            return _shown(name, enforced, None, is_enforced=True)

        version = await self._version(name, number, is_needed=not is_enforced)
        if is_enforced and enforced is not None:
            return _shown(name, enforced, number, is_enforced=True, written=version)
        document = (version or {}).get("policy")
        if not isinstance(document, dict):
            raise _not_found(f"version {number} of `{name}` took the policy away")
        return _shown(name, _read(name, number, document), number, is_enforced=False, written=version)

    async def versions(self, policy_name: str) -> PolicyVersionListResponse:
        """All versions of a policy, the newest first, by what is known of each."""
        found = self._found()
        rows = await self._version_rows(policy_name)
        enforced = found.policies.get_policy(policy_name)
        current = self._number(found, policy_name, (await self._rows(found)).get(policy_name, {}))
        shown = []
        for row in rows:
            number = row["number"]
            if enforced is not None and number == current:
                shown.append(_shown(policy_name, enforced, number, is_enforced=True, written=row))
                continue
            document = row.get("policy")
            # A version may also be that the policy was taken away: an empty one.
            read = _read(policy_name, number, document) if isinstance(document, dict) else Policy()
            shown.append(_shown(policy_name, read, number, is_enforced=False, written=row))
        return PolicyVersionListResponse(policy_name=policy_name, versions=shown, total_count=len(shown))

    async def compared(self, version_a: str, version_b: str) -> PolicyVersionCompareResponse:
        """Two versions, by LiteLLM's fields."""
        a, b = await self.policy(version_a), await self.policy(version_b)
        differing = {
            name: {"version_a": getattr(a, name), "version_b": getattr(b, name)}
            for name in _COMPARED
            if getattr(a, name) != getattr(b, name)
        }
        return PolicyVersionCompareResponse(version_a=a, version_b=b, field_diffs=differing)

    async def resolved_guardrails(self, policy_id: str) -> Json:
        """What a version comes to with the ancestors that are enforced."""
        found = self._found()
        shown = await self.policy(policy_id)
        policies = found.policies.get_all_policies()
        if shown.version_status != "production":
            policies = policies.copy()
            policies[shown.policy_name] = _of_response(shown)
        resolved = PolicyResolver.resolve_policy_guardrails(shown.policy_name, policies)
        return {
            "policy_id": shown.policy_id,
            "policy_name": shown.policy_name,
            "resolved_guardrails": sorted(resolved.guardrails),
        }

    async def attachments(self) -> PolicyAttachmentListResponse:
        """The attachments that LiteLLM has words for, in the order of evaluation."""
        found = self._found()
        shown = await asyncio.to_thread(_listed_attachments, found)
        return PolicyAttachmentListResponse(attachments=shown, total_count=len(shown))

    async def attachment(self, attachment_id: str) -> PolicyAttachmentDBResponse:
        """One of them, by its place."""
        for shown in (await self.attachments()).attachments:
            if shown.attachment_id == attachment_id:
                return shown
        raise _not_found(f"no attachment `{attachment_id}` is enforced here")

    async def resolve(self, request: PolicyResolveRequest) -> PolicyResolveResponse:
        """Which policies and guardrails a call gets, as LiteLLM's own route tells it."""
        found = self._found()
        context = PolicyMatchContext(
            team_alias=request.team_alias, key_alias=request.key_alias, model=request.model, tags=request.tags
        )
        policies = found.policies.get_all_policies()
        applies = PolicyMatcher.policy_applies(context, policies)
        matches = get_attachment_registry().get_attached_policies_with_reasons(context, applies)
        details = [
            PolicyMatchDetail(
                policy_name=match["policy_name"],
                matched_via=match["matched_via"],
                guardrails_added=PolicyResolver.resolve_policy_guardrails(
                    match["policy_name"], policies, context
                ).guardrails,
            )
            for match in matches
        ]
        effective = sorted({guardrail for detail in details for guardrail in detail.guardrails_added})
        return PolicyResolveResponse(effective_guardrails=effective, matched_policies=details)

    async def impact(self, request: PolicyAttachmentCreateRequest) -> AttachmentImpactResponse:
        """How many of the proxy's keys and teams an attachment is for: with no database it has none."""
        from litellm.proxy import proxy_server

        if request.scope == "*":
            everything = ["(global scope — affects all keys)"], ["(global scope — affects all teams)"]
            return AttachmentImpactResponse(
                affected_keys_count=-1, affected_teams_count=-1, sample_keys=everything[0], sample_teams=everything[1]
            )
        if proxy_server.prisma_client is None:
            return AttachmentImpactResponse()
        from litellm.proxy.policy_engine.policy_resolve_endpoints import estimate_attachment_impact

        told: AttachmentImpactResponse = await estimate_attachment_impact(request)
        return told

    # Writing.

    async def refuse(self, what: str, name: str | None, command: str) -> HTTPException:
        """Why a change is not made here, and where and how it is."""
        place = await self._place(name) if name is not None else None
        where = self._repository or "the policy repository that the refguard daemon serves"
        step = command.format(file=f"`{place}`" if place else "its file", name=name or "NAME")
        found = self._look()
        return HTTPException(
            status_code=409,
            detail={
                "error": f"refguard: {what} here: policies are kept in git, in {where}. {step}",
                "repository": self._repository,
                "file": place,
                "commit": found.commit if found is not None else None,
            },
        )

    async def _place(self, name: str) -> str | None:
        """The file that holds a policy, and the line."""
        try:
            told = await self._daemon.ask(f"/v1/policies/{quote(name, safe='')}")
        except DaemonAway:
            return None
        policy = (told or {}).get("policy")
        return f"{policy['file']}:{policy['line']}" if isinstance(policy, dict) and policy.get("file") else None

    async def attached_policy(self, attachment_id: str) -> str | None:
        """The policy of an attachment, if it is there."""
        try:
            return (await self.attachment(attachment_id)).policy_name
        except HTTPException:
            return None

    # What is behind.

    def _found(self) -> PolicySet:
        refusal, found = self._refusal(), self._look()
        if refusal is not None or found is None:
            # The page then says why, instead of showing that there is nothing.
            raise HTTPException(503, {"error": f"refguard: {refusal or 'no policy set has been loaded yet'}"})
        return found

    def _address(self, found: PolicySet, policy_id: str) -> tuple[str, int | None]:
        """The policy and the number of an id: `NAME@N`, whose name may be percent-encoded as in the lists."""
        name, _, number = policy_id.rpartition("@") if "@" in policy_id else (policy_id, "", "")
        if found.policies.get_policy(name) is None:
            name = unquote(name)
        if not number:
            return name, None
        if not (number.isascii() and number.isdecimal() and len(number) < 19):
            raise _not_found(f"`{policy_id}` names no version of a policy")
        return name, int(number)

    @staticmethod
    def _number(found: PolicySet, name: str, row: Json) -> int | None:
        number = found.core.version(name) if found.core is not None else None
        return number if number is not None else row.get("version")

    async def _rows(self, found: PolicySet) -> dict[str, Json]:
        """What the daemon says of each policy, if it serves the set that is enforced here; else nothing."""
        if self._known is not None and self._known.commit == found.commit:
            return self._known.rows
        rows: dict[str, Json] = {}
        parameters = {"published": "true", "limit": _PAGE}
        try:
            while True:
                page = await self._daemon.ask("/v1/policies", parameters)
                if page is None or page.get("commit") != found.commit:
                    return {}
                rows.update((row["name"], row) for row in page["policies"])
                if page.get("next") is None:
                    break
                parameters["cursor"] = page["next"]
        except (DaemonAway, KeyError, TypeError):
            return {}
        if all(row.get("version") is not None for row in rows.values()):
            self._known = _Known(found.commit, rows)
        return rows

    async def _version_rows(self, name: str) -> list[Json]:
        """Every version of a policy with its document, the newest first; a hundred of them cost one question."""
        path, parameters = f"/v1/policies/{quote(name, safe='')}/versions", {"documents": "true"}
        rows: list[Json] = []
        for _ in range(_VERSION_PAGES):
            page = await self._answer(path, parameters)
            if page is None:
                raise _not_found(f"there never was a policy `{name}`")
            rows += page.get("versions", [])
            if page.get("next") is None:
                break
            parameters["cursor"] = page["next"]
        return rows

    async def _version(self, name: str, number: int, *, is_needed: bool) -> Json | None:
        path = f"/v1/policies/{quote(name, safe='')}/versions/{number}"
        if not is_needed:
            try:
                return await self._daemon.ask(path)
            except DaemonAway:
                return None
        told = await self._answer(path)
        if told is None:
            raise _not_found(f"there is no version {number} of `{name}`")
        return told

    async def _answer(self, path: str, parameters: Mapping[str, str] | None = None) -> Json | None:
        try:
            return await self._daemon.ask(path, parameters)
        except DaemonAway as error:
            raise HTTPException(
                503, {"error": f"refguard: the history of policies is the daemon's, and it is away: {error}"}
            ) from error


def add_routes(app: FastAPI, dashboard: Dashboard) -> None:
    """Puts the answers before those of the proxy, which has the same paths, behind the proxy's own door."""
    from litellm.proxy.auth.user_api_key_auth import user_api_key_auth

    async def policies(version_status: str | None = None) -> Response:
        return await _written(await dashboard.policies(version_status))

    async def attachments() -> Response:
        return await _written(await dashboard.attachments())

    async def new() -> None:
        raise await dashboard.refuse("no policy is made", None, _CREATE)

    async def new_version(policy_name: str) -> None:
        raise await dashboard.refuse("no version is made", policy_name, _EDIT)

    async def edit(policy_id: str) -> None:
        raise await dashboard.refuse("no policy is changed", _name_of(policy_id), _EDIT)

    async def move(policy_id: str) -> None:
        raise await dashboard.refuse("no version is published or promoted", _name_of(policy_id), _PROMOTE)

    async def remove(policy_id: str) -> None:
        raise await dashboard.refuse("no policy is deleted", _name_of(policy_id), _REMOVE)

    async def remove_all(policy_name: str) -> None:
        raise await dashboard.refuse("no policy is deleted", policy_name, _REMOVE)

    async def attach() -> None:
        raise await dashboard.refuse("nothing is attached", None, _ATTACH)

    async def detach(attachment_id: str) -> None:
        name = await dashboard.attached_policy(attachment_id)
        raise await dashboard.refuse("no attachment is deleted", name, _DETACH)

    handlers: list[tuple[str, str, Callable[..., Any]]] = [
        ("GET", "/policies/list", policies),
        ("GET", "/policies/compare", dashboard.compared),
        ("POST", "/policies/resolve", dashboard.resolve),
        ("GET", "/policies/name/{policy_name:path}/versions", dashboard.versions),
        ("POST", "/policies/name/{policy_name:path}/versions", new_version),
        ("DELETE", "/policies/name/{policy_name:path}/all-versions", remove_all),
        ("GET", "/policies/attachments/list", attachments),
        ("POST", "/policies/attachments/estimate-impact", dashboard.impact),
        ("GET", "/policies/attachments/{attachment_id}", dashboard.attachment),
        ("DELETE", "/policies/attachments/{attachment_id}", detach),
        ("POST", "/policies/attachments", attach),
        ("POST", "/policies", new),
        ("PUT", "/policies/{policy_id:path}/status", move),
        ("GET", "/policies/{policy_id:path}/resolved-guardrails", dashboard.resolved_guardrails),
        ("GET", "/policies/{policy_id:path}", dashboard.policy),
        ("PUT", "/policies/{policy_id:path}", edit),
        ("DELETE", "/policies/{policy_id:path}", remove),
    ]
    ours = [
        _ById(path, handler, methods=[method], tags=["refguard"], dependencies=[Depends(user_api_key_auth)])
        for method, path, handler in handlers
    ]
    app.router.routes[:0] = ours


class _ById(APIRoute):
    """The route of one policy. A name may hold slashes, and one path below this one is the proxy's own."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        if child.get("path_params", {}).get("policy_id") in _THEIRS:
            return Match.NONE, {}
        return match, child


# What the proxy itself answers to GET below `/policies`, besides what is answered here.
_THEIRS = ("usage/overview",)

# How each change is made. A name that has a file in git gets it in the place of `{file}`.
_CREATE = "Write the policy to a file below `policies/` there, commit, and run `refguard promote`."
_EDIT = "Change {file} there, commit, and run `refguard promote`."
_PROMOTE = (
    "What is committed there is published; `refguard promote` puts it in force, `refguard rollback` takes it back."
)
_REMOVE = "Take `{name}` out of {file} there, with its attachments, commit, and run `refguard promote`."
_ATTACH = "Write the attachment to a file below `attachments/` there, commit, and run `refguard promote`."
_DETACH = (
    "Take the attachment of `{name}` out of its file below `attachments/` there, commit, and run `refguard promote`."
)


async def _written(answer: BaseModel) -> Response:
    """An answer as JSON: a long list takes longer than calls may wait."""
    return Response(await asyncio.to_thread(answer.model_dump_json), media_type="application/json")


def _name_of(policy_id: str) -> str:
    return unquote(policy_id.rpartition("@")[0] or policy_id)


def _not_found(reason: str) -> HTTPException:
    return HTTPException(404, {"error": f"refguard: {reason}"})


def _read(name: str, number: int, document: Json) -> Policy:
    """A document of git as LiteLLM has it."""
    try:
        return Policy.model_validate({key: document[key] for key in _FIELDS if key in document})
    except ValidationError as error:
        raise HTTPException(
            502, {"error": f"refguard: LiteLLM has no words for version {number} of `{name}`"}
        ) from error


def _of_response(shown: PolicyDBResponse) -> Policy:
    return Policy.model_validate(
        {
            "inherit": shown.inherit,
            "guardrails": {"add": shown.guardrails_add, "remove": shown.guardrails_remove},
            "condition": shown.condition,
        }
    )


def _shown(
    name: str, policy: Policy, number: int | None, *, is_enforced: bool, written: Json | None = None
) -> PolicyDBResponse:
    """A version as a row of LiteLLM's database."""
    written = written or {}
    encoded = quote(name, safe="")
    condition = policy.condition.model_dump() if policy.condition is not None else None
    if condition is not None and isinstance(condition["model"], list) and len(condition["model"]) == 1:
        # The dashboard shows a text, and a list run together.
        condition["model"] = condition["model"][0]
    time, author = written.get("time"), written.get("author")
    return PolicyDBResponse(
        policy_id=encoded if number is None else f"{encoded}@{number}",
        policy_name=name,
        version_number=1 if number is None else number,
        version_status="production" if is_enforced else "published",
        parent_version_id=f"{encoded}@{number - 1}" if number is not None and number > 1 else None,
        is_latest=written.get("latest", True),
        published_at=time,
        inherit=policy.inherit,
        description=policy.description,
        guardrails_add=policy.guardrails.get_add(),
        guardrails_remove=policy.guardrails.get_remove(),
        condition=condition,
        pipeline=policy.pipeline.model_dump() if policy.pipeline is not None else None,
        created_at=time,
        updated_at=time,
        created_by=author,
        updated_by=author,
        # The dashboard shows the page and the versions of a policy only where it is "db".
        definition_location="db",
    )


def _listed_attachments(found: PolicySet) -> list[PolicyAttachmentDBResponse]:
    return [_shown_attachment(place, each) for place, each in enumerate(found.attachments.get_all_attachments())]


def _shown_attachment(place: int, attachment: PolicyAttachment) -> PolicyAttachmentDBResponse:
    return PolicyAttachmentDBResponse(
        attachment_id=f"config-{place}",
        policy_name=attachment.policy,
        scope=attachment.scope,
        teams=attachment.teams or [],
        keys=attachment.keys or [],
        models=attachment.models or [],
        tags=attachment.tags or [],
        priority=attachment.priority,
        default=attachment.default,
        # There is no page of an attachment: here its buttons are off.
        definition_location="config",
    )
