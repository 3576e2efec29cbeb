"""Encoders: temporal context."""
