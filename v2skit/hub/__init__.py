"""Packed models on a hub, fetched by their address into a cache."""
