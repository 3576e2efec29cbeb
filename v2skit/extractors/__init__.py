"""Frozen feature extractors of the perceptual loss: waveform (B,N) at the clock's rate -> list of (B, L, D). Gradients
reach the waveform, never the extractor's weights, which are no part of any checkpoint.
"""
