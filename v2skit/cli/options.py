"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from v2skit.errors import UserError

if TYPE_CHECKING:  # imported by the commands that need them
    import numpy as np

    from v2skit.registry.component import Component
    from v2skit.registry.files import PluginFile
    from v2skit.synthesis.synthesiser import Synthesiser
    from v2skit.tracking.tracker import Tracker


class Parser(argparse.ArgumentParser):
    """A parser whose errors may end with a hint; that of ``v2skit`` knows its commands."""

    hint = ""
    commands: Commands

    def error(self, message: str) -> NoReturn:
        """Print usage and message, with the hint where arguments are missing or unknown; exit with status 2."""
        about_commands = message.startswith(("unrecognized", "the following arguments"))
        super().error(f"{message}; {self.hint}" if self.hint and about_commands else message)


Commands = argparse._SubParsersAction


def add_command(commands: Commands, name: str, text: str) -> Parser:
    """A command with its description; it is refused with its own usage where an option is unknown."""
    command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    command.set_defaults(parser=command)
    return command


def add_recipe(command: Parser) -> None:
    """Options that name a recipe."""
    text = "a file, sought in the recipe's folder too; default: conf/mel.yaml"
    command.add_argument("--config", type=Path, default=Path("conf/mel.yaml"), help=text)
    command.add_argument("--work_dir", type=Path, default=Path(), help="the recipe's folder; default: .")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a config key")


def config_path(options: argparse.Namespace) -> Path:
    """The config that the options of a recipe name, from the working directory or else from the recipe's folder."""
    there = options.work_dir / options.config
    return there if not options.config.exists() and there.exists() else options.config


def add_config(command: Parser) -> None:
    """A config whose plug-in files are listed too."""
    command.add_argument("--config", type=Path, help="also list the plug-in files of this config, which runs them")


def plugins_of(options: argparse.Namespace) -> list[PluginFile]:
    """The plug-in files of the config that the options name. Raises UserError."""
    from v2skit.config.load import load_plugins

    return load_plugins(options.config) if options.config else []


def add_model(command: Parser, live: bool = False) -> None:
    """Options that name a model, its vocoder and its device; for live video where ``live`` is set."""
    text = "a packed model (file, installed:NAME or hf://owner/name), a V2A run or checkpoint, or an ONNX file"
    text += "; default: the one that is installed with v2skit"
    command.add_argument("--model", help=text)
    command.set_defaults(live=live, backend=None)
    command.add_argument("--vocoder", help="run, checkpoint or pack of a trained vocoder to use instead")
    command.add_argument("--device", default="auto", help="auto, cpu or cuda; default: auto")
    add_trust(command)


def add_trust(command: Parser) -> None:
    """The permission to run the code that comes with checkpoints and experiments."""
    text = "run plug-in files that are saved in checkpoints and experiments, and classes of modules not installed"
    command.add_argument("--trust-plugins", action="store_true", help=text)


def add_tracker(command: Parser) -> None:
    """The choice of a tracker."""
    text = "tracker of the mouth, a name or {type: NAME, ...}; default: that of the model's training"
    command.add_argument("--tracker", help=text)


def add_talker(command: Parser) -> None:
    """The choices of a face and of a voice."""
    command.add_argument("--face", type=int, metavar="N", help="which face, 1 is the largest; default: 1")
    text = "a voice of the model, or for a model with d-vectors a recording; default: that of the model"
    command.add_argument("--voice", help=text)


def add_output(command: Parser, suffix: str) -> None:
    """Options that name a file to write, which ends in ``suffix``."""
    command.add_argument("-o", "--out", type=Path, required=True, help=f"the file, ending in {suffix}")
    command.add_argument("--force", action="store_true", help="replace the file")


def check_output(options: argparse.Namespace) -> None:
    """Raises UserError where the file to write exists and may not be replaced."""
    if os.path.lexists(options.out) and not options.force:
        raise UserError(f"{options.out} exists; name another file with -o, or replace it with --force")


def chosen_model(options: argparse.Namespace, option: str = "--model") -> Path:
    """The model that the options name, fetched once where that is an address on a hub, else the one that is installed
    with v2skit, which is then named on standard error, with the option for another one. Raises UserError where there is
    none."""
    from v2skit.hub.fetch import local_path
    from v2skit.hub.installed import default_model
    from v2skit.models.pack_header import printable_lines, read_header

    if options.model is not None:
        options.model = local_path(options.model)
        return options.model
    options.model = default_model(options.live)
    name = " ".join(printable_lines(read_header(options.model).card.name).split()) or options.model.name
    print(f"model: {name}, installed with v2skit; {option} names another", file=sys.stderr)
    return options.model


def load_model(options: argparse.Namespace) -> tuple[Synthesiser, Tracker]:
    """The model and the tracker that the options name, with the chosen face. Raises UserError."""
    from v2skit.registry import plugins
    from v2skit.synthesis.synthesiser import load

    warn_of_broken(plugins.registry().broken)
    choice = chosen_tracker(options)  # before the model, which takes longer to load
    model = load(chosen_model(options), options.device, options.vocoder, backend=options.backend)
    return model, model.tracker(_with_face(choice or model.config.tracker, options.face))


def chosen_voice(options: argparse.Namespace, model: Synthesiser) -> np.ndarray:
    """The input of the speaker component for the voice that the options name; where they name none, the voice that is
    used is named on standard error. Raises UserError."""
    speaker = model.voice(options.voice)
    if options.voice is None and model.default_voice:
        print(f"voice: {model.default_voice}, the model's default; --voice names another", file=sys.stderr)
    return speaker


def print_headline(model: Synthesiser, file: TextIO | None = None) -> None:
    """Print what the model was made for, where its card says so; to standard output, or to ``file``."""
    if model.card.headline:
        print(model.card.headline, file=file)


def chosen_tracker(options: argparse.Namespace) -> Component | None:
    """The tracker that the options name; None: that of the model's training. Raises UserError."""
    from v2skit.config.load import parse_component

    return parse_component("tracker", options.tracker, "--tracker") if options.tracker else None


def _with_face(tracker: Component, face: int | None) -> Component:
    """The choice of a tracker that follows face ``face``. Raises UserError where it can't choose one."""
    from v2skit.registry.kinds import arguments
    from v2skit.registry.plugins import class_of

    if face is None:
        return tracker
    if "face" not in arguments("tracker", class_of("tracker", tracker)):
        raise UserError(f"tracker '{tracker.type}' can't choose a face; leave --face out, or use --tracker face_mesh")
    return replace(tracker, args={**tracker.args, "face": face})


def warn_of_broken(plugins: dict[str, str]) -> None:
    """Name broken plug-ins, with the reason, on standard error."""
    for name, reason in plugins.items():
        print(f"v2skit: plug-in '{name}' is broken and left out: {reason}", file=sys.stderr)
