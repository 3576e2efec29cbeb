"""YAML files with bases and overrides -> checked settings."""
