"""Decoders: features at the video frame rate -> mel or waveform.

A waveform generator is one class that serves as a ``decoder`` (features -> waveform) and as a ``vocoder`` (mel ->
waveform). Its argument ``step`` is the number of samples of an input step, those of a video frame for a decoder and the
mel's hop for a vocoder; it maps (B, L, in_dim), mask (B, L) to (B, L * step).
"""
