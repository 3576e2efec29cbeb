"""Hostile cases of commands that read finished experiments: what these have stored is read or refused with a sentence.

What commands write replaces no file of others.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.cases.test_hostile_state import CUT, mutated
from tests.conftest import ROOT, TINY
from tests.evaluation.pages.scored import scored_experiment
from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.evaluation import protocol
from v2skit.evaluation.score_cache import read_cache
from v2skit.evaluation.stored_forms import WHOLE
from v2skit.evaluation.systems import read_results
from v2skit.recipes import run_record

ROUNDS = 110


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A recipe's folder with two scored experiments, a listening test and its answers."""
    folder = tmp_path_factory.mktemp("scored")
    (folder / "conf").mkdir()
    (folder / "conf/tiny.yaml").write_text(yaml.safe_dump(TINY))
    scored_experiment(folder, folder / "conf/tiny.yaml", "a")
    for run in ("pretrain", "finetune"):
        run_record.environment.write_record(folder / "exp/a" / run)
        (folder / "exp/a" / run / "machine.json").write_text('{"device": "cpu", "devices": 1}')
    shutil.copytree(folder / "exp/a", folder / "exp/b")
    arguments = ["listen", folder / "exp/a", "--clips", 1, "--checks", 1, "-o", folder / "test.html"]
    assert main([*map(str, arguments), "--work_dir", str(folder)]) == 0
    key = json.loads((folder / "test.key.json").read_text())
    answers = [
        {"trial": trial["id"], "ratings": {t: trial["limits"].get(t, [3])[0] for t in trial["systems"]}}
        for trial in key["trials"]
    ]
    (folder / "answers.json").write_text(json.dumps({"test": key["test"], "listener": "anna", "answers": answers}))
    return folder


RUN = "exp/a/finetune"
SCORES, RESULTS = "exp/a/synth/pretrained/scores.jsonl", "exp/a/results.json"
COMMANDS: dict[str, tuple[str, list[str]]] = {
    "compare": ("exp/a exp/b --bootstrap 20", [RESULTS, SCORES, f"{RUN}/config.yaml"]),
    "compare --group": ("g exp/a --group h exp/b --bootstrap 20", [RESULTS, SCORES, f"{RUN}/config.yaml"]),
    "diff": ("exp/a exp/b", [RESULTS, *(f"{RUN}/{n}" for n in ("config.yaml", "environment.json", "machine.json"))]),
    "leaderboard": ("exp", [RESULTS, SCORES]),
    "breakdown": ("exp/a --confusions 1", [SCORES]),
    "breakdown --data data/test": ("exp/a", [SCORES, "data/test/utt2spk"]),
    "report": (
        "exp/a exp/b --work_dir . -o out/report.html",
        [RESULTS, SCORES, f"{RUN}/config.yaml", f"{RUN}/log.jsonl", "exp/a/transfer/ledger.json", "data/test/wav.scp"],
    ),
    "listen": ("exp/a exp/b --work_dir . --clips 1 -o out/listen.html", [RESULTS, SCORES, f"{RUN}/config.yaml"]),
    "listen-score": ("test.key.json answers.json -o out/found.json", ["test.key.json", "answers.json"]),
    "export-scores": ("exp/a data/test -o out", ["data/test/settings.json", "data/test/text", "data/test/wav.scp"]),
}
"""Command -> its other arguments, and the files that it reads."""


def change_value(path: Path, rng: random.Random) -> None:
    """Replace, remove or rename a value of a JSON or YAML file, or of a line of JSON."""
    if path.suffix == ".yaml":
        path.write_text(yaml.safe_dump(mutated(yaml.safe_load(path.read_text()), rng)[0]))
        return
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    number = rng.randrange(len(lines))
    try:
        lines[number] = json.dumps(mutated(json.loads(lines[number]), rng)[0])
    except ValueError:  # a table, or a line that was cut short
        lines[number] = rng.choice(["", "x", "\0"])
    path.write_text("\n".join(lines) + "\n")


def change_number(path: Path, rng: random.Random) -> None:
    """Replace a number by one that is none, or too large."""
    content = path.read_bytes()
    found = rng.choice(list(re.finditer(rb"\d+\.?\d*", content)))
    value = rng.choice([b"1e999", b"NaN", b"-Infinity", b"9" * 400, b"-1e308", b"9" * 20])
    path.write_bytes(content[: found.start()] + value + content[found.end() :])


def change_bytes(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 3, 30])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(content)


def cut(path: Path, rng: random.Random) -> None:
    path.write_text(rng.choice(CUT))


def twice(path: Path, rng: random.Random) -> None:
    path.write_bytes(2 * path.read_bytes())


def replace(path: Path, rng: random.Random) -> None:
    """By what is no file, or mostly a hole, or a link in a circle, or nothing."""
    path.unlink()
    kind = rng.choice(["pipe", "folder", "link", "hole", "nothing"])
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(path.name)
    elif kind == "hole":
        path.touch()
        os.truncate(path, 3 << 30)


DAMAGES: list[Callable[[Path, random.Random], None]] = [
    *3 * [change_value], *2 * [change_number], change_bytes, cut, twice, replace,
]  # fmt: skip


def restore(path: Path, content: bytes) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize("command", COMMANDS)
def test_damaged_files_of_an_experiment_are_a_sentence(base, monkeypatch, capsys, command):
    arguments, files = COMMANDS[command]
    monkeypatch.chdir(base)
    rounds = ROUNDS // 10 if command.startswith(("report", "listen", "export")) else ROUNDS // 4
    for seed in range(rounds):
        rng = random.Random(f"{command} {seed}")
        path, damage = base / rng.choice(files), rng.choice(DAMAGES)
        content = path.read_bytes()
        damage(path, rng)
        try:
            status = main([*command.split(), *arguments.split()])
        except BaseException as error:
            raise AssertionError(f"{seed}: {damage.__name__} of {path}") from error
        finally:
            restore(path, content)
            shutil.rmtree(base / "out", ignore_errors=True)
        out, error = capsys.readouterr()
        assert status in (0, 1) and "Traceback" not in error and "Warning" not in error
        if status:
            assert len(error.splitlines()) == 1 and error.startswith("v2skit: error: ") and len(error) < 1400
        elif "diff" not in command:
            assert not re.search(r"\b(nan|inf)\b", out), (seed, path, damage.__name__)


@pytest.mark.parametrize("command", ["report", "listen", "listen key", "listen-score", "export-scores"])
def test_files_of_others_are_not_replaced(base, tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(base)
    name, _, key = command.partition(" ")
    arguments, _ = COMMANDS[name]
    out = {"export-scores": tmp_path, "listen-score": tmp_path / "found.json"}.get(name, tmp_path / "page.html")
    thesis = tmp_path / "page.key.json" if key else out / "text" if name == "export-scores" else out
    command_line = [name, *arguments.split()[: arguments.split().index("-o")], "-o", str(out)]
    thesis.write_text("{}" if key else '{"of": "somebody"}')
    kept = thesis.read_text()
    assert main(command_line) == 1
    assert re.search("give (another name|a folder of its own) with -o", capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == [thesis.name] and thesis.read_text() == kept
    thesis.unlink()
    assert main(command_line) == main(command_line) == 0  # its own files are replaced
    if name == "listen":
        assert main([*command_line, "--seed", "2"]) == 1  # answers to the first one may be on their way
        assert "is the key of another test" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["data/test", "exp/a/synth", "exp/a"])
def test_scores_are_not_exported_into_data_or_speech(base, monkeypatch, capsys, target):
    monkeypatch.chdir(base)
    before = sorted((path, path.stat().st_mtime_ns) for path in (base / target).rglob("*"))
    assert main(["export-scores", "exp/a", "data/test", "-o", target]) == 1
    assert "has other files than exported scores" in capsys.readouterr().err
    assert before == sorted((path, path.stat().st_mtime_ns) for path in (base / target).rglob("*"))


TOOLS = [
    "mel_sharpness absent exp/a/synth/pretrained", "mel_sharpness data/test absent", "mel_sharpness empty absent",
    "noise_share conf/tiny.yaml", "noise_share --clips 0 conf/tiny.yaml", "noise_share pipe",
    "estoi_limits absent exp/a/finetune", "estoi_limits data/test exp/a/finetune", "gpu_hours exp", "gpu_hours pipe",
    "check_equality compare conf/tiny.yaml absent", "check_equality compare list.json list.json",
    "check_equality compare pipe pipe", "pretraining_gain damaged"
]  # fmt: skip


@pytest.mark.parametrize("line", TOOLS)
def test_tools_end_with_a_sentence(base, tmp_path, monkeypatch, capsys, line):
    monkeypatch.chdir(base)
    for name, content in (("list.json", "[1]"), ("damaged/finetune/config.yaml", "{"), ("empty/utt2num_frames", "")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "empty/utt2spk").touch()
    shutil.copytree(base / "exp/a/synth", tmp_path / "damaged/synth")
    os.mkfifo(tmp_path / "pipe")
    name, *arguments = line.split()
    own = {path.name for path in tmp_path.iterdir()}
    paths = [str(tmp_path / argument) if argument in own else argument for argument in arguments]
    monkeypatch.setattr(sys, "argv", [name, *paths])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / f"tools/{name}.py"), run_name="__main__")
    error = capsys.readouterr().err
    assert ended.value.code in (1, 2) and name in error and "Traceback" not in error


@pytest.mark.parametrize("key", sorted(WHOLE))
def test_results_without_a_part_are_not_reported_again(base, tmp_path, key):
    results = json.loads((base / RESULTS).read_text())
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert read_results(tmp_path, whole=True) == results
    del results[key]
    (tmp_path / "results.json").write_text(json.dumps(results))
    with pytest.raises(UserError, match="results.json is damaged .*; stage 6 with --force makes it again"):
        read_results(tmp_path, whole=True)


def test_an_interrupted_export_is_continued(base, tmp_path, monkeypatch):
    monkeypatch.chdir(base)
    out = tmp_path / "out"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))  # as on a disk that is nearly full
    try:
        assert main(["export-scores", "exp/a", "data/test", "-o", str(out)]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert main(["export-scores", "exp/a", "data/test", "-o", str(out)]) == 0
    assert not list(out.rglob(".*")) and len((out / "gt.jsonl").read_text().splitlines()) == 8


@pytest.mark.parametrize("name", ["", ".", "/dev/zero", "a" * 300, "~", "mini@1/../mini@1", "\0"])
def test_protocols_of_no_file_are_a_sentence(name):
    with pytest.raises(UserError, match="there is no protocol|can't be read"):
        protocol.load(name)


LINES = [
    "",
    "x",
    "[]",
    '["a"]',
    '["a", {"x": NaN}]',
    '["a", {"x": "1"}]',
    '[1, "x"]',
    "\0",
    "[" * 100_000,
    '["a", null]',
]


def test_damaged_lines_of_a_score_cache_are_skipped(tmp_path):
    path = tmp_path / "cache.jsonl"
    path.write_text("\n".join([*LINES, '["good", {"x": 1.0}]']) + '\n["cut", {"x"')
    assert read_cache(path) == {"good": {"x": 1.0}}
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UserError, match="is a pipe"):
        read_cache(path)
