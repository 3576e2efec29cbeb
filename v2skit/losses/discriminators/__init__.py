"""Discriminators of adversarial losses: waveform (B,N) -> one (score, features) for each sub-discriminator, where score
is (B, ...), higher for real waveforms, and features is a list of hidden layers (B, ...) for feature matching.
"""
