"""The local page to try a model."""
