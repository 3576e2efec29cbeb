"""Video-to-speech synthesis toolkit: silent video of a talking face in, speech out."""

import pluggy

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("v2skit")
"""Marks a plug-in's implementation of a hook of :mod:`v2skit.hookspecs`."""
