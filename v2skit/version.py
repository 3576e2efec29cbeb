"""The version of v2skit; setup.py reads it here."""

__version__ = "0.2.0"
