"""The live registries change in one step, and only through the package."""

from __future__ import annotations

from typing import Any

import pytest
from litellm.proxy.policy_engine.attachment_registry import AttachmentRegistry, get_attachment_registry
from litellm.proxy.policy_engine.policy_registry import PolicyRegistry, get_policy_registry
from litellm.types.proxy.policy_engine import Policy, PolicyAttachment, PolicyMatchContext

from refguard_litellm.bundle import PolicySet, build
from refguard_litellm.registries import Registries, UnsupportedLiteLLM
from sets import bundle


def matched() -> list[str]:
    return get_attachment_registry().get_attached_policies(PolicyMatchContext(model="m"))


def assign(registries: Registries, found: PolicySet) -> None:
    registries.assign(found.policies, found.attachments)


def guarded(beside_database: bool = False) -> Registries:
    registries = Registries(beside_database)
    registries.guard(lambda context: None)
    return registries


def test_a_set_replaces_the_one_before_it() -> None:
    registries = guarded()
    assert (get_policy_registry().is_initialized(), matched()) == (True, [])
    assign(registries, build(bundle("c1", "a")))
    assert (matched(), get_policy_registry().get_policy_names()) == (["a-policy"], ["a-policy"])
    assign(registries, build(bundle("c2", "b", "c")))
    assert (matched(), get_policy_registry().get_policy_names()) == (["b-policy", "c-policy"],) * 2
    assert registries.is_intact()


def test_the_gate_stands_before_every_way_to_a_policy() -> None:
    class Shut(Exception):
        pass

    def shut(context: object) -> None:
        raise Shut

    Registries(False).guard(shut)
    with pytest.raises(Shut):
        matched()
    with pytest.raises(Shut):
        get_policy_registry().is_initialized()
    # Registries that do not live are free.
    assert AttachmentRegistry().get_attached_policies(PolicyMatchContext()) == []
    assert not PolicyRegistry().is_initialized()


@pytest.mark.parametrize("change", ["add_policy", "remove_policy", "add_attachment", "remove", "clear", "load"])
def test_a_change_from_elsewhere_is_seen_and_undone(change: str) -> None:
    registries = guarded()
    found = build(bundle("c1", "a", "b"))
    assign(registries, found)
    policies, attachments = get_policy_registry(), get_attachment_registry()
    match change:
        case "add_policy":
            policies.add_policy("more", Policy())
        case "remove_policy":
            policies.remove_policy("a-policy")
        case "add_attachment":
            attachments.add_attachment(PolicyAttachment(policy="a-policy", default=True))
        case "remove":
            attachments.remove_attachments_for_policy("a-policy")
        case "clear":
            policies.clear()
        case _:
            attachments.load_attachments([])
    assert not registries.is_intact()
    assign(registries, found)
    assert registries.is_intact()
    assert (matched(), policies.get_policy_names()) == (["a-policy", "b-policy"],) * 2


def test_beside_a_database_its_policies_stay() -> None:
    registries = guarded(beside_database=True)
    assign(registries, build(bundle("c1", "a")))
    # As LiteLLM does when it has read its database.
    live: Any = get_policy_registry()
    live._policies = {**live._config_policies, "stored": Policy()}
    live._sources = {**live._sources, "stored": "db"}
    live._policies_by_id = {"id": ("stored", Policy())}
    places: Any = get_attachment_registry()
    places._attachments = [*places._config_attachments, PolicyAttachment(policy="stored", scope="*")]
    assert registries.is_intact()
    assign(registries, build(bundle("c2", "b")))
    assert matched() == ["b-policy", "stored"]
    assert live.get_policy_names() == ["b-policy", "stored"]
    assert live.get_source("stored") == "db"
    assert live.get_policy_by_id_for_request(policy_id="id") is not None
    live.load_policies({})
    assert not registries.is_intact()


def test_another_litellm_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(self: Any) -> None:
        self._policies_by_name = {}

    monkeypatch.setattr(PolicyRegistry, "__init__", init)
    with pytest.raises(UnsupportedLiteLLM, match="_policies_by_name"):
        Registries(False)
