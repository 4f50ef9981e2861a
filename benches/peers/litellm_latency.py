"""How long LiteLLM takes to tell what a request gets: python litellm_latency.py CONFIG CONTEXTS

Only what its proxy does for a request (`litellm_pre_call_utils._match_and_track_policies`): match, check the
conditions, resolve guardrails and pipelines. Prints the median in microseconds.
"""
import json
import os
import statistics
import sys
import time

# No look at the network for model prices.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

from litellm.proxy.policy_engine.attachment_registry import AttachmentRegistry
from litellm.proxy.policy_engine.policy_matcher import PolicyMatcher
from litellm.proxy.policy_engine.policy_registry import PolicyRegistry
from litellm.proxy.policy_engine.policy_resolver import PolicyResolver
from litellm.types.proxy.policy_engine import PolicyMatchContext

SECONDS = 5


def main(config, contexts):
    with open(config) as file:
        config = json.load(file)
    registry, attachments = PolicyRegistry(), AttachmentRegistry()
    registry.load_policies(config["policies"])
    attachments.load_attachments(config["policy_attachments"])
    policies = registry.get_all_policies()
    with open(contexts) as file:
        contexts = [PolicyMatchContext(**json.loads(line)) for line in file]
    took = []
    end = time.perf_counter() + SECONDS
    for context in contexts:
        start = time.perf_counter()
        matches = attachments.get_attached_policies_with_reasons(context, PolicyMatcher.policy_applies(context, policies))
        names = [match["policy_name"] for match in matches]
        names = PolicyMatcher.get_policies_with_matching_conditions(names, context, policies)
        PolicyResolver.resolve_guardrails_for_context(context, policies, names)
        PolicyResolver.resolve_pipelines_for_context(context, policies, names)
        took.append(time.perf_counter() - start)
        if time.perf_counter() > end:
            break
    print(statistics.median(took) * 1e6)


main(*sys.argv[1:])
