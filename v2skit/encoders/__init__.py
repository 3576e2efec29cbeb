"""Encoders: features at the video frame rate (B,T,D) -> the same with temporal context (B,T,E)."""
