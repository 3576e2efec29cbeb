"""Recipes: their seven stages (``stages.py``), and new ones."""
