"""What every test needs."""

from __future__ import annotations

import os
from collections.abc import Iterator

# Before LiteLLM is imported: it would fetch its prices.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import litellm
import pytest
from litellm.proxy.policy_engine import attachment_registry, policy_registry


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Registries and callbacks of a process that has just begun."""
    monkeypatch.setattr(policy_registry, "_policy_registry", None)
    monkeypatch.setattr(attachment_registry, "_attachment_registry", None)
    monkeypatch.setattr(litellm, "callbacks", [])
    yield
