"""An exception in the code of a component, such as a network of a plug-in, as an error that names the component."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from v2skit.errors import UserError
from v2skit.registry.contract import name_of
from v2skit.registry.failure import failure

_OUT_OF_MEMORY = re.compile("allocate memory|ALLOC_FAILED|out of memory", re.IGNORECASE)
"""In the text of a RuntimeError of PyTorch's."""


@contextmanager
def named_failures() -> Iterator[None]:
    """Within it, an exception of a component becomes an error that names it, after the traceback, which its developer
    needs; so does ``sys.exit()``, wherever it is called: with status 0, a recipe would go on.

    Raises:
        UserError: a component fails, or something ends the process.
    """
    try:
        yield
    except (UserError, KeyboardInterrupt, GeneratorExit, OSError, MemoryError, torch.OutOfMemoryError):
        raise  # of the machine, whatever component is at work
    except BaseException as error:  # a plug-in may fail in any way
        if isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error)):
            raise
        where = failed_component(error)
        if where is None and isinstance(error, Exception):
            raise
        traceback.print_exc()
        why = f"{where or 'the stage'} failed: {failure(error, where or 'it')}"
        remedy = "correct the component, or choose another" if where else "correct the code that ends the process"
        raise UserError(f"{why}; see the traceback above, and {remedy}", component=where) from error


def failed_component(error: BaseException) -> str | None:
    """The name of the component in whose code an exception was raised, of several the innermost; None: in that of
    none."""
    owners = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    names = [name_of(owner) for owner in owners if isinstance(owner, nn.Module) and "_forward_hooks" in vars(owner)]
    return next((name for name in reversed(names) if name), None)
