"""Which models LiteLLM's proxy runs for a request: writes `requests.jsonl` from `requests.json`.

    python tests/data/models/generate.py        (a Python with litellm[proxy]==1.106.2)

Each request goes through the proxy's own application: its routes, its reading of path, query and body, its checks, up
to the function that hands the call to a model. That function is replaced by one that notes the models and ends the
request. `models` is null where the proxy runs none: no such route, a refusal, or an endpoint without a model.
"""

import json
import os
import pathlib

os.environ["LITELLM_LOG"] = "ERROR"

import litellm.proxy.common_request_processing as processing
import litellm.proxy.image_endpoints.endpoints as images
from fastapi import HTTPException
from fastapi.testclient import TestClient
from litellm import Router
from litellm.proxy import proxy_server
from litellm.proxy.auth.auth_utils import request_fallback_model_names

HERE = pathlib.Path(__file__).parent
noted = []


async def note(data, *args, **kwargs):
    """Notes every model that a call may run, and ends the request."""
    model = data.get("model")
    several = isinstance(model, str) and "," in model
    models = [name.strip() for name in model.split(",")] if several else [model]
    noted.append(sorted({str(name) for name in [*models, *request_fallback_model_names(data)]}))
    raise HTTPException(status_code=418, detail="noted")


def main():
    for module in (proxy_server, processing, images):
        if hasattr(module, "route_request"):
            module.route_request = note
    # Any model is known: which one is asked for must not decide whether the proxy goes on.
    proxy_server.llm_router = Router(model_list=[
        {"model_name": "*", "litellm_params": {"model": "openai/*", "api_key": "none"}},
    ])
    client = TestClient(proxy_server.app, raise_server_exceptions=False)
    lines = []
    for request in json.loads((HERE / "requests.json").read_text()):
        noted.clear()
        path = request["path"] + (f"?{request['query']}" if request.get("query") else "")
        headers = {"content-type": request.get("type", "application/json")}
        reply = client.post(path, content=request.get("body", "").encode(), headers=headers, follow_redirects=False)
        models = sorted({name for names in noted for name in names}) or None
        lines.append(json.dumps({**request, "status": reply.status_code, "models": models}, sort_keys=True))
    (HERE / "requests.jsonl").write_text("\n".join(lines) + "\n")


main()
