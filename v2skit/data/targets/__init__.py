"""Targets: streams of a batch that are computed from its audio or text, for heads, decoders and losses."""
