"""The corpus that is made on the spot: synthetic speech and drawn mouths."""
