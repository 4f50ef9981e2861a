"""LiteLLM's answers, by its own code.

Reads JSON Lines from standard input, each {"config": "<YAML of a LiteLLM config>", "queries": [{"context": {...},
"requested": [...]}]}, and writes for each a line {"answers": [...]} in the words of tests/data/conformance, or
{"error": "..."} where LiteLLM refuses the config.

The config goes the way of a proxy's: PyYAML, PolicyValidator, PolicyRegistry, AttachmentRegistry. The answer is put
together as `litellm_pre_call_utils._match_and_track_policies` does it for a request.
"""

import asyncio
import json
import os
import sys

# No look at the network for model prices.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import yaml
from litellm.proxy.policy_engine.attachment_registry import AttachmentRegistry
from litellm.proxy.policy_engine.policy_matcher import PolicyMatcher
from litellm.proxy.policy_engine.policy_registry import PolicyRegistry
from litellm.proxy.policy_engine.policy_resolver import PolicyResolver
from litellm.proxy.policy_engine.policy_validator import PolicyValidator
from litellm.types.proxy.policy_engine import PolicyMatchContext


def load(text):
    """The registries of a config, or ValueError."""
    config = yaml.safe_load(text) or {}
    policies = config.get("policies") or {}
    validation = asyncio.run(PolicyValidator().validate_policy_config(policies, validate_db=False))
    if not validation.valid:
        raise ValueError("; ".join(error.message for error in validation.errors))
    registry, attachments = PolicyRegistry(), AttachmentRegistry()
    registry.load_policies(policies)
    attachments.load_attachments(config.get("policy_attachments") or [])
    return registry.get_all_policies(), attachments


def answer(policies, attachments, query):
    """What one request gets."""
    context = PolicyMatchContext(**query["context"])
    matches = attachments.get_attached_policies_with_reasons(
        context, PolicyMatcher.policy_applies(context, policies)
    )
    reasons = {match["policy_name"]: match["matched_via"] for match in matches}
    names = list(dict.fromkeys([*reasons, *query["requested"]]))
    names = PolicyMatcher.get_policies_with_matching_conditions(names, context, policies)
    resolved = [PolicyResolver.resolve_policy_guardrails(name, policies, context) for name in names]
    guardrails = PolicyResolver.resolve_guardrails_for_context(context, policies, names)
    pipelines = PolicyResolver.resolve_pipelines_for_context(context, policies, names)
    return {
        "policies": [
            {
                "policy": policy.policy_name,
                "matched_via": reasons.get(policy.policy_name),
                "guardrails": sorted(policy.guardrails),
                "inheritance_chain": policy.inheritance_chain,
            }
            for policy in resolved
        ],
        "guardrails": sorted(guardrails),
        "pipelines": [
            {"policy": name, "mode": pipeline.mode, "steps": [step.model_dump() for step in pipeline.steps]}
            for name, pipeline in pipelines
        ],
        "pipeline_guardrails": sorted(PolicyResolver.get_pipeline_managed_guardrails(pipelines)),
    }


def main():
    for line in sys.stdin:
        case = json.loads(line)
        try:
            policies, attachments = load(case["config"])
        except Exception as error:  # whatever LiteLLM raises at start
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
            continue
        answers = [answer(policies, attachments, query) for query in case["queries"]]
        print(json.dumps({"answers": answers}))


main()
