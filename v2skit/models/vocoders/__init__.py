"""Vocoders: log mel (B,F,M) -> waveform (B, F * hop).

A vocoder with trained weights has the attribute ``digest``, a short text that changes with the weights and is recorded
with the synthesised speech. One with weights and without ``digest`` is to be trained first (``trains: vocoder``): the
toolkit does not synthesise speech with untrained weights.
"""
