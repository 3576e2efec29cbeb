"""Checkpoints of other toolkits, without their packages: tensors and plain values, no code."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from v2skit.errors import UserError

MAX_LEVELS = 32
"""Objects within objects that a checkpoint may have; those of its toolkits have two or three."""


class Opaque:
    """Stands for an object of a checkpoint whose class is not looked for, such as ``argparse.Namespace``.

    Args:
        arguments: those that its class would have been called with.

    Attributes:
        state: what its class would have restored itself from; for most classes, a dict of its attributes.
    """

    arguments: tuple[Any, ...]
    state: Any = None

    def __new__(cls, *arguments: Any) -> Opaque:
        """An object without a state, as unpicklers make it."""
        self = super().__new__(cls)
        self.arguments = arguments
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state


def read_foreign(path: Path) -> Any:
    """The content of a file that ``torch.save`` of 1.6 or later wrote, with objects of all other classes than tensors
    and plain containers as :class:`Opaque`. It is read by the restricted unpickler of torch (``weights_only``), so that
    nothing in the file is executed. Tensors that are not used are not read.

    Raises:
        UserError: the file is missing or damaged, of another format, or refused by that unpickler.
    """
    if not path.is_file():
        raise UserError(f"checkpoint {path} does not exist or is no file; download it, and give its path", path=path)
    try:
        classes = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        known: Any = [(Opaque, name) for name in classes]
        with torch.serialization.safe_globals(known), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # storages of old releases of torch
            return torch.load(str(path), map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:  # its message advises to read the file without restrictions
        remedy = "get it from its authors again, or convert it to tensors and settings where its package is installed"
        raise UserError(f"{path} is damaged or asks for calls that are not allowed; {remedy}", path=path) from error
    except Exception as error:  # of a damaged file torch raises errors of many types
        why = " ".join(str(error).split())[:200]
        remedy = "give one that torch.save wrote, in torch 1.6 or later, and that holds tensors and settings"
        raise UserError(f"{path} can't be read as a checkpoint ({why}); {remedy}", path=path) from error


def unwrapped(value: Any) -> Any:
    """The plain value behind an :class:`Opaque`, one level deep: the attributes of a ``Namespace`` or dataclass as a
    dict, the content of a node of OmegaConf, the value of an enumeration; anything else as it is.

    Raises:
        UserError: it is nested too deeply, or contains itself.
    """
    for _ in range(MAX_LEVELS):
        if not isinstance(value, Opaque):
            return value
        state = value.state
        if isinstance(state, dict):
            value = next((state[key] for key in ("_content", "_val") if key in state), state)
        elif len(value.arguments) == 1:
            value = value.arguments[0]
        else:
            return value
    raise UserError(
        f"an object of the checkpoint contains itself, or {MAX_LEVELS} others; get the file from its authors again"
    )
