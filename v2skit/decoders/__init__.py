"""Decoders: features at the video frame rate (B,T,E) -> log mel (B,F,M) or waveform (B,N)."""
