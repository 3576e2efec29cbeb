"""The generated corpus: synthetic speech and drawn mouths."""
