"""Video-to-speech synthesis toolkit: silent video of a talking face in, speech out.

``load``, ``tracker``, ``hookimpl`` and ``__version__`` are what other packages use of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from v2skit.config.load import tracker
    from v2skit.registry.hooks import hookimpl
    from v2skit.synthesis.synthesiser import load
    from v2skit.version import __version__

__all__ = ["__version__", "hookimpl", "load", "tracker"]

_PLACES = {
    "__version__": "v2skit.version",
    "hookimpl": "v2skit.registry.hooks",
    "load": "v2skit.synthesis.synthesiser",
    "tracker": "v2skit.config.load",
}


def __getattr__(name: str) -> Any:
    """Imported on first use: a plug-in or a command that needs no network does not wait for torch."""
    if name not in _PLACES:
        raise AttributeError(f"module 'v2skit' has no attribute '{name}'")
    return getattr(import_module(_PLACES[name]), name)
