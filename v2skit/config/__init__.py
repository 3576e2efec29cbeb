"""A YAML file with its bases and overrides -> checked settings."""
