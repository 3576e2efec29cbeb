"""Frozen feature extractors of the perceptual loss: waveform (B,N) at the clock's rate -> list of (B, L, D). Gradients
reach the waveform, never the extractor's weights, which are no part of any checkpoint. ``digest``, a short text that
changes with them, is noted with the run, so that it does not go on with others.
"""
