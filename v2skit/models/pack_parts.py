"""The weights in a packed model, by its parts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.checkpoint import Checkpoint
from v2skit.models.pack_header import REMEDY, Header, read_header
from v2skit.models.pack_weights import SCALE, Precision, restored


def read_tensors(path: Path, header: Header, part: str) -> dict[str, Tensor]:
    """The tensors of a part, checked against its digest; those stored in fewer bits become float32."""
    prefix = f"{part}."
    with safe_open(path, "pt") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118  it is no dict
        tensors = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    if header.format >= 2:
        checkpoint.check_digest(tensors, header.digest[part], path, REMEDY)
    return restored(tensors, int8=header.format >= 4)


def stored_precision(path: Path) -> Precision:
    """The precision of a pack's matrices, read without them; small ones may have a higher one."""
    with safe_open(path, "pt") as file:
        types = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118  it is no dict
    if any(name + SCALE in types for name, kind in types.items() if kind == "I8"):
        return "int8"
    return "float16" if "F16" in types.values() else "float32"


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
