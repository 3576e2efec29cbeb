"""``v2skit data``: commands about a recipe's data."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from v2skit.cli.options import Commands, Parser, add_command, add_recipe, config_path
from v2skit.errors import UserError

if TYPE_CHECKING:
    from v2skit.recipes.recipe import Recipe


def add(commands: Commands) -> None:
    """Add ``data`` with its commands."""
    text = "inspect a recipe's data, export it or derive other data from it"
    commands = add_command(commands, "data", text).add_subparsers(required=True, metavar="COMMAND")
    text = "estimate the hours, disk space and time that preparation (stage 1) will need, from samples"
    command = add_command(commands, "estimate", text)
    _add_options(command)
    text = "sources to prepare for it, audio-visual and audio-only ones separately; default: 20"
    command.add_argument("--sample", type=int, default=20, metavar="N", help=text)
    command.set_defaults(run=estimate_data)
    text = "describe the data directories and their overlap; also in check.md and check.json in their folder"
    command = add_command(commands, "check", text)
    _add_options(command)
    command.set_defaults(run=check_data)
    text = "write a data directory as cuts of Lhotse, in its Shar format, or as a WebDataset"
    command = add_command(commands, "export", text)
    command.add_argument("directory", type=Path, metavar="DIR", help="a data directory, such as data/train")
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new folder")
    command.add_argument("--format", choices=("lhotse", "shar", "webdataset"), default="shar", help="default: shar")
    text = "of shar and webdataset; default: 1000"
    command.add_argument("--shard-size", type=int, default=1000, metavar="UTTERANCES", help=text)
    command.set_defaults(run=export_data)
    text = "write a data directory with a share of another one's utterances, which refers to its audio and video"
    command = add_command(commands, "subset", text)
    command.add_argument("directory", type=Path, metavar="DIR", help="a data directory, such as data/train")
    text = "above 0 and at most 1; a larger share contains every smaller one"
    command.add_argument("--share", type=float, required=True, help=text)
    command.add_argument("--out", type=Path, metavar="FOLDER", help="default: DIR_SHARE, such as data/train_0.25")
    command.set_defaults(run=subset_data)
    text = "write a data directory with another one's utterances, whose audio is shifted to where a model's speech is"
    command = add_command(commands, "align", text)
    command.add_argument("directory", type=Path, metavar="DIR", help="a data directory, such as data/train")
    text = "folder of speech for its videos, which v2skit synth-data writes"
    command.add_argument("--speech", type=Path, required=True, metavar="FOLDER", help=text)
    command.add_argument("--out", type=Path, metavar="FOLDER", help="default: DIR_aligned, such as data/train_aligned")
    _add_replace(command, "of other speech or clips")
    command.set_defaults(run=align_data)
    text = "write a data directory with another one's utterances, and with these once more in other voices"
    command = add_command(commands, "voices", text)
    command.add_argument("directory", type=Path, metavar="DIR", help="a data directory, such as data/train")
    text = "median F0 of the voices, Hz; default: 90 130 180 220"
    pitches = [90.0, 130.0, 180.0, 220.0]
    command.add_argument("--pitch", type=float, nargs="+", default=pitches, metavar="HZ", help=text)
    text = "how many of the pitches an utterance has at most, in addition to its own; default: all"
    command.add_argument("--each", type=int, metavar="NUMBER", help=text)
    command.add_argument("--out", type=Path, metavar="FOLDER", help="default: DIR_voices, such as data/train_voices")
    _add_replace(command, "of other pitches or clips")
    command.set_defaults(run=voices_data)
    text = "write a data directory with another one's utterances, and with further ones spliced from those of a speaker"
    command = add_command(commands, "splice", text)
    command.add_argument("directory", type=Path, metavar="DIR", help="a data directory, such as data/train")
    text = "further utterances that begin with the words of each one; default: 2"
    command.add_argument("--copies", type=int, default=2, metavar="NUMBER", help=text)
    text = "ctm file with the times of the words; default: forced alignment of English by PocketSphinx"
    command.add_argument("--words", type=Path, metavar="FILE", help=text)
    command.add_argument("--out", type=Path, metavar="FOLDER", help="default: DIR_spliced, such as data/train_spliced")
    _add_replace(command, "of other words or clips")
    command.set_defaults(run=splice_data)


def _add_replace(command: Parser, others: str) -> None:
    """Add ``--replace``; ``others``: what is replaced."""
    text = f"delete what the same command wrote into the folder {others}, and write it again"
    command.add_argument("--replace", action="store_true", help=text)


def _add_options(command: Parser) -> None:
    add_recipe(command)
    text = "the corpus as published, for recipes that do not make it"
    command.add_argument("--corpus_dir", type=Path, help=text)
    command.add_argument("--seed", type=int, default=0, help="of random choices; default: 0")


def _recipe(options: argparse.Namespace) -> Recipe:
    """The recipe that the options name; nothing is written to its experiment."""
    import torch

    from v2skit.config.load import load_config
    from v2skit.recipes.recipe import Recipe

    if options.seed < 0:
        raise UserError(f"--seed {options.seed} must not be negative")
    corpus = [f"corpus.corpus_dir={json.dumps(str(options.corpus_dir.absolute()))}"] if options.corpus_dir else []
    config = load_config(config_path(options), [*options.set, *corpus])
    return Recipe(config, options.work_dir, options.work_dir / "exp", force=False, device=torch.device("cpu"))


def check_data(options: argparse.Namespace) -> None:
    """``v2skit data check``."""
    from v2skit.preparation.inspect import check

    recipe = _recipe(options)
    data = recipe.config.data
    names = dict.fromkeys([*data.pretrain, data.train, data.pretrain_valid, data.valid, data.test])
    found = {name: recipe.data(name) for name in names}
    print(check(found, data, recipe.config.prepare.filters, recipe.data_folder, recipe.build_corpora(), options.seed))


def estimate_data(options: argparse.Namespace) -> None:
    """``v2skit data estimate``."""
    from v2skit.preparation.estimate import estimate
    from v2skit.preparation.estimate_text import describe
    from v2skit.recipes.data import check_names

    recipe = _recipe(options)
    config = recipe.config
    corpora = recipe.build_corpora()
    for corpus in corpora:
        print(corpus.obtain())
    check_names(corpora)
    found = estimate(
        corpora,
        tracker=config.tracker,
        clock=config.clock,
        crop=config.crop,
        output=recipe.data_folder,
        settings=config.prepare,
        video_only_ok={config.data.test},
        sample=options.sample,
        seed=options.seed,
    )
    print(describe(found))


def export_data(options: argparse.Namespace) -> None:
    """``v2skit data export``."""
    from v2skit.data.export import export_data_dir

    print(export_data_dir(options.directory, options.out, options.format, options.shard_size))


def subset_data(options: argparse.Namespace) -> None:
    """``v2skit data subset``."""
    from v2skit.recipes.subsets import write_share

    out = options.out or _derived_folder(options.directory, f"{options.share:g}")
    print(write_share(options.directory, options.share, out))


def align_data(options: argparse.Namespace) -> None:
    """``v2skit data align``."""
    from v2skit.recipes.aligned import write_aligned

    out = options.out or _derived_folder(options.directory, "aligned")
    print(write_aligned(options.directory, options.speech, out, options.replace))


def voices_data(options: argparse.Namespace) -> None:
    """``v2skit data voices``."""
    from v2skit.recipes.voices import write_voices

    out = options.out or _derived_folder(options.directory, "voices")
    print(write_voices(options.directory, options.pitch, options.each, out, options.replace))


def splice_data(options: argparse.Namespace) -> None:
    """``v2skit data splice``."""
    from v2skit.evaluation.forced_alignment import ForcedAligner
    from v2skit.recipes.spliced import write_spliced

    out = options.out or _derived_folder(options.directory, "spliced")
    align = None if options.words else ForcedAligner().words
    print(write_spliced(options.directory, options.copies, out, options.words, align, options.replace))


def _derived_folder(directory: Path, name: str) -> Path:
    """The folder of a data directory's derived one: data/train -> data/train_NAME."""
    return Path(f"{os.path.normpath(directory.absolute())}_{name}")
