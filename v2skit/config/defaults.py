"""What every experiment has unless its config leaves it out by name; a config adds to these."""

from v2skit.registry.component import Component

LOGGERS = {"jsonl": "jsonl", "tensorboard": "tensorboard"}
"""Name -> type of the loggers."""


def loggers() -> dict[str, Component]:
    """The loggers, by name."""
    return {name: Component(type_, {}, kind="logger") for name, type_ in LOGGERS.items()}
