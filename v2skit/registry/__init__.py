"""Kinds of components, the registry of all that are known, plug-ins, and building what a config chose."""
