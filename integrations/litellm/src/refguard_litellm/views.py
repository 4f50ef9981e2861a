"""A set of the extension as LiteLLM's registries hold one: objects of LiteLLM's are made when somebody looks at them.

A request looks at a few policies of ten thousand; the proxy's pages look at all of them, once in a while.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence
from typing import TYPE_CHECKING, Any, overload

from litellm.proxy.policy_engine.attachment_registry import AttachmentRegistry
from litellm.proxy.policy_engine.policy_registry import PolicyRegistry
from litellm.types.proxy.policy_engine import Policy, PolicyAttachment

if TYPE_CHECKING:
    from ._core import PolicySet as CoreSet

# Policies that are kept once they were made.
_KEPT = 4096


def registries(core: CoreSet) -> tuple[PolicyRegistry, AttachmentRegistry]:
    """Registries that show a set. Nothing of it is copied."""
    policies, attachments = PolicyRegistry(), AttachmentRegistry()
    shown, listed = Policies(core), Attachments(core)
    vars(policies).update(
        _policies=shown, _config_policies=shown, _sources=Sources(shown), _policies_by_id={}, _initialized=True
    )
    vars(attachments).update(_attachments=listed, _config_attachments=listed, _initialized=True)
    return policies, attachments


class Policies(MutableMapping[str, Policy]):
    """The policies of a set by name. What is changed here is changed in this view only."""

    def __init__(self, core: CoreSet) -> None:
        self._core = core
        self._made: dict[str, Policy] = {}
        # What was changed from elsewhere; `None`: removed.
        self._changed: dict[str, Policy | None] = {}

    def copy(self) -> Policies:
        """Another view, as cheap as this one."""
        twin = Policies(self._core)
        twin._made = self._made
        twin._changed = dict(self._changed)
        return twin

    __copy__ = copy

    def __getitem__(self, name: str) -> Policy:
        if name in self._changed:
            changed = self._changed[name]
            if changed is None:
                raise KeyError(name)
            return changed
        made = self._made.get(name)
        if made is None:
            made = self._make(name)
        return made

    def _make(self, name: str) -> Policy:
        text = self._core.policy_json(name) if isinstance(name, str) else None
        if text is None:
            raise KeyError(name)
        if len(self._made) >= _KEPT:
            self._made.clear()
        self._made[name] = made = Policy.model_validate(json.loads(text))
        return made

    def __contains__(self, name: object) -> bool:
        if name in self._changed:
            return self._changed[name] is not None
        return isinstance(name, str) and self._core.has_policy(name)

    def __iter__(self) -> Iterator[str]:
        names = self._core.policy_names()
        if not self._changed:
            return iter(names)
        own = [name for name in names if self._changed.get(name, name) is not None]
        return iter([*own, *(n for n, p in self._changed.items() if p is not None and not self._core.has_policy(n))])

    def __len__(self) -> int:
        return self._core.policy_count if not self._changed else sum(1 for _ in self)

    def __setitem__(self, name: str, policy: Policy) -> None:
        self._changed[name] = policy

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._changed[name] = None


class Sources(Mapping[str, str]):
    """Where the policies come from: LiteLLM knows its config and its database, and leaves those of its config alone."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    def __copy__(self) -> Sources:
        return Sources(self._policies)

    def __getitem__(self, name: str) -> str:
        if name not in self._policies:
            raise KeyError(name)
        return "config"

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def __len__(self) -> int:
        return len(self._policies)


class Attachments(MutableSequence[PolicyAttachment]):
    """The attachments of a set that LiteLLM has words for, in the order of evaluation.

    One that names `users` is matched, and not shown: without its users it would seem to be for everybody.
    """

    def __init__(self, core: CoreSet) -> None:
        self._core = core
        self._changed: list[PolicyAttachment] | None = None

    def copy(self) -> list[PolicyAttachment]:
        """All of them, as LiteLLM has them."""
        return list(self)

    def __copy__(self) -> Attachments:
        twin = Attachments(self._core)
        twin._changed = None if self._changed is None else list(self._changed)
        return twin

    def __iter__(self) -> Iterator[PolicyAttachment]:
        if self._changed is not None:
            yield from self._changed
            return
        for number in range(self._core.attachment_count):
            text = self._core.attachment_json(number)
            if text is not None:
                yield PolicyAttachment.model_validate(json.loads(text))

    def __len__(self) -> int:
        """How many the set has, also those that LiteLLM has no words for."""
        return self._core.attachment_count if self._changed is None else len(self._changed)

    @overload
    def __getitem__(self, place: int) -> PolicyAttachment: ...
    @overload
    def __getitem__(self, place: slice) -> MutableSequence[PolicyAttachment]: ...
    def __getitem__(self, place: int | slice) -> PolicyAttachment | MutableSequence[PolicyAttachment]:
        return list(self)[place]

    def insert(self, place: int, attachment: PolicyAttachment) -> None:
        self._own().insert(place, attachment)

    def __setitem__(self, place: Any, attachment: Any) -> None:
        self._own()[place] = attachment

    def __delitem__(self, place: int | slice) -> None:
        del self._own()[place]

    def _own(self) -> list[PolicyAttachment]:
        if self._changed is None:
            self._changed = list(self)
        return self._changed
