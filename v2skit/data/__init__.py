"""Data directories -> training batches."""
