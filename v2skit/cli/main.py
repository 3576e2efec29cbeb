"""The command line: parses, then calls one function per command."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from v2skit.cli import data as data_cli
from v2skit.errors import UserError
from v2skit.registry import plugins
from v2skit.registry.kinds import KINDS, arguments
from v2skit.system.extras import missing
from v2skit.system.process import sleep_soon
from v2skit.version import __version__

if TYPE_CHECKING:  # imported by the commands that need them
    import torch

    from v2skit.registry.component import Component
    from v2skit.synthesis.api import VideoToSpeech
    from v2skit.tracking.tracker import Tracker
    from v2skit.training.distributed import Processes


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit status: 0, 1 for an error of the user's, 130 after Ctrl-C."""
    sleep_soon()
    options = _parser().parse_args(argv)
    options.argv = list(sys.argv[1:] if argv is None else argv)
    try:
        options.run(options)
    except UserError as error:
        print(f"v2skit: error: {error}", file=sys.stderr)
        return 1
    except ImportError as error:
        lacking = missing(error, "this command")
        if lacking is None:
            raise
        print(f"v2skit: error: {lacking}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print(f"\nv2skit: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:  # a full disk, a folder that can't be written
        goes_on = "; what was finished is kept, the same command goes on" if hasattr(options, "stage") else ""
        print(f"v2skit: error: {error}{goes_on}", file=sys.stderr)
        return 1
    return 0


SOURCE = "camera[:N], a file, or - (raw RGB on standard input); default: camera"
OUT = "folder for the sound files, or for one video a .wav or .flac file; default: beside each video"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("v2skit", description=__doc__.partition(":")[0], allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"v2skit {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("components", help="list every component with its arguments and defaults")
    command.add_argument("kind", nargs="?", help=f"one of: {', '.join(KINDS)}")
    command.set_defaults(run=list_components)

    command = commands.add_parser("plugins", help="list the plug-ins, their versions and what each brings")
    command.set_defaults(run=list_plugins)

    stages = {
        "obtain": "stage 0: generate the corpus, or check that it is there",
        "prepare": "stage 1: prepare data directories",
        "pretrain": "stage 2: train the audio-to-audio model, or the vocoder (trains: vocoder)",
        "transfer": "stage 3: initialise the video-to-audio model from it, with a ledger",
        "finetune": "stage 4: train the video-to-audio model, and one from scratch; or the vocoder, on predicted mels",
        "synth": "stage 5: speak the test set; or speak videos (VIDEO... --model M), or a data directory (--data_dir)",
        "score": "stage 6: score it",
    }
    for name, text in stages.items():
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        command.add_argument("--config", type=Path, default=Path("conf/mel.yaml"), help="default: conf/mel.yaml")
        command.add_argument("--exp", type=Path, help="default: exp/<config name>")
        command.add_argument("--work_dir", type=Path, default=Path(), help="the recipe's folder; default: .")
        command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a config key")
        command.add_argument("--force", action="store_true", help="do the stage again though it is finished")
        command.add_argument("--device", default="auto", help="auto, cpu or cuda; default: auto")
        command.add_argument("--nproc", type=int, default=1, help="training processes on this machine; default: 1")
        command.add_argument("--nnodes", type=int, default=1, help="machines that run this command; default: 1")
        command.add_argument("--rdzv", default="", metavar="HOST:PORT", help="where they meet; Slurm tells it itself")
        command.set_defaults(run=run_stage, stage=name)
        if name == "synth":
            help = "files, or folders (without those in them), with --model; finished ones are left as they are"
            command.add_argument("videos", type=Path, nargs="*", metavar="VIDEO", help=help)
            command.add_argument("--model", type=Path, help="a V2A run or checkpoint folder, or a packed model")
            command.add_argument("--data_dir", type=Path, help="a prepared data directory")
            command.add_argument("-o", "--out", type=Path, help=OUT)
            command.add_argument(
                "--tracker", help="of the mouths, a name or {type: NAME, ...}; default: the training's"
            )
            command.add_argument("--face", type=int, metavar="N", help="which face, 1 is the largest; default: 1")
            command.add_argument("--voice", help="a speaker that the model knows, or a recording, as the model takes")
            command.add_argument("--mux", action="store_true", help="also write the video with the speech in it")
            command.add_argument("--report", action="store_true", help="also write that and an HTML page about it")
            command.add_argument("--vocoder", type=Path, help="with --model: a trained vocoder's run or checkpoint")

    data_cli.add_commands(commands)

    text = "copy a shipped recipe, or make one for your own folder of videos; it runs at once"
    command = commands.add_parser("new-recipe", help=text, description=text, allow_abbrev=False)
    command.add_argument("name", help="of a shipped recipe (mini, grid, ...) or a new one; it goes to egs/NAME")
    command.add_argument("--corpus_dir", type=Path, help="of the videos; then run.sh needs no option")
    command.set_defaults(run=make_recipe)

    text = "kill training at random moments, go on, and compare all losses and weights with an uninterrupted run"
    command = commands.add_parser("verify-resume", help=text, description=text, allow_abbrev=False)
    command.add_argument("--config", type=Path, default=Path("conf/mel.yaml"), help="default: conf/mel.yaml")
    command.add_argument("--work_dir", type=Path, default=Path(), help="the recipe's folder, prepared; default: .")
    command.add_argument("--exp", type=Path, help="for the two runs, emptied before; default: exp/verify_resume")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a config key")
    command.add_argument("--steps", type=int, default=40, help="of pre-training; default: 40")
    command.add_argument("--kills", type=int, default=3, help="default: 3")
    command.add_argument("--seed", type=int, default=0, help="of the moments; default: 0")
    command.add_argument("--device", default="cpu", help="auto, cpu or cuda; default: cpu, where results are exact")
    command.add_argument("--nproc", type=int, default=1, help="training processes; default: 1")
    command.set_defaults(run=verify)

    text = "speak live: from a camera, a file or raw frames, to a sound device, a file or standard output"
    command = commands.add_parser("stream", help=text, description=text, allow_abbrev=False)
    _add_model(command)
    command.add_argument("--face", type=int, metavar="N", help="which face, 1 is the largest; default: 1")
    command.add_argument("--voice", help="a voice that the model knows, or a recording, as the model takes")
    command.add_argument("source", nargs="?", default="camera", help=SOURCE)
    command.add_argument("-o", "--out", default="device", help="device[:NAME], .wav or - (raw 16-bit); default: device")
    command.add_argument("--size", metavar="WxH", help="of raw frames; or what to ask of the camera")
    command.add_argument("--fps", type=float, help="likewise, frames a second")
    command.add_argument(
        "--realtime", action="store_true", help="a file's frames come at their times, as a camera's do"
    )
    command.add_argument("--force", action="store_true", help="overwrite a sound file that is there")
    command.add_argument("--chunk", type=int, default=1, metavar="FRAMES", help="computed together; default: 1")
    command.set_defaults(run=stream)

    text = "open a local page to try a model: drop a video or use the webcam, hear its speech"
    command = commands.add_parser("serve", help=text, description=text, allow_abbrev=False)
    _add_model(command)
    command.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine alone")
    command.add_argument("--port", type=int, default=7860, help="default: 7860")
    command.add_argument("--max_mb", type=int, default=200, help="size of a video, MB; default: 200")
    command.add_argument("--max_seconds", type=int, default=60, help="length of a video; default: 60")
    command.set_defaults(run=serve_page)

    text = "write a finished model with its vocoder to one file"
    command = commands.add_parser("pack", help=text, description=text, allow_abbrev=False)
    command.add_argument("model", type=Path, metavar="EXP", help="an experiment's folder, or a V2A run or checkpoint")
    command.add_argument("-o", "--out", type=Path, required=True, help="the file, ending in .v2s")
    command.add_argument("--vocoder", type=Path, help="a trained vocoder's run instead of the model's own vocoder")
    text = "a voice to go with the model: a recording, of which only a d-vector is kept; may be given again"
    command.add_argument("--voice", action="append", default=[], metavar="NAME=RECORDING", help=text)
    card = {"name": "its name", "data": "what it was trained on", "licence": "for its use", "notes": "anything else"}
    for name, what in card.items():
        command.add_argument(f"--{name}", default="", metavar="TEXT", help=f"for the model card: {what}")
    command.set_defaults(run=pack_model)

    text = "tell what a packed model is"
    command = commands.add_parser("info", help=text, description=text, allow_abbrev=False)
    command.add_argument("model", type=Path, metavar="FILE")
    command.set_defaults(run=show_info)
    return parser


def _add_model(command: argparse.ArgumentParser) -> None:
    """Options of commands that let a model speak."""
    command.add_argument("--model", type=Path, required=True, help="a packed model, or a V2A run or checkpoint")
    command.add_argument("--vocoder", type=Path, help="a trained vocoder's run or checkpoint instead of its own")
    command.add_argument("--tracker", help="of the mouths, a name or {type: NAME, ...}; default: the training's")
    command.add_argument("--device", default="auto", help="auto, cpu or cuda; default: auto")


def make_recipe(options: argparse.Namespace) -> None:
    """``v2skit new-recipe NAME``."""
    from v2skit.recipes.new_recipe import new_recipe

    print(new_recipe(options.name, options.corpus_dir))


def verify(options: argparse.Namespace) -> None:
    """``v2skit verify-resume``."""
    from v2skit.recipes.verify_resume import Check, verify_resume

    folder = options.exp or options.work_dir / "exp/verify_resume"
    how = {name: getattr(options, name) for name in ("config", "work_dir", "steps", "kills", "seed", "device", "nproc")}
    print(verify_resume(Check(folder=folder, sets=options.set, **how)))


def stream(options: argparse.Namespace) -> None:
    """``v2skit stream``."""
    from v2skit.synthesis.files import write_picture
    from v2skit.synthesis.live.live import Live
    from v2skit.synthesis.live.sinks import check_target, open_sink
    from v2skit.synthesis.live.sources import open_source
    from v2skit.tracking.follow import FacesError

    model, tracker = _loaded(options)
    live = Live(model.synthesiser, tracker, model.voice(options.voice), options.chunk)
    source = open_source(options.source, options.size, options.fps, options.realtime)
    check_target(options.out, source.path, options.force)
    with open_sink(options.out, model.sample_rate) as sink:
        delay = f"{live.algorithmic_delay * 1000:.0f} ms"
        print(f"speaking {options.source}, {delay} behind at the least; Ctrl-C ends", file=sys.stderr)
        report = live.run(source, sink)
    print(report, file=sys.stderr)
    if isinstance(report.error, FacesError):
        picture = Path("faces.png")
        write_picture(picture, report.error.picture)
        raise UserError(f"{report.error}; {picture} shows them")
    if report.error:
        raise report.error


def serve_page(options: argparse.Namespace) -> None:
    """``v2skit serve``."""
    from v2skit.web.serve import serve

    limits = {"max_mb": options.max_mb, "max_seconds": options.max_seconds}
    how = {"device": options.device, "vocoder": options.vocoder, "tracker": _tracker(options)}
    serve(options.model, options.host, options.port, **limits, **how)


def _loaded(options: argparse.Namespace) -> tuple[VideoToSpeech, Tracker]:
    """The model of :func:`_add_model`'s options, and its tracker, with the face that was chosen."""
    from v2skit.synthesis.api import load
    from v2skit.synthesis.files import with_face

    model = load(options.model, options.device, options.vocoder)
    choice = _tracker(options) or model.synthesiser.config.tracker
    return model, model.tracker(with_face(choice, options.face))


def _tracker(options: argparse.Namespace) -> Component | None:
    """The choice of a tracker; None: that of the model's training."""
    from v2skit.config.load import parse_component

    return parse_component("tracker", options.tracker, "--tracker") if options.tracker else None


def pack_model(options: argparse.Namespace) -> None:
    """``v2skit pack EXP -o model.v2s``."""
    from v2skit.models.package import Card, pack

    card = Card(options.name or options.out.stem, options.data, options.licence, options.notes)
    recordings = {}
    for text in options.voice:
        name, equals, recording = text.partition("=")
        if not (name and equals and recording):
            raise UserError(f"--voice {text} is not of the form NAME=RECORDING, e.g. anna=anna.wav")
        recordings[name] = Path(recording)
    pack(options.model, options.out, options.vocoder, card, recordings)
    size = options.out.stat().st_size / 1e6
    print(f"model: {options.out} ({size:.1f} MB); v2skit info {options.out} tells what it is")


def show_info(options: argparse.Namespace) -> None:
    """``v2skit info model.v2s``."""
    from v2skit.models.package import describe

    print(describe(options.model))


def list_components(options: argparse.Namespace) -> None:
    """``v2skit components [kind]``."""
    from v2skit.config.load import to_tree

    registry = plugins.registry()
    if options.kind is not None and options.kind not in KINDS:
        registry.entry(options.kind, "")
    for kind in [options.kind] if options.kind else KINDS:
        print(f"{kind}: {KINDS[kind].purpose}")
        for entry in registry.entries(kind):
            origin = "" if entry.origin == "v2skit" else f"  [{entry.origin}]"
            try:
                component = entry.load()
            except UserError as error:
                print(f"  {entry.name}{origin}\n      {error}")
                continue
            print(f"  {entry.name}{origin}\n      {(inspect.getdoc(component) or '').partition(chr(10))[0]}")
            for name, parameter in arguments(kind, component).items():
                required = parameter.default is inspect.Parameter.empty
                print(f"      {name}: {'(required)' if required else repr(to_tree(parameter.default))}")
    _name_broken(registry.broken)


def list_plugins(options: argparse.Namespace) -> None:
    """``v2skit plugins``."""
    registry, found = plugins.load()
    for plugin in found:
        print(f"{plugin.name} {plugin.version}")
        if plugin.error:
            print(f"  broken: {plugin.error}")
        for entry in registry.entries():
            if entry.origin == plugin.name:
                print(f"  {entry.kind} {entry.name}")


def run_stage(options: argparse.Namespace) -> None:
    """``v2skit obtain``, ``prepare``, ... ``score``."""
    from v2skit.config.load import load_config
    from v2skit.recipes import stages
    from v2skit.training.launch import Group, launched, together

    if not launched():
        _name_broken(plugins.registry().broken)
    if getattr(options, "videos", None):
        return _synth_videos(options)
    direct = [getattr(options, name, None) for name in ("model", "data_dir", "out")]
    of_videos = [name for name in ("voice", "face", "mux", "report", "tracker") if getattr(options, name, None)]
    if of_videos:
        raise UserError(f"synth: --{of_videos[0]} is for videos: synth VIDEO... --model M")
    if any(direct):
        if not all(direct):
            raise UserError("synth: give videos (synth VIDEO... --model M), or --model, --data_dir and --out together")
        if options.set:
            raise UserError("synth: --set changes nothing in a finished model; --vocoder RUN gives it another vocoder")
        return _synth_directory(options)
    if getattr(options, "vocoder", None):
        raise UserError(
            "synth: --vocoder goes with --model; in a recipe it is --set vocoder='{type: trained, run: RUN}'"
        )
    config = load_config(options.config, options.set)
    exp = options.exp or options.work_dir / "exp" / options.config.stem
    if (options.work_dir / config.data.folder).resolve() in (exp.resolve(), *exp.resolve().parents):
        raise UserError(f"--exp {exp} is where the data directories are; give another folder")
    training = getattr(config, options.stage) if options.stage in stages.TRAIN else None

    def run(processes: Processes, device: torch.device) -> None:
        if training or processes.first:  # what does not train is done by one process
            stages.run(options.stage, stages.Recipe(config, options.work_dir, exp, options.force, device, processes))

    group = Group(options.nproc if training else 1, options.nnodes, options.rdzv)
    together(run, group, options.argv, options.stage, options.device, training)


def _synth_directory(options: argparse.Namespace) -> None:
    from v2skit.data.data_dir import read_silent
    from v2skit.models.package import open_model
    from v2skit.recipes.recipe import vocoder_source
    from v2skit.synthesis.api import load
    from v2skit.synthesis.synthesiser import speech_folder, synthesise

    synthesiser = load(options.model, options.device, options.vocoder).synthesiser
    clips = read_silent(options.data_dir)
    digest = open_model(options.model, "model", "stage 4 makes them")[1]
    source: dict[str, Any] = {
        "model": str(options.model.resolve()),
        "digest": digest,
        "data": str(options.data_dir.resolve()),
    }
    if synthesiser.vocoder:
        source["vocoder"] = vocoder_source(synthesiser.config.vocoder, synthesiser.vocoder)
    speech_folder(options.out, source, options.force)
    synthesise(synthesiser, clips, options.data_dir, options.out)
    print(f"speech: {options.out}/")


def _synth_videos(options: argparse.Namespace) -> None:
    from v2skit.synthesis.files import Extras, find_videos, outputs, speak_files

    if options.model is None:
        raise UserError("synth: --model RUN_OR_FILE says which model is to speak; v2skit pack makes such a file")
    if options.set or options.data_dir:
        raise UserError("synth: with videos, --set and --data_dir have no effect; leave them out")
    videos = find_videos(options.videos)
    videos, targets = outputs(videos, options.out, options.force)
    if not videos:
        return
    model, tracker = _loaded(options)
    chosen = {"vocoder": options.vocoder, "voice": options.voice, "tracker": options.tracker, "face": options.face}
    facts = {"model": str(options.model), **{name: str(value or "the model's") for name, value in chosen.items()}}
    facts["v2skit"] = __version__
    extras = Extras(options.mux, options.report, options.force)
    speak_files(model, videos, targets, tracker, options.voice, extras, facts)


def _name_broken(broken: dict[str, str]) -> None:
    for name, why in broken.items():
        print(f"v2skit: plug-in '{name}' is broken and left out: {why}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
