"""Sound, spectrograms and mouth strips of a page. Sound is FLAC, so that listeners hear exactly what was scored."""

from __future__ import annotations

import base64
import io

import numpy as np
import soundfile
import torch
from matplotlib import colormaps
from PIL import Image

from v2skit.evaluation.pages.render import data_uri
from v2skit.signal.mel import MelSpectrogram

STRIP_PIXELS = 72
"""Height of the crops of a strip."""

RANGE = 9.0
"""Of the colours below the largest value of a clip's reference: nepers of amplitude, 78 dB."""


def flac(waveform: np.ndarray, sample_rate: int) -> str:
    """Waveform (N,) -> 16-bit FLAC in base64; browsers play it without a network, and nothing is lost."""
    content = io.BytesIO()
    soundfile.write(content, np.clip(waveform, -1.0, 1.0), sample_rate, format="FLAC", subtype="PCM_16")
    return base64.b64encode(content.getvalue()).decode()


def log_mel(waveform: np.ndarray, spectrogram: MelSpectrogram) -> np.ndarray:
    """Waveform (N,) -> log mel (F,M)."""
    return spectrogram(torch.from_numpy(np.ascontiguousarray(waveform, np.float32))[None])[0].numpy()


def spectrogram_uri(mel: np.ndarray, high: float) -> str:
    """Picture of a log mel (F,M), low frequencies at the bottom; ``high`` is the brightest value."""
    level = np.clip((mel.T[::-1] - high) / RANGE + 1.0, 0.0, 1.0)  # (M, F)
    return _webp(colormaps["magma"]((255 * level).astype(np.uint8), bytes=True)[..., :3], quality=82)


def strip_uri(crops: np.ndarray, count: int) -> str:
    """Mouth crops, gray uint8 (T,H,W), as one picture of ``count`` cells: each shows the middle of its share of the
    time."""
    frames = ((np.arange(count) + 0.5) * len(crops) / count).astype(int)
    size = (STRIP_PIXELS * crops.shape[2] // crops.shape[1], STRIP_PIXELS)
    cells = [np.asarray(Image.fromarray(crops[frame]).resize(size, Image.Resampling.LANCZOS)) for frame in frames]
    return _webp(np.concatenate(cells, axis=1), quality=70)


def _webp(image: np.ndarray, quality: int) -> str:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "WEBP", quality=quality, method=4)
    return data_uri(content.getvalue(), "image/webp")
