"""Packages of the ``evaluate`` extra, imported when a component that needs one is built."""

from __future__ import annotations

import importlib
from types import ModuleType

from v2skit.errors import UserError


def optional(package: str) -> ModuleType:
    """Import a package. Raises UserError, with what to install, where it is missing."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"{package} can't be imported ({error}); pip install 'v2skit[evaluate]' or drop it from scoring"
        ) from error
