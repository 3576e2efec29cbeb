"""The config.yml of a Parallel WaveGAN, and the comparison of its mel settings with the toolkit's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from v2skit.config.features import Clock, Mel, feature_settings
from v2skit.errors import UserError

LOGARITHMS = {10.0: "log10", None: "natural"}
"""The package's ``log_base`` -> the toolkit's ``mel.log``."""


def read_config(path: Path) -> dict[str, Any]:
    """The config of a checkpoint's training. Raises UserError where it can't be read."""
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"config {path} can't be read: {why}; give the one of the checkpoint as 'config'") from error
    except yaml.YAMLError as error:
        raise UserError(f"config {path} is not plain YAML: {error}") from error
    if not isinstance(config, dict):
        raise UserError(f"config {path} holds no keys and values; give the config.yml of the checkpoint")
    return config


def check_mel(config: dict[str, Any], path: Path, clock: Clock, mel: Mel) -> None:
    """Compare the mel settings of a vocoder's training with the toolkit's.

    Args:
        config: config of the vocoder.
        path: its file, for messages.
        clock: clock of the toolkit.
        mel: mel settings of the toolkit.

    Raises:
        UserError: the settings differ, with all fields that do, or a key is missing.
    """
    ours = {**feature_settings(clock, mel), "window_shape": "hann", "gain": 1.0}
    try:
        theirs = _settings(config)
    except (KeyError, TypeError) as error:
        raise UserError(f"config {path} is not of a Parallel WaveGAN: missing or wrong key {error}") from error
    differs = [f"{k}: {ours[k]} here, {v} there" for k, v in theirs.items() if ours[k] != v]
    if differs:
        raise UserError(
            f"{path} and this config do not share their mel settings ({'; '.join(differs)}); train the model with the "
            "vocoder's: egs/grid/conf/svts.yaml has those of the LibriTTS one"
        )


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """The package's mel settings under the toolkit's names; those without a key are of its ``logmelfilterbank``."""
    rate, n_fft, base = config["sampling_rate"], config["fft_size"], config.get("log_base", 10.0)
    mel_rate, gain = config.get("sampling_rate_for_feats", rate), config.get("global_gain_scale", 1.0)
    return {
        "sample_rate": rate if mel_rate == rate else f"{rate} with a mel at {mel_rate}",
        "n_fft": n_fft,
        "window": n_fft if config.get("win_length") is None else config["win_length"],
        "hop": config["hop_size"],
        "n_mels": config["num_mels"],
        "f_min": 0.0 if config.get("fmin") is None else config["fmin"],
        "f_max": rate / 2 if config.get("fmax") is None else config["fmax"],
        "floor": 1e-10,
        "log": LOGARITHMS.get(base, f"log{base}"),
        "scale": "slaney",
        "window_shape": config.get("window", "hann"),
        "gain": gain if gain > 0 else 1.0,  # factor of the training's waveforms, not of the mel; 0: none
    }
