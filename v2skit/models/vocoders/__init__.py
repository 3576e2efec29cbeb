"""Vocoders: log mel (B,F,M) -> waveform (B, F * hop). One that brings trained weights says so with ``digest``, a short
text that changes with them: the toolkit refuses to speak with weights that nobody trained, and notes the digest with
the speech. Without it, a vocoder with weights is one to be trained (``trains: vocoder``).
"""
