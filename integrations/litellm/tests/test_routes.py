"""Every path of this LiteLLM's proxy that takes calls is in README.md, in a row of what happens there or in the list of
those that are not tried."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from support import clean_environment
from test_readme import ENDPOINTS, README

# What the proxy has, in a process of its own: the routes that LiteLLM loads when they are asked for first stay loaded.
LIST = """
import json, re
from litellm.proxy import _lazy_features
from litellm.proxy.auth.route_checks import RouteChecks
from litellm.proxy.proxy_server import app

_lazy_features.register_all_features(app)


def walk(routes):
    for route in routes:
        if hasattr(route, "original_router"):
            yield from walk(route.original_router.routes)
        elif hasattr(route, "endpoint"):
            yield route


for route in walk(app.routes):
    methods = getattr(route, "methods", None)
    if methods is None or methods & {"POST", "PUT", "PATCH"}:
        is_call = RouteChecks.is_llm_api_route(re.sub(r"[{][^}]*[}]", "x", route.path))
        print("ROUTE", json.dumps([route.path, route.endpoint.__module__, methods is None, is_call]))
"""

# What LiteLLM does not count among calls of models, and is none: by the module, or in the proxy's own one by the path.
ADMINISTRATION = re.compile(
    r"litellm\.proxy\.(_lazy_features|a2a\.endpoints|agent_endpoints\.endpoints|anthropic_endpoints\.gateway_endpoints"
    r"|anthropic_endpoints\.claude_code_endpoints\.|anthropic_endpoints\.endpoints|caching_routes|common_utils\."
    r"|credential_endpoints\.|guardrails\.|health_endpoints\.|lens\.|logging_endpoints\.|management_endpoints\."
    r"|(_experimental\.)?mcp_server\.|memory\.|moyai_endpoints|pass_through_endpoints\.pass_through_endpoints|plugin_routes"
    r"|policy_engine\.|prompts\.|search_endpoints\.search_tool_management|spend_tracking\.|telemetry\.|tracing_endpoints"
    r"|ui_crud_endpoints\.|vector_store_endpoints\.)"
    r"|litellm_enterprise\."
    r"|litellm\.proxy\.proxy_server /(config|invitation|login|v[23]/login|onboarding|reload|schedule)\b"
)
# Calls that LiteLLM's own list does not have.
CALLS = re.compile(r"/queue/|/\{provider\}/|/v1/evals|/mcp$|^/mcp/")
# Paths that LiteLLM counts among the calls of models, and are about its own things.
NO_CALLS = re.compile(
    r"litellm\.proxy\.(anthropic_endpoints\.claude_code_endpoints|lens|tracing_endpoints|(_experimental\.)?mcp_server\.d)"
)
# The paths of other providers, which one row is about.
PASS_THROUGH = re.compile(r"litellm\.proxy\.(pass_through_endpoints\.\w+_passthrough_endpoints|vertex_ai_endpoints)")


@dataclass(frozen=True)
class Route:
    path: str
    module: str
    is_socket: bool
    is_listed: bool

    def takes_calls(self) -> bool:
        if NO_CALLS.match(self.module):
            return False
        return self.is_listed or self.is_socket or bool(CALLS.search(self.path))


def routes() -> Iterator[Route]:
    environment = {**clean_environment(), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_DOCS": "True"}
    environment["DISABLE_ADMIN_UI"] = "True"
    done = subprocess.run(
        [sys.executable, "-c", LIST], env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    for line in done.stdout.decode().splitlines():
        word, _, rest = line.partition(" ")
        if word == "ROUTE":
            yield Route(*json.loads(rest))


def plain(path: str) -> str:
    """A path without its version and without the other names that LiteLLM has for one and the same."""
    path = re.sub(r"\{[^}]*\}", "…", path)
    path = re.sub(r"^/(engines|openai/deployments|claude_code_gateway|a2a)/…(?=/)|^/claude_code_gateway", "", path)
    path = re.sub(r"^/openai(?=/v1/(responses|realtime|live))|^/…(?=/(v1/(files|batches)|mcp$))", "", path)
    path = re.sub(r"^/toolset/…(?=/mcp$)", "", path)
    return re.sub(r"^/v\d(beta)?(?=/)", "", path)


def untried() -> list[str]:
    """The paths that README.md says are not tried."""
    _, found, rest = README.partition("\nNot tried here, ")
    assert found
    return re.findall(r"`(/[^`]+)`", rest.partition("\n\n")[0])


def told(is_socket: bool) -> set[str]:
    rows = [row[0] for row in ENDPOINTS if not is_socket or "websocket" in row[0]]
    return {plain(path) for row in rows for path in re.findall(r"`(/[^`]+)`", row)} | {plain(p) for p in untried()}


def is_told(path: str, said: set[str]) -> bool:
    heads = [known.removesuffix("…") for known in said if known.endswith("/…")]
    return plain(path) in said or any(plain(path).startswith(head) for head in heads)


def test_every_path_that_takes_calls_is_in_the_readme() -> None:
    found = list(routes())
    assert len(found) > 250
    calls = [route for route in found if route.takes_calls() and not PASS_THROUGH.match(route.module)]
    assert len(calls) > 80
    missing = [route.path for route in calls if not is_told(route.path, told(route.is_socket))]
    assert not missing, f"README.md does not say what happens at {missing}"
    # What is not taken for a call is known not to be one.
    rest = [route for route in found if not route.takes_calls() and not PASS_THROUGH.match(route.module)]
    unknown = [
        r for r in rest if not ADMINISTRATION.match(r.module) and not ADMINISTRATION.match(f"{r.module} {r.path}")
    ]
    assert not unknown, f"{unknown} may take calls"


def test_a_path_that_is_in_no_row_would_be_seen() -> None:
    assert is_told("/v1/chat/completions", told(False))
    assert is_told("/engines/{model:path}/chat/completions", told(False))
    assert not is_told("/v1/new/completions", told(False))
    # A websocket is told of by a row about websockets only.
    assert is_told("/v1/responses", told(True)) and not is_told("/v1/chat/completions", told(True))
