"""A model to hand on: one safetensors file, whose header says what is in it and all that is needed to run it."""

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

from v2skit.config.features import check_same_features
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.checkpoint import Checkpoint, Meta
from v2skit.registry import plugins
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.system.atomic import beside
from v2skit.version import __version__

SUFFIX, KEY, FORMAT = ".v2s", "v2skit", 1
VOICE = "voice"


@dataclass(frozen=True)
class Card:
    """What a person should know of a model before using it.

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
        recordings: voices that go with the model, by name; of each only what the model takes is kept.

    Raises:
        UserError: there is no V2A model, it takes no recording, or the vocoder has weights that a pack can't hold.
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
        raise UserError(f"model {model} gives waveforms and needs no vocoder; leave --vocoder out")
    if vocoder:
        choice = {"type": "trained", "run": str(vocoder)}
    parts, digests = {"model": saved}, {"model": checkpoint.digest(folder)}
    if choice and choice["type"] == "trained":
        choice = dict(choice)
        theirs = checkpoint.folder_in(Path(choice.pop("run")), "give the run of a trained vocoder with --vocoder")
        parts["vocoder"], digests["vocoder"] = checkpoint.load(theirs), checkpoint.digest(theirs)
        features = parts["vocoder"].meta.features
        check_same_features(saved.meta.features, features, f"model {model}", f"vocoder {theirs}")
    elif choice and plugins.registry().entry("vocoder", choice["type"]).origin != "v2skit":
        raise UserError(
            f"vocoder '{choice['type']}' is a plug-in's and can't go into a pack; give --vocoder RUN instead"
        )
    voices = _voices(saved.meta, recordings or {})
    header = {
        "format": FORMAT,
        "v2skit": __version__,
        "card": dataclasses.asdict(card),
        "meta": {name: vars(part.meta) for name, part in parts.items()},
        "digest": digests,
        "vocoder": choice,
        "voices": list(voices),
        "scores": _scores(folder.resolve().parents[1], digests, choice),
    }
    tensors = {f"{part}.{k}": v for part, one in parts.items() for k, v in (one.averaged or one.weights).items()}
    tensors.update({f"{VOICE}.{name}": torch.from_numpy(vector) for name, vector in voices.items()})
    with beside(out) as file:
        try:
            file.touch()  # Python tells why that fails in a way that can be caught, safetensors does not
        except OSError as error:
            raise UserError(f"{out} can't be written ({error.strerror}); name a file in another folder") from error
        save_file({k: v.contiguous() for k, v in tensors.items()}, file, {KEY: json.dumps(header)})
        file.chmod(0o644)  # a file to hand on; it is written for its owner alone


def _voices(meta: Meta, recordings: dict[str, Path]) -> dict[str, np.ndarray]:
    """What the model takes of each recording."""
    if not recordings:
        return {}
    speaker = build("speaker", checkpoint.config_of(meta).networks.speaker, speakers=meta.speakers)
    if not getattr(speaker, "accepts_recording", False):
        raise UserError("this model takes no recording of a voice; leave --voice out")
    return {name: speaker.voice(str(path)) for name, path in recordings.items()}


def read_voices(path: Path) -> dict[str, np.ndarray]:
    """The voices in a pack, by name, as the model takes them. Raises UserError where it is no pack."""
    names = read_header(path).get("voices", [])
    with safe_open(path, "np") as file:
        return {name: file.get_tensor(f"{VOICE}.{name}") for name in names}


def _scores(exp: Path, digests: dict[str, str], vocoder: dict | None) -> dict | None:
    """Row and protocols of an experiment's results that were scored of these weights; None where there are none."""
    results, record = exp / "results.json", exp / "scored.json"
    if not results.exists() or not record.exists():
        return None
    scores = json.loads(results.read_text(encoding="utf-8"))
    for row, made in json.loads(record.read_text(encoding="utf-8"))["speech"].items():
        theirs = made.get("vocoder") or {}
        same_vocoder = theirs.get("type") == (vocoder or {}).get("type") and theirs.get("digest") == digests.get(
            "vocoder"
        )
        if made.get("digest") == digests["model"] and same_vocoder:
            return {"row": scores["rows"][row], "protocols": scores["protocols"]}
    return None


def read_header(path: Path) -> dict[str, Any]:
    """What a pack says of itself; no weights are read. Raises UserError where it is no pack, or a newer one."""
    if path.is_dir():
        raise UserError(f"{path} is a folder, not a packed model; v2skit pack {path} -o model.v2s makes one")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})[KEY])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{path} is no v2skit model, or is damaged ({error}); fetch or pack it again") from error
    if header["format"] > FORMAT:
        raise UserError(
            f"{path} was packed by v2skit {header['v2skit']}, this is {__version__}; install that one or newer"
        )
    return header


def read_part(path: Path, part: str) -> Checkpoint:
    """The ``model`` or ``vocoder`` of a pack.

    Raises:
        UserError: it is no pack, lacks the part, or needs a plug-in that is not installed.
    """
    header = read_header(path)
    if part not in header["meta"]:
        raise UserError(f"{path} has no {part} in it; pack it again with one")
    tree = header["meta"][part]
    meta = Meta(**{**tree, "position": tuple(tree["position"])})
    checkpoint.check_plugins(meta, path)
    prefix = f"{part}."
    with safe_open(path, "pt") as file:
        names = file.keys()
        weights = {name.removeprefix(prefix): file.get_tensor(name) for name in names if name.startswith(prefix)}
    return Checkpoint(meta, weights)


def vocoder_of(path: Path) -> Component | None:
    """The vocoder that a pack speaks through; None: its model needs none. Raises UserError where it is no pack."""
    choice = read_header(path)["vocoder"]
    if choice is None:
        return None
    choice = dict(choice)
    if choice["type"] == "trained":
        choice["run"] = str(path)
    return Component(choice.pop("type"), choice, kind="vocoder")


def open_model(path: Path, part: str, remedy: str) -> tuple[Checkpoint, str]:
    """A pack's part, a checkpoint, or the best one of a run; and a digest of its weights. Raises UserError."""
    if path.is_file():
        return read_part(path, part), read_header(path)["digest"][part]
    folder = checkpoint.folder_in(path, remedy)
    return checkpoint.load(folder), checkpoint.digest(folder)


def describe(path: Path) -> str:
    """A page on a pack, for people. Raises UserError where it is none."""
    header = read_header(path)
    meta, card = header["meta"]["model"], header["card"]
    clock, crop, networks = (meta["config"][key] for key in ("clock", "crop", "networks"))
    size = f"{path.stat().st_size / 1e6:.1f} MB"
    lines = [f"{card['name']}: video-to-speech, packed by v2skit {header['v2skit']}, {size}", ""]
    lines += [f"{key + ':':10} {card[key] or 'not stated'}" for key in ("data", "licence", "notes")]
    parts = ", ".join(networks[part]["type"] for part in ("visual_frontend", "speaker", "encoder", "decoder"))
    lines += ["", f"model:     {parts}; {meta['step']} steps, digest {header['digest']['model']}"]
    lines.append(f"vocoder:   {header['vocoder']['type'] if header['vocoder'] else 'none, it gives waveforms'}")
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
