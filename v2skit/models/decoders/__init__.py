"""Waveform generators. Each is one class that serves as a ``decoder`` (features at the video frame rate -> waveform)
and as a ``vocoder`` (mel -> waveform): it is built with ``in_dim`` and ``step``, the samples of an input step (those
of a video frame for a decoder, the mel's hop for a vocoder), and maps (B, L, in_dim), mask (B, L) to (B, L * step).
"""
