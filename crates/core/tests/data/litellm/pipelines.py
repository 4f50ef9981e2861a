"""What LiteLLM does with a call, by its own code.

Reads JSON Lines from standard input, each a case:

    {"guardrails": [{"name": "g0", "modes": ["pre_call"], "default_on": false, "stream_scope": "both"}],
     "given": ["g0", "g1"],                     what the policies give to the call
     "pipelines": [{"policy": "p0", "mode": "pre_call", "steps": [{"guardrail": "g0", "on_fail": "next"}]}],
     "outcomes": {"g0": ["fail", "pass"]}}      each time that it runs, the last one from then on

and writes for each a line {"action": "allow|block|modify_response", "stage": null|"before"|"during"|"after"}.

The call goes the way of a proxy's: `ProxyLogging.pre_call_hook`, `during_call_hook`, `post_call_success_hook`, with
LiteLLM's `PipelineExecutor` inside. The guardrails are fakes with the interface `apply_guardrail`; one whose outcome is
`skip` looks at streams only, and the call is none.
"""

import asyncio
import json
import os
import sys

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("LITELLM_LOG", "CRITICAL")

import litellm
from fastapi.exceptions import HTTPException
from litellm.caching.caching import DualCache
from litellm.integrations.custom_guardrail import CustomGuardrail, ModifyResponseException
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.utils import ProxyLogging
from litellm.types.proxy.policy_engine.pipeline_types import GuardrailPipeline

try:
    from litellm.llms.base_llm.guardrail_translation.utils import UnappliableRequestRewrite
except ImportError:
    UnappliableRequestRewrite = None


class Fake(CustomGuardrail):
    """Returns what it is told to, one outcome a run."""

    def __init__(self, entry, outcomes):
        scope = "streaming" if outcomes[:1] == ["skip"] else entry.get("stream_scope")
        super().__init__(
            guardrail_name=entry["name"],
            event_hook=list(entry["modes"]),
            default_on=entry.get("default_on", False),
            stream_scope=scope,
        )
        self.outcomes = outcomes
        self.runs = 0

    async def apply_guardrail(self, inputs, request_data, input_type, logging_obj=None):
        outcome = self.outcomes[min(self.runs, len(self.outcomes) - 1)] if self.outcomes else "pass"
        self.runs += 1
        if outcome == "fail":
            raise HTTPException(status_code=400, detail="failed")
        if outcome == "error":
            raise RuntimeError("no answer")
        if outcome == "unappliable":
            raise UnappliableRequestRewrite(self.guardrail_name)
        return inputs


def response():
    message = litellm.Message(role="assistant", content="an answer")
    return litellm.ModelResponse(choices=[litellm.Choices(index=0, message=message)], model="m")


async def play(case):
    """Sends one call through the hooks."""
    outcomes = case["outcomes"]
    litellm.callbacks = [Fake(entry, outcomes.get(entry["name"], [])) for entry in case["guardrails"]]
    logging = ProxyLogging(user_api_key_cache=DualCache())
    user = UserAPIKeyAuth(api_key="key", request_route="/chat/completions")
    pipelines = [
        (pipeline["policy"], GuardrailPipeline(mode=pipeline["mode"], steps=pipeline["steps"]))
        for pipeline in case["pipelines"]
    ]
    metadata = {"guardrails": list(case["given"])}
    if pipelines:
        metadata["_guardrail_pipelines"] = pipelines
    data = {
        "model": "m",
        "messages": [{"role": "user", "content": "a question"}],
        "metadata": metadata,
        "litellm_call_id": "id",
    }
    stage = "before"
    try:
        data = await logging.pre_call_hook(user_api_key_dict=user, data=data, call_type="acompletion")
        stage = "during"
        await logging.during_call_hook(data=data, user_api_key_dict=user, call_type="acompletion")
        stage = "after"
        await logging.post_call_success_hook(data=data, response=response(), user_api_key_dict=user)
    except ModifyResponseException:
        return {"action": "modify_response", "stage": stage}
    except (HTTPException, RuntimeError):
        return {"action": "block", "stage": stage}
    except Exception as error:
        if UnappliableRequestRewrite is not None and isinstance(error, UnappliableRequestRewrite):
            return {"action": "block", "stage": stage}
        raise
    return {"action": "allow", "stage": None}


async def main():
    for line in sys.stdin:
        print(json.dumps(await play(json.loads(line))))


asyncio.run(main())
