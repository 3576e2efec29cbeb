"""Video-to-speech synthesis toolkit: silent video of a talking face in, speech out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from v2skit.api import VideoToSpeech
    from v2skit.settings import Component

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("v2skit")
"""Marks a plug-in's implementation of a hook of :mod:`v2skit.hookspecs`."""


def load(model: str | Path, device: str = "auto", vocoder: str | Path | None = None) -> VideoToSpeech:
    """A model to speak videos with; see :func:`v2skit.api.load`."""
    from v2skit import api  # a plug-in that imports this package need not wait for all of torch

    return api.load(model, device, vocoder)


def tracker(name: str, **arguments: object) -> Component:
    """A tracker, e.g. ``tracker("landmarks", folder=DIR)``, or as in a config.

    ``tracker("{type: landmarks, folder: DIR}")`` is the same.

    Raises:
        UserError: there is none of that name, or its arguments are others.
    """
    from v2skit.config import check_component, parse_component

    if arguments:
        return check_component("tracker", {"type": name, **arguments}, "tracker")
    return parse_component("tracker", name, "tracker")
