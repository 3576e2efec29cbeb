"""The voices of a packed model: inputs of its speaker component, by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from v2skit.errors import UserError, suggestion
from v2skit.models import checkpoint
from v2skit.models.checkpoint import Meta
from v2skit.models.pack_header import REMEDY
from v2skit.registry.build import build
from v2skit.system.state_file import damaged


@dataclass(frozen=True)
class VoiceSources:
    """Where the voices of a pack come from.

    Args:
        recordings: by the name of the voice; of each only the speaker vector is kept.
        directories: prepared data directories, each speaker of which becomes a voice.
        default: the voice that is used where none is named; None: that of the model.
    """

    recordings: dict[str, Path] = field(default_factory=dict)
    directories: list[Path] = field(default_factory=list)
    default: str | None = None


def collect(meta: Meta, sources: VoiceSources) -> dict[str, Tensor]:
    """The voices by name, float32 (S,).

    Args:
        meta: of the model.
        sources: of its voices.

    Raises:
        UserError: the model accepts no such voices, one can't be read, two have the same name, or the default is none
            of the pack's.
    """
    speaker = _speaker(meta)
    if sources.recordings and not getattr(speaker, "accepts_recording", False):
        raise UserError("this model accepts no recording of a voice; leave --voice out")
    if sources.directories and not hasattr(speaker, "voices_of"):
        raise UserError("this model makes no voices of a data directory; leave --voices out")
    found = {name: speaker.voice(str(path)) for name, path in sources.recordings.items()}
    for directory in sources.directories:
        for name, vector in speaker.voices_of(directory).items():
            if name in found:
                raise UserError(f"{directory}: there is a voice '{name}' already; leave one of the two out")
            found[name] = vector
    names = [*found, *getattr(speaker, "voices", ())]
    if sources.default is not None and sources.default not in names:
        remedy = suggestion(sources.default, names) if names else "; name one with --voice or --voices"
        raise UserError(f"--default-voice: the pack has no voice '{sources.default}'{remedy}")
    return {name: torch.from_numpy(vector) for name, vector in found.items()}


def checked(meta: Meta, vectors: dict[str, Tensor], default: str | None, path: Path) -> dict[str, np.ndarray]:
    """The voices in a pack.

    Args:
        meta: of the model.
        vectors: by name.
        default: name of the default voice.
        path: of the pack, for messages.

    Raises:
        UserError: one is no input of the model, or the default is none of its voices.
    """
    if not vectors and default is None:
        return {}
    speaker = _speaker(meta)
    for name, vector in vectors.items():
        if not _is_input(speaker, vector):
            raise damaged(path, f"voice '{name}' is no input of its model", REMEDY)
    if default not in (None, *vectors, *getattr(speaker, "voices", ())):
        raise damaged(path, f"its default voice '{default}' is not in it", REMEDY)
    return {name: vector.numpy() for name, vector in vectors.items()}


def _speaker(meta: Meta) -> Any:
    return build("speaker", checkpoint.config_of(meta).networks.speaker, speakers=meta.speakers)


@torch.no_grad()
def _is_input(speaker: Any, vector: Tensor) -> bool:
    """Whether a tensor is what the speaker component accepts as the vector of a voice: float32 (S,), finite."""
    makes_vectors = getattr(speaker, "accepts_recording", False) or hasattr(speaker, "voices_of")
    if not makes_vectors or vector.dtype != torch.float32 or vector.ndim != 1 or not vector.isfinite().all():
        return False
    try:
        return speaker(vector[None]).shape == (1, speaker.out_dim)
    except (AttributeError, RuntimeError, UserError):
        return False
