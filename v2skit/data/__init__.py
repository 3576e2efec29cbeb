"""Data directories: how they are made, stored, checked and read in training."""
