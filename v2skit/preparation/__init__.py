"""Stage 1: a corpus -> data directories."""
