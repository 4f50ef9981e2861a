"""Which engine matches policies in this process: refguard's own, or LiteLLM's with registries that are filled for it.

refguard's is used where the extension is built and this LiteLLM's request path is known. Knows nothing of sets.
"""

from __future__ import annotations

import importlib
import importlib.machinery
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from .settings import Settings

# What the extension must offer: `INTERFACE` in core/src/lib.rs.
INTERFACE = 1

EXTENSION = "refguard_litellm._core"


class BrokenExtension(Exception):
    """There is an extension, and it cannot be used; the text says why."""


@dataclass(frozen=True)
class Engine:
    """The engine of this process."""

    name: str
    """`refguard` or `litellm`."""
    reason: str | None = None
    """Why it is LiteLLM's."""
    refusal: str | None = None
    """Why no call passes: the engine that was asked for cannot be used."""

    @property
    def bundle_format(self) -> str:
        """In which form the daemon is asked for sets."""
        return self.name


LITELLM = Engine("litellm")


def choose(settings: Settings, path_fault: str | None) -> Engine:
    """The engine to use. `path_fault` says why LiteLLM's request path cannot be replaced."""
    if settings.engine == "litellm":
        return Engine("litellm", "`REFGUARD_ENGINE` is `litellm`")
    if settings.allow_database:
        # What LiteLLM reads from its database later must be matched together with what is in git.
        return _instead(settings, "policies of the proxy's database are in force too")
    try:
        if load_extension() is None:
            return _instead(settings, f"the extension `{EXTENSION}` is not built")
    except BrokenExtension as error:
        return Engine("refguard", refusal=f"the extension `{EXTENSION}` cannot be used: {error}")
    if path_fault is not None:
        return _instead(settings, path_fault)
    return Engine("refguard")


def _instead(settings: Settings, reason: str) -> Engine:
    if settings.engine == "refguard":
        return Engine("refguard", refusal=f"`REFGUARD_ENGINE` is `refguard`, and {reason}")
    return Engine("litellm", reason)


def load_extension() -> ModuleType | None:
    """The extension; `None` where it is not built. Raises [`BrokenExtension`] where it is, and does not fit."""
    try:
        module = importlib.import_module(EXTENSION)
    except ModuleNotFoundError as error:
        if error.name != EXTENSION:
            raise BrokenExtension(str(error)) from error
        foreign = _foreign_extension()
        if foreign is not None:
            raise BrokenExtension(f"`{foreign}` is not for this interpreter") from None
        return None
    except Exception as error:
        raise BrokenExtension(" ".join(str(error).split()) or type(error).__name__) from error
    found = getattr(module, "INTERFACE", None)
    if found != INTERFACE:
        raise BrokenExtension(f"its interface is {found}, and this package needs {INTERFACE}: install both together")
    return module


def _foreign_extension() -> str | None:
    """A file that is an extension of this name, but for another interpreter or system."""
    folder = Path(__file__).parent
    return next((file.name for file in sorted(folder.glob("_core*")) if file.suffix in {".so", ".pyd"}), None)
