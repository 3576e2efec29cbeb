"""The weights in a packed model, by its parts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.checkpoint import Checkpoint
from v2skit.models.pack_header import REMEDY, Header, read_header


def read_tensors(path: Path, header: Header, part: str) -> dict[str, Tensor]:
    """The tensors of a part, checked against its digest; those stored as float16 become float32."""
    prefix = f"{part}."
    with safe_open(path, "pt") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118  it is no dict
        tensors = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    if header.format >= 2:
        checkpoint.check_digest(tensors, header.digest[part], path, REMEDY)
    return {name: value.float() if value.dtype == torch.float16 else value for name, value in tensors.items()}


def read_part(path: Path, part: str) -> Checkpoint:
    """The ``model``, ``vocoder`` or ``predictor`` of a pack.

    Raises:
        UserError: it is no pack, is damaged, lacks the part, or needs a plug-in that is not installed.
    """
    header = read_header(path)
    if part not in header.meta:
        raise UserError(f"{path} has no {part} in it; pack it again with one")
    meta = dataclasses.replace(header.meta[part], digest=header.digest[part])
    checkpoint.check_plugins(meta, path)
    return Checkpoint(meta, read_tensors(path, header, part))
