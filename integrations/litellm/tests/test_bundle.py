"""A set is read whole, as it is meant, or refused."""

from __future__ import annotations

import json

import pytest
from litellm.proxy.policy_engine.attachment_registry import get_attachment_registry
from litellm.proxy.policy_engine.policy_registry import get_policy_registry

from refguard_litellm.bundle import BundleRejected, build
from refguard_litellm.client import Bundle
from sets import bundle

WHOLE = """\
policies:
  base:
    description: "for all: of them"
    guardrails:
      add: [pii]
  child:
    inherit: base
    guardrails:
      add: [phi, audit]
      remove: [pii]
    condition:
      model: ["gpt-4.*"]
    pipeline:
      mode: pre_call
      steps:
        - guardrail: phi
          on_pass: next
          on_fail: block
        - guardrail: audit
          on_pass: allow
          on_fail: block
policy_attachments:
  - policy: base
    scope: "*"
  - policy: child
    teams: [health-*]
    tags: [phi]
    priority: 1
    default: true
"""


def test_a_set_is_read_whole_and_touches_nothing_that_lives() -> None:
    found = build(bundle("c1", body=WHOLE))
    assert (found.commit, found.policy_count, found.attachment_count) == ("c1", 2, 2)
    assert found.guardrails == {"pii", "phi", "audit"}
    child = found.policies.get_policy("child")
    assert child is not None and child.pipeline is not None
    assert [step.guardrail for step in child.pipeline.steps] == ["phi", "audit"]
    assert found.attachments.get_all_attachments()[1].tags == ["phi"]
    assert not get_policy_registry().is_initialized()
    assert not get_attachment_registry().is_initialized()


def test_json_is_read_too() -> None:
    body = json.dumps(
        {"policies": {"p": {"guardrails": {"add": ["g"]}}}, "policy_attachments": [{"policy": "p", "scope": "*"}]}
    )
    assert build(Bundle(body.encode(), '"c-litellm"', "c", is_json=True)).guardrails == {"g"}


POLICY = "policies:\n  p: {guardrails: {add: [g]}}\n"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "the keys"),
        ("[]", "the keys"),
        ("policies: {", "cannot be parsed"),
        ("policies: \x00", "cannot be parsed"),
        ("a: &a [*a]\n" + POLICY, "the keys"),
        ("policies: !!python/object/apply:os.getpid []\npolicy_attachments: []", "cannot be parsed"),
        (POLICY, "the keys"),
        (POLICY + "policy_attachments: []\nmore: 1\n", "the keys"),
        ("policies: {}\npolicy_attachments: []\n", "no policies"),
        ("policies: []\npolicy_attachments: []\n", "no policies"),
        (POLICY + "policy_attachments: {}\n", "no list"),
        (POLICY + "policy_attachments: [{policy: q}]\n", "the policy `q`"),
        (POLICY + "policy_attachments: [{scope: '*'}]\n", "attachment 1: `policy`"),
        (POLICY + "policy_attachments: [{policy: p, team: [a]}]\n", "attachment 1: `team`"),
        (POLICY + "policy_attachments: [{policy: p, teams: a}]\n", "attachment 1: `teams`"),
        (POLICY + "policy_attachments: [p]\n", "attachment 1"),
        ("policies: {1: {}}\npolicy_attachments: []\n", "`1` is no name"),
        ("policies: {p: null}\npolicy_attachments: []\n", "policy `p`"),
        ("policies: {p: {guardrail: {add: [g]}}}\npolicy_attachments: []\n", "policy `p`: `guardrail`"),
        ("policies: {p: {guardrails: {added: [g]}}}\npolicy_attachments: []\n", "policy `p`: `guardrails.added`"),
        ("policies: {p: {guardrails: {add: g}}}\npolicy_attachments: []\n", "policy `p`: `guardrails.add`"),
        ("policies: {p: {inherit: q}}\npolicy_attachments: []\n", "inherits from `q`"),
        ("policies: {p: {inherit: q}, q: {inherit: p}}\npolicy_attachments: []\n", "inherits from itself"),
        ("policies: {p: {pipeline: {mode: now, steps: []}}}\npolicy_attachments: []\n", "policy `p`: `pipeline"),
        ("policies: {p: {condition: {}}}\npolicy_attachments: []\n", "otherwise than it is written"),
    ],
)
def test_what_litellm_would_take_otherwise_is_refused(body: str, says: str) -> None:
    with pytest.raises(BundleRejected) as raised:
        build(bundle("c", body=body))
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_long_chain_is_no_loop() -> None:
    policies = "".join(f"  p{n}: {{inherit: p{n + 1}}}\n" for n in range(3000))
    body = f"policies:\n{policies}  p3000: {{guardrails: {{add: [g]}}}}\npolicy_attachments: []\n"
    assert build(bundle("c", body=body)).policy_count == 3001
