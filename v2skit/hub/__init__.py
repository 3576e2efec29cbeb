"""Packed models on a hub: fetched by their address, pushed with a README.md, and the demo of a model for a Space."""
