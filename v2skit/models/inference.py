"""Arguments of a decoder that have no effect on its weights, such as the steps of a sampler: they may change later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from v2skit.config.schema import Config
from v2skit.registry import plugins


def inference_arguments(config: Config) -> dict[str, Any]:
    """The arguments that the class of a config's decoder names in ``inference_arguments``, with their values."""
    decoder = config.networks.decoder
    names = getattr(plugins.class_of("decoder", decoder), "inference_arguments", ())
    return {name: decoder.args[name] for name in names}


def assign(decoder: Any, arguments: Mapping[str, Any]) -> None:
    """Assign them to a trained decoder. Building it with them would not do: its layers may depend on them."""
    for name, value in arguments.items():
        setattr(decoder, name, value)


def with_inference_arguments(config: Config, chosen: Config) -> Config:
    """The config of a trained model, with another config's values of these arguments where its decoder is the same."""
    ours, theirs = config.networks.decoder, chosen.networks.decoder
    if ours.type != theirs.type:
        return config
    decoder = replace(ours, args={**ours.args, **inference_arguments(chosen)})
    return replace(config, networks=replace(config.networks, decoder=decoder))
