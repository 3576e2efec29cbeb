"""``v2skit pack``: a model and its vocoder in one file."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from v2skit.cli.options import Commands, add_command, add_output, check_output
from v2skit.errors import UserError

if TYPE_CHECKING:
    from v2skit.models.pack_header import Card

CARD = {"name": "its name", "data": "what it was trained on", "licence": "for its use", "notes": "anything else"}


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "pack", "write a finished model with its vocoder to one file")
    command.add_argument("model", type=Path, metavar="EXP", help="an experiment's folder, or a V2A run or checkpoint")
    add_output(command, ".v2s")
    command.add_argument(
        "--vocoder", help="a trained vocoder's run, or a pack with one, instead of the model's own vocoder"
    )
    text = "a voice to pack: a recording, of which only a d-vector is kept; may be given again"
    command.add_argument("--voice", action="append", default=[], metavar="NAME=RECORDING", help=text)
    text = (
        "a prepared data directory, e.g. that of the training: each of its speakers becomes a voice; may be given again"
    )
    command.add_argument("--voices", type=Path, action="append", default=[], metavar="DATA_DIR", help=text)
    text = "the voice that is used where none is named; default: the only one, or that of the model"
    command.add_argument("--default-voice", metavar="NAME", help=text)
    text = (
        "a YAML file with fields of the model card, such as egs/grid/card.yaml; given again, the data, limits, notes "
        "and credits of that file are added, its other fields replace those before"
    )
    command.add_argument("--card", type=Path, action="append", default=[], metavar="FILE", help=text)
    for name, what in CARD.items():
        command.add_argument(f"--{name}", default="", metavar="TEXT", help=f"for the model card: {what}")
    smaller = command.add_mutually_exclusive_group()
    for precision, option, size in (("float16", "--half", "half"), ("int8", "--int8", "a quarter of")):
        text = f"store weights as {precision}, {size} the size"
        smaller.add_argument(option, action="store_const", dest="precision", const=precision, help=text)
    command.set_defaults(run=run, precision="float32")


def run(options: argparse.Namespace) -> None:
    """Pack the model and print the size of the file, and whether it has scores."""
    from v2skit.hub.fetch import local_path
    from v2skit.models.pack_header import read_card, read_header, with_credits
    from v2skit.models.pack_voices import VoiceSources
    from v2skit.models.package import pack
    from v2skit.publishing.card import unstated

    check_output(options)
    given = {name: getattr(options, name) for name in CARD}
    card = read_card(*options.card, **given)
    card = card if card.name else replace(card, name=options.out.stem)
    recordings = {}
    for text in options.voice:
        name, equals, recording = text.partition("=")
        if not (name and equals and recording):
            raise UserError(f"--voice {text} is not of the form NAME=RECORDING, e.g. anna=anna.wav")
        recordings[name] = Path(recording)
    voices = VoiceSources(recordings, options.voices, options.default_voice)
    vocoder = None if options.vocoder is None else local_path(options.vocoder)
    starts, unknown = _starts(options.model, vocoder)
    card = with_credits(card, starts)
    pack(options.model, options.out, vocoder, card, voices, options.precision)
    size = options.out.stat().st_size / 1e6
    print(f"model: {options.out} ({size:.1f} MB); v2skit info {options.out} describes it")
    header = read_header(options.out)
    if lacking := unstated(header.card):
        print(f"the card does not state {', '.join(lacking)}; --card FILE gives them")
    for start in unknown:
        print(f"note: {start} is not here or has no card; if it requires credits, add them with --card")
    if header.scores is None:
        print("without scores: no results of these weights and this vocoder; stages 5 and 6 before packing add them")


def _starts(model: Path, vocoder: Path | None) -> tuple[list[Card], list[str]]:
    """The cards of the packs that a model or its vocoder was trained further from, that its losses or its inputs are
    of, or that the vocoder is of; and what may be further such models, but is not here or is bare weights."""
    from v2skit.hub.address import SUFFIX
    from v2skit.models import checkpoint
    from v2skit.models.pack_header import read_header
    from v2skit.recipes.trained_on import place_near, trained_on

    place = checkpoint.folder_in(model, "stage 4 makes one")
    config = checkpoint.read_meta(place).config  # unchecked: pack tells what it can't hold
    near = [*place.resolve().parents, Path()]
    chosen = vocoder or (config.get("vocoder") or {}).get("run")
    places = [place, *([place_near(str(chosen), "finetune", () if vocoder else near)] if chosen else [])]
    known = [trained_on(place) for place in places]
    packs = {start.resolve(): start for found in known for start in found.models if start.suffix == SUFFIX}
    unknown = set[str]().union(*(found.missing | found.foreign for found in known))
    return [read_header(start).card for start in packs.values()], sorted(unknown)
