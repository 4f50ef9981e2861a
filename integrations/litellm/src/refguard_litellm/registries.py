"""LiteLLM's live registries: a set is assigned to them in one step, and every look at them passes a gate.

`load_policies` and `load_attachments` are not for live registries: they clear first, and an exception leaves the
registry empty, which LiteLLM takes for «no policy matches». So whole registries are built elsewhere, and their fields
are assigned here, between two requests, because nothing here waits.

The fields have no public name. What they are is checked at the start, so that another LiteLLM is refused rather than
misled.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from litellm.proxy.policy_engine.attachment_registry import (
    AttachmentRegistry,
    PolicyAttachmentMatch,
    get_attachment_registry,
)
from litellm.proxy.policy_engine.policy_registry import PolicyRegistry, get_policy_registry
from litellm.types.proxy.policy_engine import PolicyMatchContext

from .bundle import PolicySet
from .readings import asked_by

if TYPE_CHECKING:
    from ._core import PolicySet as CoreSet

_POLICY_FIELDS = {"_policies", "_config_policies", "_sources", "_policies_by_id", "_initialized"}
_ATTACHMENT_FIELDS = {"_attachments", "_config_attachments", "_initialized"}
# What LiteLLM leaves alone when it reads its database.
_CONFIG_FIELDS = {"_config_policies", "_config_attachments"}

Fields = dict[str, Any]


class UnsupportedLiteLLM(RuntimeError):
    """This LiteLLM keeps its policies otherwise than the tested one."""


class Registries:
    """The two live registries of the process."""

    def __init__(self, beside_database: bool) -> None:
        for kind, known in ((PolicyRegistry, _POLICY_FIELDS), (AttachmentRegistry, _ATTACHMENT_FIELDS)):
            found = set(vars(kind()))
            if found != known:
                raise UnsupportedLiteLLM(f"{kind.__name__} has the fields {sorted(found)}, not {sorted(known)}")
        self._policies = get_policy_registry()
        self._attachments = get_attachment_registry()
        self._beside_database = beside_database
        self._assigned: tuple[Fields, Fields] = ({}, {})
        self._attachment_count = 0

    def is_occupied(self) -> bool:
        """Whether there are policies already, from the proxy's own config."""
        return bool(self._policies.get_all_policies() or self._attachments.get_all_attachments())

    def guard(self, gate: Callable[[PolicyMatchContext | None], PolicySet | None]) -> None:
        """Makes every use of the policies by a call pass a gate, which raises to refuse it.

        The gate is given what the policies are matched for, or nothing where they are only looked for. It gives the set
        to match by.

        A request that finds no initialised registry runs without guardrails; from here on it finds an empty one, and
        the gate before it.
        """
        matching = AttachmentRegistry.get_attached_policies_with_reasons
        attachments = self._attachments

        def gated(
            context: PolicyMatchContext, policy_applies: Callable[[str], bool] | None = None
        ) -> list[PolicyAttachmentMatch]:
            found = gate(context)
            if found is not None and found.core is not None:
                return _attached(found.core, context, policy_applies)
            return matching(attachments, context, policy_applies)

        def is_initialized() -> bool:
            gate(None)
            return True

        # On the instances: the classes also make registries that are not live.
        vars(attachments)["get_attached_policies_with_reasons"] = gated
        # What LiteLLM asks first on every way to a policy; a key's own policies are not matched at all.
        vars(self._policies)["is_initialized"] = is_initialized
        self.empty()

    def empty(self) -> None:
        """Enforces nothing; the gate refuses calls meanwhile."""
        empty = (PolicyRegistry(), AttachmentRegistry())
        empty[0].load_policies({})
        empty[1].load_attachments([])
        self.assign(*empty)

    def assign(self, policies: PolicyRegistry, attachments: AttachmentRegistry) -> None:
        """Enforces another set from the next request on. The registries given stay as they are.

        Waits for nothing: on the event loop no request comes in between.
        """
        # Copies, since the proxy's own endpoints change these in place.
        ours = {name: copy.copy(value) for name, value in vars(policies).items() if name in _POLICY_FIELDS}
        places = {name: copy.copy(value) for name, value in vars(attachments).items() if name in _ATTACHMENT_FIELDS}
        if self._beside_database:
            self._keep_database(ours, places)
        vars(self._policies).update(ours)
        vars(self._attachments).update(places)
        self._assigned = (ours, places)
        self._attachment_count = len(places["_attachments"])

    def is_intact(self) -> bool:
        """Whether the registries hold what was assigned, and nobody else's."""
        live = (vars(self._policies), vars(self._attachments))
        # Every change makes a new object of some field, but an attachment more, which is put into the list.
        if not self._beside_database and len(live[1]["_attachments"]) != self._attachment_count:
            return False
        return all(
            fields.get(name) is value
            for fields, assigned in zip(live, self._assigned, strict=True)
            for name, value in assigned.items()
            if not self._beside_database or name in _CONFIG_FIELDS
        )

    def _keep_database(self, ours: Fields, places: Fields) -> None:
        """Carries over what LiteLLM read from its database; it would be back only after its next look there."""
        stored = {n: p for n, p in self._policies.get_all_policies().items() if self._policies.get_source(n) == "db"}
        ours["_policies"] |= stored
        ours["_sources"] = {**ours["_sources"], **dict.fromkeys(stored, "db")}
        ours["_policies_by_id"] = vars(self._policies)["_policies_by_id"]
        known = {id(attachment) for attachment in self._attachments.get_config_attachments()}
        places["_attachments"] += [a for a in self._attachments.get_all_attachments() if id(a) not in known]


class UntouchedRegistries(Registries):
    """In the shadow: what is live stays LiteLLM's."""

    def is_occupied(self) -> bool:
        return False

    def guard(self, gate: Callable[[PolicyMatchContext | None], PolicySet | None]) -> None:
        """No gate."""

    def empty(self) -> None:
        """Nothing."""

    def assign(self, policies: PolicyRegistry, attachments: AttachmentRegistry) -> None:
        """Nothing."""

    def is_intact(self) -> bool:
        return True


def _attached(
    core: CoreSet, context: PolicyMatchContext, applies: Callable[[str], bool] | None
) -> list[PolicyAttachmentMatch]:
    """What LiteLLM's registry says: the attachments whose policies apply, default ones only where there are no others,
    each policy once."""
    matching = [found for found in core.matching(asked_by(context)) if applies is None or applies(found[0])]
    counting = [found for found in matching if not found[2]] or matching
    reasons: dict[str, str] = {}
    for policy, reason, _ in counting:
        reasons.setdefault(policy, reason)
    return [{"policy_name": policy, "matched_via": reason} for policy, reason in reasons.items()]
