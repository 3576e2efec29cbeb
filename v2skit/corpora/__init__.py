"""Corpora as published -> lists of utterances."""
