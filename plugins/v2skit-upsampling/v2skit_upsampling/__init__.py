"""Registers the components of this plug-in; their classes are imported when a config uses them."""

import v2skit


@v2skit.hookimpl
def register_components(register):
    register("decoder", "mel_upsampling", "v2skit_upsampling.decoder:MelUpsampling")
    register("loss", "delta", "v2skit_upsampling.loss:Delta")
