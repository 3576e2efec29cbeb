"""Synthesis while the video is still coming in."""
