"""Discriminators of adversarial losses: waveform (B,N) -> one (score, features) for each of its parts, where score is
(B, ...), higher for what sounds real, and features is a list of hidden layers (B, ...) for feature matching.
"""
