"""Records the losses and the synthesised speech of short mini runs, and compares two records: for refactorings.

    tools/venv/bin/python tools/check_equality.py record before.json --root ../checkout_before
    tools/venv/bin/python tools/check_equality.py record after.json
    tools/venv/bin/python tools/check_equality.py compare before.json after.json

Every run is float32 at the recipe's seed. The record holds, for each configuration of the mini recipe, all losses of
100 steps of audio pre-training and 100 of fine-tuning and the SHA-256 of all synthesised samples; the losses of a run
that is killed and resumed, and of two processes; and the SHA-256 of the speech for one video file. Takes ten minutes
on two cores. Records are comparable only on the same CPU with the same packages.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile

from v2skit.cli.failures import status_of
from v2skit.errors import UserError
from v2skit.system.state_file import read_state

OF_THE_CLOCK = ("seconds_per_step", "waiting_share")
CONFIGS = ("mel", "raw_istft", "raw_wavegan")
SHORT = {
    **{f"{stage}.{key}": value for stage in ("pretrain", "finetune")
       for key, value in {"steps": 100, "validate_every": 50, "log_every": 1, "precision": "float32"}.items()},
    "scratch": "false", "corpus.utterances": 60, "corpus.audio_utterances": 60,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True, dest="command")
    record = commands.add_parser("record", help="run and record")
    record.add_argument("out", type=Path)
    record.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1], help="checkout to run")
    record.add_argument("--steps", type=int, default=100, help="default: 100")
    compare = commands.add_parser("compare", help="compare two records; exit status 1 where they differ")
    compare.add_argument("records", type=Path, nargs=2)
    text = "the name of a value that was renamed in between; may be given again"
    compare.add_argument("--renamed", action="append", default=[], metavar="OLD=NEW", help=text)
    options = parser.parse_args()
    if options.command == "record":
        short = {**SHORT, "pretrain.steps": options.steps, "finetune.steps": options.steps}
        options.out.write_text(json.dumps(_record(options.root.resolve(), short), indent=1) + "\n", encoding="utf-8")
        print(f"record: {options.out}")
    else:
        names = dict(renamed.partition("=")[::2] for renamed in options.renamed)
        one, other = (_read(path, names if path is options.records[0] else {}) for path in options.records)
        differences = _compare(one, other)
        print("\n".join(differences) or f"equal: {sum(len(v) for v in one.values())} values")
        raise SystemExit(bool(differences))


def _read(path: Path, names: dict[str, str]) -> dict[str, dict[str, object]]:
    """A record, in which values are renamed."""

    def parse(text: str) -> object:
        return json.loads(text, object_pairs_hook=lambda pairs: {names.get(key, key): value for key, value in pairs})

    remedy = "give a file of check_equality.py record"
    tree = read_state(path, remedy, parse)
    if tree is None or not all(isinstance(values, dict) for values in tree.values()):
        raise UserError(f"{path} is no record; {remedy}")
    return tree


def _record(root: Path, short: dict[str, object]) -> dict[str, dict[str, object]]:
    """Run everything in a folder that is deleted after. Returns run -> name of a value -> value."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        egs = folder / "egs"
        shutil.copytree(root / "egs", egs, ignore=shutil.ignore_patterns("corpus", "data", "data_*", "exp"))
        (folder / "tools").symlink_to(root / "tools")
        environment = {**os.environ, "PYTHONPATH": str(root)}
        mini, found = egs / "mini", {}

        def run(stages: str, *arguments: str, **sets: object) -> None:
            start, stop = stages.split("-")
            command = ["./run.sh", "--stage", start, "--stop_stage", stop, *arguments]
            command += [text for k, v in {**short, **sets}.items() for text in ("--set", f"{k}={v}")]
            subprocess.run(command, cwd=mini, env=environment, check=True, stdout=subprocess.DEVNULL)

        run("0-1")
        for config in CONFIGS:
            run("2-5", "--config", f"conf/{config}.yaml", "--exp", f"exp/{config}")
            exp = mini / "exp" / config
            found[config] = {**_losses(exp), **_sounds(exp / "synth")}
        two = {"pretrain.steps": 20, "pretrain.validate_every": 10, "pretrain.accumulate": 2}
        run("2-2", "--exp", "exp/two", "--nproc", "2", **two)
        found["two processes"] = _losses(mini / "exp/two")
        cli = [os.environ.get("V2SKIT_PYTHON") or str(root / "tools/venv/bin/python"), "-m", "v2skit"]
        command = [*cli, "verify-resume", "--steps", "20", "--kills", "2"]
        command += [text for k, v in short.items() if not k.endswith("steps") for text in ("--set", f"{k}={v}")]
        subprocess.run(command, cwd=mini, env=environment, check=True, stdout=subprocess.DEVNULL)
        found["resumed"] = _losses(mini / "exp/verify_resume/killed")
        video = min((mini / "corpus").rglob("*.mp4"))
        shutil.copy(video, folder / video.name)
        command = [*cli, "synth", video.name, "--model", str(mini / "exp/mel"), "--tracker", "none", "-o", "out"]
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        found["video"] = _sounds(folder / "out")
    return found


def _losses(exp: Path) -> dict[str, object]:
    """``run step kind`` -> losses, of every run of an experiment."""
    found: dict[str, object] = {}
    for log in sorted(exp.glob("*/log.jsonl")):
        for row in map(json.loads, log.read_text(encoding="utf-8").splitlines()):
            values = {k: v for k, v in row.items() if k not in OF_THE_CLOCK}
            found[f"{log.parent.name} {row['step']} {row['kind']}"] = values
    assert found, f"{exp} has no log"
    return found


def _sounds(folder: Path) -> dict[str, object]:
    """File -> SHA-256 of its samples: what else a file says may change."""
    files = sorted(folder.rglob("*.wav"))
    assert files, f"{folder} has no speech"
    return {
        str(f.relative_to(folder)): hashlib.sha256(soundfile.read(f, dtype="int16")[0].tobytes()).hexdigest()
        for f in files
    }


def _compare(one: dict, other: dict) -> list[str]:
    """A line a difference; of a run the first only, since what follows differs too."""
    lines = []
    for run in sorted({*one, *other}):
        ours, theirs = one.get(run, {}), other.get(run, {})
        different = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
        if different:
            first = different[0]
            lines.append(f"{run}: {len(different)} of {len({**ours, **theirs})} differ, first {first}: "
                         f"{ours.get(first)} / {theirs.get(first)}")  # fmt: skip
    return lines


if __name__ == "__main__":
    sys.exit(status_of(main, "check_equality"))
