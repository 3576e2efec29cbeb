"""Heads: features (B,T,D) at the video frame rate -> further streams, for losses of their own."""
