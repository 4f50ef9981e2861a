"""What every test needs."""

from __future__ import annotations

import os
from collections.abc import Iterator

# Before LiteLLM is imported: it would fetch its prices.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import litellm
import pytest
from litellm.proxy.policy_engine import attachment_registry, policy_registry

from refguard_litellm import request_path
from refguard_litellm.engine import load_extension


def pytest_configure(config: pytest.Config) -> None:
    """`.ci/run` builds the extension, and would not like its tests to be skipped."""
    if os.environ.get("REFGUARD_TEST_EXTENSION") and load_extension() is None:
        raise pytest.UsageError("the extension is not built")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if load_extension() is None:
        for item in items:
            if item.get_closest_marker("extension") is not None:
                item.add_marker(pytest.mark.skip(reason="the extension is not built"))


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Registries and callbacks of a process that has just begun."""
    monkeypatch.setattr(policy_registry, "_policy_registry", None)
    monkeypatch.setattr(attachment_registry, "_attachment_registry", None)
    monkeypatch.setattr(litellm, "callbacks", [])
    yield
    request_path.install(request_path.original())
