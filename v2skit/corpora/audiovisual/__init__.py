"""Corpora of talking faces."""
