"""Packed models: one safetensors file, whose header describes the model and holds all that is needed to run it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import save_file

from v2skit.config.features import check_same_features
from v2skit.config.load import check_component, to_tree
from v2skit.config.schema import Config
from v2skit.data.targets import check_same_targets
from v2skit.errors import UserError
from v2skit.hub.address import SUFFIX
from v2skit.models import checkpoint, pack_voices
from v2skit.models.build import build_targets, build_vocoder
from v2skit.models.checkpoint import Checkpoint
from v2skit.models.pack_header import (
    FORMAT,
    KEY,
    PLUGIN,
    REMEDY,
    VOICE,
    Card,
    Header,
    check_writable,
    own_code,
    printable_lines,
    read_header,
)
from v2skit.models.pack_parts import read_tensors, stored_precision
from v2skit.models.pack_voices import VoiceSources
from v2skit.models.pack_weights import Precision, stored
from v2skit.models.places import open_model, place_in
from v2skit.models.predictor import check_same_predictor
from v2skit.models.stored_config import model_tree, packable_tree
from v2skit.models.vocoders.correction import ROUNDS
from v2skit.registry import plugins, sources
from v2skit.registry.component import Component
from v2skit.system.atomic import flush
from v2skit.system.provenance import Provenance
from v2skit.system.state_file import damaged, read_state
from v2skit.system.temporary import temporary_folder
from v2skit.version import __version__

PREDICTOR = "predictor"
"""The part with the model that predicts inputs of the packed one."""
TRAINED = "trained"
"""The vocoder whose weights are in the pack."""


def pack(
    model: Path,
    out: Path,
    vocoder: Path | None,
    card: Card,
    voices: VoiceSources | None = None,
    precision: Precision = "float32",
) -> None:
    """Write a pack.

    Args:
        model: an experiment's folder, a V2A run or one of its checkpoints.
        out: the file, ending in ``.v2s``.
        vocoder: run of a trained vocoder, which goes into the pack; None: the vocoder of the model's config.
        card: for people.
        voices: to include; None: none.
        precision: of the stored matrices; the scores in the pack are those of the unrounded weights.

    Raises:
        UserError: there is no V2A model, it can't have these voices, or a pack can't hold the weights of its vocoder.
    """
    if out.suffix != SUFFIX:
        raise UserError(f"{out}: the name of a pack ends in {SUFFIX}")
    folder = checkpoint.folder_in(model, "stage 4 makes one")
    saved = checkpoint.load(folder)
    if saved.meta.task != "v2a":
        raise UserError(f"{folder} is no video-to-audio model; give an experiment's folder or a run of stage 4")
    trained = saved.meta  # with the absolute paths, which a pack has not
    saved = packable(saved, folder)
    config = checkpoint.config_of(trained)
    choice = to_tree(config.vocoder) if has_vocoder(config) else None
    if vocoder and choice is None:
        raise UserError(f"model {model} outputs waveforms and needs no vocoder; leave --vocoder out")
    if vocoder:
        same = choice and choice["type"] == TRAINED and _same_weights(choice["run"], vocoder)
        kept = choice if choice and same else {}  # arguments such as corrections
        choice = to_tree(check_component("vocoder", {**kept, "type": TRAINED, "run": str(vocoder)}, "--vocoder"))
    parts = {"model": saved}
    own: Any = None  # a plug-in's vocoder
    if config.predictor:
        theirs = place_in(config.predictor, "the model was trained with this predictor")
        parts[PREDICTOR] = packable(open_model(theirs, "model", ""), theirs)
        check_same_predictor(trained, parts[PREDICTOR].meta.digest, f"model {folder}", f"predictor {theirs}")
    if choice and choice["type"] == TRAINED:
        choice = dict(choice)
        theirs = place_in(choice.pop("run"), "give the run of a trained vocoder with --vocoder")
        parts["vocoder"] = packable(open_model(theirs, "vocoder", ""), theirs)
        features = parts["vocoder"].meta.features
        check_same_features(saved.meta.features, features, f"model {model}", f"vocoder {theirs}")
        check_same_targets(saved.meta.targets, parts["vocoder"].meta.targets, f"model {model}", f"vocoder {theirs}")
    elif choice and plugins.registry().entry("vocoder", choice["type"]).origin != "v2skit":
        decoder: Any = plugins.class_of("decoder", config.networks.decoder)
        own = build_vocoder(config, decoder.output, build_targets(config, saved.meta.targets))
    tensors = {name: stored(part.inference_weights, precision) for name, part in parts.items()}
    identities = {name: part.meta.digest for name, part in parts.items()}
    packed = choice
    if choice and hasattr(own, "digest"):
        identities["vocoder"], tensors["vocoder"] = own.digest, stored(own.state_dict(), precision)
        packed = {"type": choice["type"], **_pack_arguments(own, choice["type"])}
    voices = voices or VoiceSources()
    tensors[VOICE] = pack_voices.collect(saved.meta, voices)
    header = {
        "format": FORMAT,
        "v2skit": __version__,
        "card": dataclasses.asdict(card),
        "meta": {name: {**vars(part.meta), "files": {}} for name, part in parts.items()},
        "digest": {name: checkpoint.weights_digest(part) for name, part in tensors.items()},
        "vocoder": packed,
        "voices": list(tensors[VOICE]),
        "default_voice": voices.default,
        "scores": _scores(folder.resolve().parent.parent, identities, choice),
    }
    text = json.dumps(header)
    try:
        json.dumps(header, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise UserError("the text of the model card or the name of a voice is not UTF-8; give it in UTF-8") from error
    check_writable(json.loads(text), out)
    flat = {f"{name}.{key}": value.contiguous() for name, part in tensors.items() for key, value in part.items()}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(out) as folder:  # safetensors writes a temporary file of its own
            save_file(flat, folder / "pack", {KEY: text})
            (folder / "pack").chmod(0o644)  # for others to read; safetensors makes it readable for its owner only
            flush(folder / "pack")
            (folder / "pack").replace(out)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(
            f"{out} can't be written ({why}); free some disk space, or name a file in another folder"
        ) from error


def _pack_arguments(vocoder: Any, name: str) -> dict[str, Any]:
    """The arguments that build a plug-in's vocoder without its files. Raises UserError where it has none."""
    if not hasattr(vocoder, "pack_arguments"):
        raise UserError(
            f"vocoder '{name}' reads its weights from files and has no pack_arguments(), with which a pack could hold "
            "them; add it to the plug-in (docs/plugins.md), or give --vocoder RUN of a trained one instead"
        )
    return vocoder.pack_arguments()


def restore_vocoder(path: Path, vocoder: Any) -> None:
    """Load the weights of a plug-in's vocoder, where a pack has them. Raises UserError where they do not fit."""
    header = read_header(path)
    if "vocoder" in header.digest.keys() - header.meta.keys():
        checkpoint.restore(vocoder, read_tensors(path, header, "vocoder"), path)
        vocoder.digest = header.digest["vocoder"]


def _same_weights(*vocoders: str | Path) -> bool:
    """Whether vocoders have the same weights; not where one of them is gone."""
    with suppress(UserError):
        return len({open_model(vocoder, "vocoder", "train it").meta.digest for vocoder in vocoders}) == 1
    return False


def packable(saved: Checkpoint, folder: Path) -> Checkpoint:
    """A checkpoint without the plug-in files and classes that its model does not need.

    Raises:
        UserError: its model needs a plug-in file, or a class that no plug-in registers.
    """
    for code in own_code(model_tree(saved.meta.config, saved.meta.plugins)):
        raise UserError(f"{folder} needs {code}, which a pack can't hold; {PLUGIN}")
    config = packable_tree(saved.meta.config)
    return dataclasses.replace(saved, meta=dataclasses.replace(saved.meta, config=config))


def _scores(exp: Path, digests: dict[str, str], vocoder: dict | None) -> dict | None:
    """Row and protocols of an experiment's results that are scores of these weights; None where there are none."""
    scored = Provenance.read(exp / "scored.json")
    scores = read_state(exp / "results.json", "stage 6 with --force scores again")
    if scored is None or scores is None:
        return None
    through = {**vocoder, "digest": digests.get("vocoder")} if vocoder else None
    predictor = {PREDICTOR: digests[PREDICTOR]} if PREDICTOR in digests else {}
    packed = Provenance({"digest": digests["model"], "vocoder": through, **predictor})
    rows = scores.get("rows")
    for row, entry in rows.items() if isinstance(rows, dict) else ():
        made_from = scored.part(f"speech.{row}")
        arguments = {key for key in (*made_from.values, *packed.values) if key.startswith("vocoder.")}
        if not made_from.diff(packed, only={"digest", PREDICTOR, *arguments} - {"vocoder.run"}):
            return {"row": entry, "protocols": scores.get("protocols", {})}
    return None


def read_voices(path: Path) -> tuple[dict[str, np.ndarray], str | None]:
    """The speaker vectors in a pack, float32 (S,), by name, and the name of its default voice. Raises UserError where
    it is no pack, or is damaged."""
    header = read_header(path)
    vectors = read_tensors(path, header, VOICE)
    default = header.default_voice
    return pack_voices.checked(header.meta["model"], vectors, default, path), default


def vocoder_of(path: Path) -> Component | None:
    """The vocoder of a pack, checked as in a config; None where its model needs none.

    Raises:
        UserError: it is no pack, or has no vocoder that a pack may have: only its own file is read.
    """
    header = read_header(path)
    if header.vocoder is None:
        if has_vocoder(checkpoint.config_of(header.meta["model"])):
            raise damaged(path, "its model outputs mels, but it has no vocoder", REMEDY)
        return None
    choice = dict(header.vocoder)
    if choice.get("type") == TRAINED:
        choice["run"] = str(path)
        if header.format < 3:  # all trained vocoders were corrected then
            choice.setdefault("corrections", ROUNDS)
    try:
        vocoder = check_component("vocoder", choice, f"the vocoder of {path}")
    except UserError as error:
        raise UserError(f"{error}; {REMEDY}", **error.fields) from error
    return vocoder


def has_vocoder(config: Config) -> bool:
    """Whether a V2A model's stream still has to become a waveform."""
    decoder: Any = plugins.class_of("decoder", config.networks.decoder)
    return decoder.output != "waveform"


def describe(path: Path) -> str:
    """A description of a pack, for people. Raises UserError where it is none."""
    header = read_header(path)
    meta, card = header.meta["model"], header.card
    config = Provenance(meta.config).values  # not checked: a plug-in that it needs may not be installed

    def setting(key: str) -> str:
        return str(config.get(key, "unknown"))

    size = f"{path.stat().st_size / 1e6:.1f} MB"
    lines = [f"{card.name}: video-to-speech, packed by v2skit {header.v2skit}, {size}", "", *card.lines()]
    parts = ", ".join(setting(f"networks.{part}.type") for part in ("visual_frontend", "speaker", "encoder", "decoder"))
    lines += ["", f"model:     {parts}; {meta.step} steps, digest {header.digest['model']}"]
    lines.append(f"weights:   {stored_precision(path)}")
    lines.append(f"vocoder:   {header.vocoder.get('type') if header.vocoder else 'none, it outputs waveforms'}")
    lines.append(described_signals(config))
    lines.append(f"plug-ins:  {', '.join(_described_plugins(header)) or 'none'}")
    if voices := named_voices(header):
        default = f"; default: {header.default_voice}" if header.default_voice else ""
        lines.append(f"voices:    {', '.join(voices)}{default}")
    scores = _described_scores(Provenance(header.scores or {}).part("row").values)
    if scores:
        lines.append("scores:    on its own test set, with 95 % intervals; WER and CER in %")
        lines += [f"{'':10} {score}" for score in scores]
    return printable_lines("\n".join(lines))


def described_signals(config: Mapping[str, Any]) -> str:
    """Sound and picture of a model: a line of its description, for people.

    Args:
        config: of the model, by dotted keys, perhaps without some.
    """
    rate, fps, side, crop = (
        config.get(key, "unknown") for key in ("clock.sample_rate", "clock.fps", "crop.size", "augmentation.crop")
    )
    crops = f"mouth crops of {side} pixels, of which the networks see the central {crop}"
    return f"sound:     {rate} Hz; picture: {fps} frames/s, {crops}"


def named_voices(header: Header) -> list[str]:
    """The voices of a pack that have names: packed ones, and the speakers of a table."""
    meta = header.meta["model"]
    table = Provenance(meta.config).values.get("networks.speaker.type") == "table"
    return [*header.voices, *(meta.speakers if table else [])]


def _described_plugins(header: Header) -> list[str]:
    """The plug-ins that a pack needs, with version and digest of the source, and where those here are others."""
    found = []
    for name, version in sorted({pair for meta in header.meta.values() for pair in meta.plugins.items()}):
        before = {digest for meta in header.meta.values() if (digest := meta.sources.get(name))}
        here = sources.digests([name]).get(name) if before else None
        other = f", here {here}" if here and before != {here} else ""
        note = f" (source {', '.join(sorted(before))}{other})" if before else ""
        found += [f"{name} {version}{note}"] if name != "v2skit" else []
    return found


def _described_scores(row: Mapping[str, Any]) -> list[str]:
    """Mean and interval of each metric of a results row, such as ``estoi 0.45 [0.44, 0.47]``."""
    numbers = {key: f"{value:.3g}" for key, value in row.items() if isinstance(value, (int, float))}

    def described(metric: str) -> str:
        mean, low, high = (numbers.get(f"{metric}.{key}", "?") for key in ("mean", "low", "high"))
        return f"{metric} {mean} [{low}, {high}]"

    return [described(key.removesuffix(".mean")) for key in numbers if key.endswith(".mean")]
