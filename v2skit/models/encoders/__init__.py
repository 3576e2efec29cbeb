"""Encoders add temporal context: (B,T,D), mask (B,T) -> (B,T,E)."""
