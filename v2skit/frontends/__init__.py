"""Frontends: mouth crops (B,T,1,H,W), or audio, -> features at the video frame rate (B,T,D)."""
