"""Packed models for a hub: README.md cards, pushing, and the folder of a demo."""
