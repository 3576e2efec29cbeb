"""A trained generator of the package parallel_wavegan, and the statistics of its mel."""

from __future__ import annotations

import importlib
import pickle
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import scipy.signal
import torch
from torch import Tensor, nn

from v2skit.errors import UserError

GENERATOR = "ParallelWaveGANGenerator"


def load_generator(path: Path, config: dict[str, Any], with_weights: bool = True) -> nn.Module:
    """The generator of a checkpoint, in evaluation mode and without weight normalisation.

    Args:
        path: checkpoint of the package's training, ``checkpoint-<steps>steps.pkl``.
        config: config of that training.
        with_weights: load them; otherwise the checkpoint is only named in errors.

    Raises:
        UserError: the package or the checkpoint is missing, or checkpoint, config and package do not fit together.
    """
    name, params = config.get("generator_type", GENERATOR), config.get("generator_params")
    if name != GENERATOR or not isinstance(params, dict):
        raise UserError(f"{path} is a '{name}'; give a {GENERATOR}, with generator_params in its config")
    weights, models = _weights(path) if with_weights else None, _models()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the package uses torch's old weight normalisation
            generator = getattr(models, GENERATOR)(**params)
        if weights is not None:
            generator.load_state_dict(weights)
    except (TypeError, AttributeError, AssertionError, RuntimeError) as error:
        raise UserError(f"{path} does not fit the generator_params of its config: {error}") from error
    shape = generator.aux_channels, int(generator.upsample_factor), generator.in_channels, generator.out_channels
    if shape != (config["num_mels"], config["hop_size"], 1, 1):
        raise UserError(
            f"{path}: its generator has {shape[0]} bins, {shape[1]} samples a frame and {shape[3]} bands, "
            f"its config has {config['num_mels']} bins and hop {config['hop_size']}; give the one it was trained with"
        )
    generator.remove_weight_norm()
    return generator.eval().requires_grad_(False)


def load_statistics(path: Path, n_mels: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each mel bin, (M,) each, from ``stats.h5`` or ``stats.npy``.

    Raises:
        UserError: the file can't be read, or is not of ``n_mels`` bins.
    """
    try:
        if path.suffix == ".npy":
            mean, scale = np.load(path).reshape(2, -1)
        else:
            import h5py  # comes with the package

            with h5py.File(path, "r") as file:
                mean, scale = (file[key][()].reshape(-1) for key in ("mean", "scale"))
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UserError(f"statistics {path} can't be read: {error}; give those of the checkpoint as 'stats'") from error
    fits = mean.shape == scale.shape == (n_mels,)
    if not fits or not (scale > 0).all() or not np.isfinite([mean, scale]).all():
        raise UserError(f"{path} holds no means and positive deviations of {n_mels} bins; give those of the checkpoint")
    return torch.from_numpy(mean).float(), torch.from_numpy(scale).float()


def _weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(f"checkpoint {path} does not exist or is no file; download it, and its config.yml and stats.h5")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)["model"]["generator"]
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no checkpoint of parallel_wavegan, or is damaged: {error}") from error


def _models() -> ModuleType:
    """The package's models. Raises UserError, with how to install them, where they can't be imported."""
    # The package imports this window from where SciPy had it until 1.12.
    moved = not hasattr(scipy.signal, "kaiser")
    if moved:
        scipy.signal.kaiser = scipy.signal.windows.kaiser
    try:
        return importlib.import_module("parallel_wavegan.models")
    except ImportError as error:
        raise UserError(
            f"the package parallel_wavegan can't be imported ({error}): pip install setuptools wheel h5py, "
            "then pip install --no-build-isolation --no-deps parallel_wavegan"
        ) from error
    finally:
        if moved:
            del scipy.signal.kaiser
