"""A LiteLLM proxy enforces the policy set that a refguard daemon serves.

Name it in the proxy's config, and it follows the daemon from the start of the proxy to its end:

    litellm_settings:
      callbacks: ["refguard_litellm.proxy.callback"]
"""

from importlib import metadata

try:
    __version__ = metadata.version("refguard-litellm")
except metadata.PackageNotFoundError:
    # The sources alone, on `PYTHONPATH`.
    __version__ = "unknown"
