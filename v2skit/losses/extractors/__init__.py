"""Frozen feature extractors of the perceptual loss: waveform (B,N) at the clock's rate -> list of (B, L, D). Only the
waveform has gradients, the weights are in no checkpoint. ``digest``, a short text that identifies the weights, is
recorded with the run, which can't be resumed with others.
"""
