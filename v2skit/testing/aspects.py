"""Aspects of a contract, such as ``padding``: each failure belongs to one, with a remedy.

A check raises AssertionError at its first failure. Within :func:`collected` it notes failures and goes on with the next
aspect instead, for a list of all findings.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from v2skit.errors import UserError
from v2skit.registry.failure import failure

REMEDIES = {
    "import": "correct its module, or its path in register_components()",
    "build": "give its arguments defaults, and install the packages that it needs",
    "shape": "output what its kind outputs (docs/extending.md)",
    "finite": "limit what is divided by and what logarithms are taken of",
    "determinism": "use random numbers in training only, or those of a generator with a fixed seed",
    "padding": "multiply by the mask, or average over it (losses: batch.mask, batch.mel_mask()); where frames have "
    "neighbours, use layers of v2skit.models.layers.masked",
    "context": "correct left_context_frames and look_ahead_frames, or set both to None",
    "gradients": "use each parameter in forward(), without detach(), or set its requires_grad to False",
    "length": "raise an error, as check_features() of v2skit.models.layers.masked does",
    "bfloat16": "compute the failing part in float32, within torch.autocast(device, enabled=False)",
    "export": "use tensor operations in place of Python code that depends on the values of tensors, or say in its "
    "attribute export_obstacle why it can't be exported",
    "docs": "describe it in the docstring of the class, each argument in a line 'name: text' below 'Args:'",
    "start": "import torch and other large packages in the modules of the components, which are named as text",
    "contract": "see the interface of its kind (docs/extending.md)",
}
"""Aspect -> what to do about a failure."""


@dataclass(frozen=True)
class Finding:
    """A failure of a component, in one line as text.

    Args:
        component: kind and name.
        aspect: a key of REMEDIES.
        message: what is wrong.
    """

    component: str
    aspect: str
    message: str

    def __str__(self) -> str:
        return f"{self.component}: {self.aspect}: {self.message}; {REMEDIES[self.aspect]}"


class Ended(Exception):
    """A failure was noted after which other aspects can't be checked."""


_COLLECTED: ContextVar[list[tuple[str, str]] | None] = ContextVar("collected failures", default=None)


@contextmanager
def aspect(name: str, ends: bool = False) -> Iterator[None]:
    """Checks of one aspect. Within :func:`collected`, failures are noted; one with ``ends`` is the last."""
    try:
        yield
    except Ended:
        raise
    except (Exception, SystemExit) as error:  # a component may fail in any way, and the others are still to be checked
        noted = _COLLECTED.get()
        if noted is None:
            raise
        plain = isinstance(error, (AssertionError, UserError)) and str(error)
        text = " ".join(plain.split()) if plain else failure(error)
        noted.append((name, f"{text}, in place of an exception" if isinstance(error, SystemExit) else text))
        if ends:
            raise Ended from error


@contextmanager
def collected(component: str, findings: list[Finding]) -> Iterator[None]:
    """Add the failures of a component's checks within it to the findings."""
    noted: list[tuple[str, str]] = []
    token = _COLLECTED.set(noted)
    try:
        with aspect("contract"):
            yield
    except Ended:
        pass
    finally:
        _COLLECTED.reset(token)
        findings += [Finding(component, name, message) for name, message in dict.fromkeys(noted)]
