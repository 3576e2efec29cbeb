"""Speech models of ``torchaudio.pipelines`` (wav2vec 2.0, HuBERT, WavLM) from local files; nothing is downloaded."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from v2skit.errors import UserError, suggestion
from v2skit.models.torchaudio_names import read_renamed
from v2skit.system.temporary import private_folder

if TYPE_CHECKING:
    from torchaudio.pipelines import Wav2Vec2Bundle


def load_bundle(what: str, name: str, file: Path, kind: str = "Wav2Vec2Bundle") -> tuple[ModuleType, Any, nn.Module]:
    """A bundle's model with the weights of a file.

    Args:
        what: the component that needs it, for messages.
        name: of the bundle.
        file: its weights as torchaudio, fairseq or Hugging Face publishes them, relative to the folder that the
            command runs in.
        kind: class of bundles of ``torchaudio.pipelines``.

    Returns:
        torchaudio, the bundle and its model.

    Raises:
        UserError: torchaudio is not installed or does not fit the installed torch, there is no such bundle, or the file
            is missing or holds other weights.
    """
    torchaudio = _torchaudio(what)
    pipelines = torchaudio.pipelines
    bundles = {n: b for n, b in vars(pipelines).items() if isinstance(b, getattr(pipelines, kind))}
    if name not in bundles:
        raise UserError(f"torchaudio has no bundle '{name}'{suggestion(name, bundles)}")
    return torchaudio, bundles[name], _load(name, bundles[name], file)


def _torchaudio(what: str) -> ModuleType:
    """The package, imported late: its compiled part refuses a torch for another CUDA release, or for none."""
    try:
        return importlib.import_module("torchaudio")
    except ModuleNotFoundError as error:
        message = f"{what} needs torchaudio: pip install 'v2skit[torchaudio]' ({error})"
        raise UserError(message, extra="torchaudio", module="torchaudio") from error
    except (ImportError, RuntimeError, OSError) as error:
        raise UserError(
            f"torchaudio {version('torchaudio')} does not work with torch {torch.__version__} ({error}); install "
            "both for one CUDA release (on PyPI: torchaudio 2.11, torch 2.11 to 2.14) or both for the CPU, or choose "
            "something else (v2skit components)"
        ) from error


def _load(name: str, bundle: Wav2Vec2Bundle, file: Path) -> nn.Module:
    """The bundle's model with the weights of a file. Raises UserError where it is missing or does not fit."""
    path = getattr(bundle, "_path", "")  # for the messages only
    address = path if path.startswith("https") else f"https://download.pytorch.org/torchaudio/models/{path}"
    if not file.is_file():
        raise UserError(f"file {file} is missing; the weights of {name} are published as {address}")
    try:
        renamed = _renamed(file)
        if renamed is None:
            return _from_file(bundle, file)
        with private_folder("v2skit-weights") as folder:
            torch.save(renamed, folder / "weights.pth")
            return _from_file(bundle, folder / "weights.pth")
    except Exception as error:  # of a damaged file torch raises errors of many types
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]  # else every tensor of the model
        raise UserError(f"{file} does not hold the weights of {name} ({why}); get {address}") from error


def _renamed(file: Path) -> dict[str, Tensor] | None:
    """The weights by torchaudio's names; None where they have these, or the file is in a format that only torchaudio
    may read, such as that of torch before 1.6."""
    try:
        return read_renamed(file)
    except UserError:
        return None


def _from_file(bundle: Wav2Vec2Bundle, file: Path) -> nn.Module:
    """The bundle's model with the weights of a file by torchaudio's names, which it uses as its cached download."""
    local = {"model_dir": str(file.parent), "file_name": file.name, "map_location": "cpu", "weights_only": True}
    return bundle.get_model(dl_kwargs=local)
