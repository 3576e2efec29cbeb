"""Packed models: one safetensors file, whose header describes the model and holds all that is needed to run it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from v2skit.config.features import check_same_features
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.checkpoint import Checkpoint, Meta
from v2skit.registry import plugins
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.system.atomic import atomic_write
from v2skit.system.provenance import Provenance
from v2skit.version import __version__

SUFFIX, KEY, FORMAT = ".v2s", "v2skit", 2
"""Since format 2 the digests are those of the tensors in the pack; before, they identified files that are not in it."""
VOICE = "voice"
_REMEDY = "fetch or pack it again"


@dataclass(frozen=True)
class Card:
    """The model card: what a person should know about a model before using it.

    Args:
        name: of the model.
        data: what it was trained on.
        licence: under which it may be used.
        notes: anything else, such as whose voices these are.
    """

    name: str = ""
    data: str = ""
    licence: str = ""
    notes: str = ""


def pack(model: Path, out: Path, vocoder: Path | None, card: Card, recordings: dict[str, Path] | None = None) -> None:
    """Write a pack.

    Args:
        model: an experiment's folder, a V2A run or one of its checkpoints.
        out: the file, ending in ``.v2s``.
        vocoder: run of a trained vocoder, which goes into the pack; None: the vocoder of the model's config.
        card: for people.
        recordings: voices to include, by name; of each only the speaker vector is kept.

    Raises:
        UserError: there is no V2A model, it accepts no recording, or the vocoder has weights that a pack can't hold.
    """
    if out.suffix != SUFFIX:
        raise UserError(f"{out}: the name of a pack ends in {SUFFIX}")
    folder = checkpoint.folder_in(model, "stage 4 makes one")
    saved = checkpoint.load(folder)
    if saved.meta.task != "v2a":
        raise UserError(f"{folder} is no video-to-audio model; give an experiment's folder or a run of stage 4")
    decoder: Any = plugins.registry().entry("decoder", saved.meta.config["networks"]["decoder"]["type"]).load()
    choice = saved.meta.config["vocoder"] if decoder.output == "mel" else None
    if vocoder and choice is None:
        raise UserError(f"model {model} outputs waveforms and needs no vocoder; leave --vocoder out")
    if vocoder:
        choice = {"type": "trained", "run": str(vocoder)}
    parts = {"model": saved}
    if choice and choice["type"] == "trained":
        choice = dict(choice)
        theirs = checkpoint.folder_in(Path(choice.pop("run")), "give the run of a trained vocoder with --vocoder")
        parts["vocoder"] = checkpoint.load(theirs)
        features = parts["vocoder"].meta.features
        check_same_features(saved.meta.features, features, f"model {model}", f"vocoder {theirs}")
    elif choice and plugins.registry().entry("vocoder", choice["type"]).origin != "v2skit":
        raise UserError(
            f"vocoder '{choice['type']}' is a plug-in's and can't go into a pack; give --vocoder RUN instead"
        )
    tensors = {name: part.inference_weights for name, part in parts.items()}
    identities = {name: part.meta.digest for name, part in parts.items()}
    voices = _voices(saved.meta, recordings or {})
    tensors[VOICE] = {name: torch.from_numpy(vector) for name, vector in voices.items()}
    header = {
        "format": FORMAT,
        "v2skit": __version__,
        "card": dataclasses.asdict(card),
        "meta": {name: vars(part.meta) for name, part in parts.items()},
        "digest": {name: checkpoint.weights_digest(part) for name, part in tensors.items()},
        "vocoder": choice,
        "voices": list(voices),
        "scores": _scores(folder.resolve().parents[1], identities, choice),
    }
    flat = {f"{name}.{key}": value.contiguous() for name, part in tensors.items() for key, value in part.items()}
    with atomic_write(out) as file:
        try:
            file.touch()  # the reason of a failure can be caught here, but not from safetensors
        except OSError as error:
            raise UserError(f"{out} can't be written ({error.strerror}); name a file in another folder") from error
        save_file(flat, file, {KEY: json.dumps(header)})
        file.chmod(0o644)  # for others to read; safetensors makes it readable for its owner only


def _voices(meta: Meta, recordings: dict[str, Path]) -> dict[str, np.ndarray]:
    """The speaker vector of each recording."""
    if not recordings:
        return {}
    speaker = build("speaker", checkpoint.config_of(meta).networks.speaker, speakers=meta.speakers)
    if not getattr(speaker, "accepts_recording", False):
        raise UserError("this model accepts no recording of a voice; leave --voice out")
    return {name: speaker.voice(str(path)) for name, path in recordings.items()}


def _scores(exp: Path, digests: dict[str, str], vocoder: dict | None) -> dict | None:
    """Row and protocols of an experiment's results that are scores of these weights; None where there are none."""
    results, scored = exp / "results.json", Provenance.read(exp / "scored.json")
    if scored is None or not results.exists():
        return None
    scores = json.loads(results.read_text(encoding="utf-8"))
    through = {"type": vocoder["type"], "digest": digests.get("vocoder")} if vocoder else None
    packed = Provenance({"digest": digests["model"], "vocoder": through})
    for row, entry in scores["rows"].items():
        if not scored.part(f"speech.{row}").diff(packed, only=("digest", "vocoder.type", "vocoder.digest")):
            return {"row": entry, "protocols": scores["protocols"]}
    return None


def read_header(path: Path) -> dict[str, Any]:
    """The description in a pack, read without its weights. Raises UserError where it is no pack, or a newer one."""
    if path.is_dir():
        raise UserError(f"{path} is a folder, not a packed model; v2skit pack {path} -o model.v2s makes one")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})[KEY])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{path} is no v2skit model, or is damaged ({error}); {_REMEDY}", path=path) from error
    if header["format"] > FORMAT:
        raise UserError(
            f"{path} was packed by v2skit {header['v2skit']}, this is {__version__}; install that one or newer"
        )
    return header


def _read_tensors(path: Path, header: dict[str, Any], part: str) -> dict[str, Tensor]:
    """The tensors of a part, checked against its digest."""
    prefix = f"{part}."
    with safe_open(path, "pt") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118  it is no dict
        tensors = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    if header["format"] >= 2:
        checkpoint.check_digest(tensors, header["digest"][part], path, _REMEDY)
    return tensors


def read_part(path: Path, part: str) -> Checkpoint:
    """The ``model`` or ``vocoder`` of a pack.

    Raises:
        UserError: it is no pack, is damaged, lacks the part, or needs a plug-in that is not installed.
    """
    header = read_header(path)
    if part not in header["meta"]:
        raise UserError(f"{path} has no {part} in it; pack it again with one")
    tree = header["meta"][part]
    meta = Meta(**{**tree, "position": tuple(tree["position"]), "digest": header["digest"][part]})
    checkpoint.check_plugins(meta, path)
    return Checkpoint(meta, _read_tensors(path, header, part))


def read_voices(path: Path) -> dict[str, np.ndarray]:
    """The speaker vectors in a pack, by name. Raises UserError where it is no pack, or is damaged."""
    header = read_header(path)
    return {name: vector.numpy() for name, vector in _read_tensors(path, header, VOICE).items()}


def vocoder_of(path: Path) -> Component | None:
    """The vocoder of a pack; None where its model needs none. Raises UserError where it is no pack."""
    choice = read_header(path)["vocoder"]
    if choice is None:
        return None
    choice = dict(choice)
    if choice["type"] == "trained":
        choice["run"] = str(path)
    return Component(choice.pop("type"), choice, kind="vocoder")


def open_model(path: Path, part: str, remedy: str) -> Checkpoint:
    """A pack's part, a checkpoint, or the best one of a run. Raises UserError."""
    return read_part(path, part) if path.is_file() else checkpoint.load(checkpoint.folder_in(path, remedy))


def describe(path: Path) -> str:
    """A description of a pack, for people. Raises UserError where it is none."""
    header = read_header(path)
    meta, card = header["meta"]["model"], header["card"]
    clock, crop, networks = (meta["config"][key] for key in ("clock", "crop", "networks"))
    size = f"{path.stat().st_size / 1e6:.1f} MB"
    lines = [f"{card['name']}: video-to-speech, packed by v2skit {header['v2skit']}, {size}", ""]
    lines += [f"{key + ':':10} {card[key] or 'not stated'}" for key in ("data", "licence", "notes")]
    parts = ", ".join(networks[part]["type"] for part in ("visual_frontend", "speaker", "encoder", "decoder"))
    lines += ["", f"model:     {parts}; {meta['step']} steps, digest {header['digest']['model']}"]
    lines.append(f"vocoder:   {header['vocoder']['type'] if header['vocoder'] else 'none, it outputs waveforms'}")
    picture = f"{clock['fps']} frames/s, mouth crops of {crop['size']} pixels"
    lines.append(f"sound:     {clock['sample_rate']} Hz; picture: {picture}")
    lines.append(f"plug-ins:  {', '.join(f'{n} {v}' for n, v in meta['plugins'].items() if n != 'v2skit') or 'none'}")
    voices = [*header.get("voices", []), *(meta["speakers"] if networks["speaker"]["type"] == "table" else [])]
    if voices:
        lines.append(f"voices:    {', '.join(voices)}")
    if header["scores"]:
        row = header["scores"]["row"].items()
        scores = (f"{name} {entry['mean']:.3g}" for name, entry in row if entry["mean"] is not None)
        lines.append(f"scores:    {', '.join(scores)} (its own test set; WER in %)")
    return "\n".join(lines)
