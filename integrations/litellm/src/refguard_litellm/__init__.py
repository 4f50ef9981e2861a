"""A LiteLLM proxy enforces the policy set that a refguard daemon serves.

Name it in the proxy's config, and it follows the daemon from the start of the proxy to its end:

    litellm_settings:
      callbacks: ["refguard_litellm.proxy.callback"]
"""

__version__ = "0.1.0"
