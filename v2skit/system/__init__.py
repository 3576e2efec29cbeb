"""Files, processes and devices: what has nothing to do with speech."""
