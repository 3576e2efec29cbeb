"""Corpora of audio alone, for pre-training."""
