"""Hostile cases of what v2skit stored before: packs, checkpoints and state files.

Each is read as it was written, or is refused with one sentence.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.cases.model import untrained_run
from tests.training.trainers import trainer_of
from v2skit.cli.main import main
from v2skit.config.load import load_config
from v2skit.config.parts import Part
from v2skit.data import index_file
from v2skit.data.data_dir import read_table
from v2skit.errors import UserError
from v2skit.evaluation import protocol
from v2skit.evaluation.stored_scores import read_files
from v2skit.models import checkpoint
from v2skit.models.pack_header import Card
from v2skit.models.package import describe, pack
from v2skit.models.weights import digest_of
from v2skit.preparation.prepare import check_claim
from v2skit.recipes import run_record
from v2skit.synthesis.synthesiser import load
from v2skit.system.provenance import Provenance
from v2skit.system.state_file import read_state
from v2skit.training.loggers.jsonl import JsonLines

JUNK = [None, True, -1, 0, 7, 0.5, float("nan"), "", "x", "\ud800", "\0", [], [[]], {}, {"": {}}, [None], {"a": [1]}]
"""Values that no key of a stored description expects, or few."""
DEEP = '{"a":' * 50_000 + "1" + "}" * 50_000
CUT = ["", " ", "{", "[]", "null", "7", '"x"', '{"step": ', "\0" * 64, DEEP, "NaN", "\ufeff{}", '{"a": "\\ud800"}']
"""Contents of a state file that was cut short, emptied or replaced."""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """An untrained V2A run."""
    torch.set_num_threads(1)
    return untrained_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def packed(run, tmp_path_factory) -> Path:
    """Its pack."""
    out = tmp_path_factory.mktemp("pack") / "good.v2s"
    pack(run, out, None, Card("hum"))
    return out


def header_of(path: Path) -> dict:
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["v2skit"])


def repacked(packed: Path, out: Path, header: object, tensors: dict | None = None) -> Path:
    """The same pack with another header."""
    text = header if isinstance(header, str) else json.dumps(header)
    save_file(load_file(packed) if tensors is None else tensors, out, {"v2skit": text})
    return out


def places(tree: object, path: tuple = ()) -> Iterator[tuple]:
    """The paths of all keys in nested dicts and lists."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        yield (*path, key)
        yield from places(value, (*path, key))


def mutated(tree: dict, rng: random.Random, keep: tuple = ()) -> tuple[dict, str]:
    """A copy with one value replaced, or one key removed, added or renamed; and what was done."""
    tree = json.loads(json.dumps(tree))
    *place, key = rng.choice([path for path in places(tree) if path[: len(keep)] != keep or not keep])
    parent = tree
    for part in place:
        parent = parent[part]
    what = rng.choice(["replace", "replace", "remove", "rename"])
    value = parent.pop(key) if what != "replace" or isinstance(parent, list) else parent[key]
    if what == "replace":
        value = rng.choice(JUNK)
        parent.insert(key, value) if isinstance(parent, list) else parent.update({key: value})
    elif what == "rename" and isinstance(parent, dict):
        parent[f"{key}x"] = value
    return tree, f"{what} {'.'.join(map(str, [*place, key]))}: {value!r}"


def test_a_pack_with_any_header_is_read_or_refused(packed, tmp_path):
    header, rng, refused = header_of(packed), random.Random(1), 0
    for _ in range(150):
        tree, what = mutated(header, rng, keep=("meta", "model", "config"))
        path = repacked(packed, tmp_path / "x.v2s", tree)
        try:
            assert describe(path).isprintable() or "\n" in describe(path)
            load(path, "cpu")
        except UserError as error:
            refused += 1
            assert "x.v2s" in str(error) or "plug-in" in str(error), what
        except Exception as error:
            raise AssertionError(what) from error
    assert refused > 50


@pytest.mark.parametrize("text", CUT)
def test_a_pack_with_another_text_as_header_is_refused(packed, tmp_path, text):
    path = repacked(packed, tmp_path / "x.v2s", text)
    with pytest.raises(UserError, match=r"x\.v2s .*; fetch or pack it again$"):
        describe(path)


@pytest.mark.parametrize(
    ("vocoder", "message"),
    [
        ({"type": "griffin_lim", "iterations": "many"}, "iterations"),
        ({"type": "griffin_lim", "iterations": 1e9}, "iterations"),
        ({"type": "griffin_lim", "iteration": 2}, "did you mean 'iterations'"),
        ({"type": "gone"}, "gone"),
        ({"type": "trained"}, "has no vocoder in it"),
        ({"type": "trained", "run": "/etc"}, "has no vocoder in it"),
        ({"type": ["trained"]}, "type"),
        ({}, "type"),
        (None, "outputs mels, but it has no vocoder"),
    ],
)
def test_the_vocoder_of_a_pack_is_checked_as_in_a_config(packed, tmp_path, vocoder, message):
    path = repacked(packed, tmp_path / "x.v2s", {**header_of(packed), "vocoder": vocoder})
    with pytest.raises(UserError, match=message):
        load(path, "cpu")


@pytest.mark.parametrize(
    ("speaker", "vector"),
    [
        ("table", torch.ones(4)),
        ("none", torch.ones(0)),
        *(("d_vector", vector) for vector in (torch.ones(4), torch.ones(2, 256), torch.ones(256).bfloat16())),
        *(("d_vector", torch.full((256,), value)) for value in (float("nan"), float("inf"))),
        ("d_vector", torch.tensor(1.0)),
    ],
)
def test_voices_of_a_pack_are_inputs_of_its_model(tmp_path, speaker, vector):
    good = tmp_path / "good.v2s"
    pack(untrained_run(tmp_path, speaker={"type": speaker}), good, None, Card())
    load(good, "cpu")
    header = header_of(good)
    header["digest"]["voice"] = checkpoint.weights_digest({"anna": vector})
    path = repacked(good, tmp_path / "x.v2s", header, {**load_file(good), "voice.anna": vector})
    with pytest.raises(UserError, match="voice 'anna' is no input of its model"):
        load(path, "cpu")


def test_flipped_bits_are_noticed(packed, tmp_path):
    content, rng = packed.read_bytes(), random.Random(2)
    for _ in range(40):
        place = rng.choice([rng.randrange(len(content)), rng.randrange(2000)])
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.randrange(8)
        (tmp_path / "x.v2s").write_bytes(flipped)
        try:
            load(tmp_path / "x.v2s", "cpu")
        except UserError:
            continue
        assert place < 20_000, place  # in the text of the header, such as the name on the card


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_do_not_synthesise(run, tmp_path, value):
    saved = checkpoint.load(checkpoint.folder_in(run, ""))
    weights = {name: tensor.clone() for name, tensor in saved.weights.items()}
    weights["decoder.project.weight" if "decoder.project.weight" in weights else next(reversed(weights))].fill_(value)
    checkpoint.save(checkpoint.Checkpoint(saved.meta, weights), tmp_path / "finetune/checkpoint-00000001")
    with pytest.raises(UserError, match=r"is damaged \(weights that are not finite"):
        load(tmp_path / "finetune", "cpu")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_output_that_is_not_finite_is_an_error(run, value):
    model = load(run, "cpu")
    for parameter in model.model.parameters():
        parameter.data.fill_(value)
    with pytest.raises(UserError, match="output is not finite .*; give another checkpoint"):
        model.synthesise_crops(np.zeros((30, 96, 96), np.uint8), model.voice(None))


@pytest.mark.parametrize("kind", ["pipe", "socket", "link", "hole", "device"])
@pytest.mark.parametrize("name", ["x.v2s", "x.safetensors", "x.pt", "x.json", "x.yaml", "x.jsonl", "wav.scp", "x.scp"])
def test_what_is_no_file_is_never_waited_for(tmp_path, name, kind):
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
    elif kind == "hole":
        path.touch()
        os.truncate(path, 1 << 40)
    else:
        path.symlink_to(name if kind == "link" else "/dev/zero")
    readers = {
        "x.v2s": lambda: load(path, "cpu"),
        "x.safetensors": lambda: digest_of(Part(init=str(path)), "encoder", "a2a"),
        "x.pt": lambda: digest_of(Part(init=str(path)), "encoder", "a2a"),
        "x.json": lambda: read_state(path, "make it again"),
        "x.yaml": lambda: protocol.load(str(path)),
        "x.jsonl": lambda: read_files(path),
        "wav.scp": lambda: read_table(path),
        "x.scp": lambda: list(index_file._lines(path)),
    }
    with pytest.raises((UserError, OSError), match=name.replace(".", "[.]")):
        readers[name]()


@pytest.mark.parametrize("content", CUT)
@pytest.mark.parametrize("name", ["source.json", "scored.json", "results.json", "prepared_with.json", "config.yaml"])
def test_state_files_of_any_content_are_refused_with_the_remedy(tiny, tmp_path, name, content):
    path, config = tmp_path / name, load_config(tiny)
    path.write_text(content, encoding="utf-8")
    readers = {
        "source.json": lambda: Provenance.read(path),
        "scored.json": lambda: Provenance.read(path),
        "results.json": lambda: read_state(path, "stage 6 with --force scores again"),
        "prepared_with.json": lambda: check_claim(tmp_path, {}),
        "config.yaml": lambda: run_record.check(tmp_path, config, ["seed"], {}),
    }
    other = " was made with another config or data" if name == "config.yaml" else " never"
    with pytest.raises(UserError, match=rf"({name.replace('.', '[.]')} is damaged|{other}) \(.*\); .*--force"):
        readers[name]()


@pytest.mark.parametrize(
    "content",
    [
        "a: &a [*a]",
        "a: &a [x]\nb: [*a, *a]",
        "? [1]\n: 2",
        "1: 2",
        "a: 2001-01-01",
        "made_from: 7",
        "- a",
        'a: "\\ud800"',
    ],
)
def test_records_of_a_run_without_sense_are_refused(tiny, tmp_path, content):
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(UserError, match=r"--force"):
        run_record.check(tmp_path, load_config(tiny), ["seed"], {"init": "0123456789ab"})


def test_a_checkpoint_with_any_description_is_read_or_refused(run, tmp_path):
    folder, rng, refused = checkpoint.folder_in(run, ""), random.Random(3), 0
    tree = json.loads((folder / checkpoint.META).read_text())
    copy = tmp_path / "run" / folder.name
    shutil.copytree(folder, copy)
    for number in range(150):
        content, what = mutated(tree, rng, keep=("config",))
        text = CUT[number] if number < len(CUT) else json.dumps(content)
        (copy / checkpoint.META).write_text(text)
        try:
            checkpoint.load(checkpoint.best(tmp_path / "run"))
        except UserError as error:
            refused += 1
            assert folder.name in str(error) or "plug-in" in str(error), what
        except Exception as error:
            raise AssertionError(what) from error
    assert refused > 50


@pytest.fixture
def trained(recipe_folder, tiny) -> tuple[Path, Path]:
    """A finished run, and its newest checkpoint."""
    run = recipe_folder / "run"
    trainer_of(load_config(tiny, ["pretrain.steps=2", "finetune.steps=2"]), recipe_folder / "data", run).train()
    return run, checkpoint.latest(run)


def test_optimisers_of_another_shape_are_named(trained, recipe_folder, tiny):
    run, newest = trained
    config, path = load_config(tiny, ["pretrain.steps=3", "finetune.steps=3"]), newest / checkpoint.OPTIMISER
    good, meta = torch.load(path, weights_only=True), json.loads((newest / checkpoint.META).read_text())
    (newest / checkpoint.META).write_text(json.dumps({**meta, "files": {}}))  # as an earlier version wrote it
    moments = good["model"]["state"]
    cases = {
        "empty": {},
        "list": [],
        "no groups": {**good, "model": {"state": moments, "param_groups": []}},
        "no state": {**good, "model": {"param_groups": good["model"]["param_groups"]}},
        "number": {**good, "model": 7},
        "tensor": {**good, "model": torch.ones(2)},
        "no losses": {"model": good["model"]},
        "shape": {
            **good,
            "model": {**good["model"], "state": {**moments, 0: {**moments[0], "exp_avg": torch.ones(3)}}},
        },
        "lacks": {**good, "model": {**good["model"], "state": {**moments, 0: {"step": torch.tensor(1.0)}}}},
        "text": {**good, "model": {**good["model"], "state": {**moments, 0: "x"}}},
    }
    remedy = "(is missing; delete it|does not fit .*; finish the run .* --force)"
    for name, state in cases.items():
        torch.save(state, path)
        with pytest.raises(UserError, match=f"is no checkpoint to resume from: its optimiser's state {remedy}"):
            trainer_of(config, recipe_folder / "data", run)
        assert name
    torch.save(good, path)
    trainer_of(config, recipe_folder / "data", run).train()


def test_flipped_bits_of_what_resuming_reads_are_noticed(trained):
    newest, rng = trained[1], random.Random(4)
    for name in (checkpoint.WEIGHTS, checkpoint.AVERAGED, checkpoint.OPTIMISER):
        good = (newest / name).read_bytes()
        for _ in range(5):
            content = bytearray(good)
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            (newest / name).write_bytes(content)
            with pytest.raises(UserError, match="is damaged.*; delete this checkpoint"):
                checkpoint.load(newest, optimiser=True)
        (newest / name).write_bytes(good)
    checkpoint.load(newest, optimiser=True)


@pytest.mark.parametrize(
    "line", ["{}\n", "7}\n", '{"step": "x"}\n', '{"step": 1e999}\n', "\0}\n", '{"step": 1}', DEEP + "}\n"]
)
def test_damaged_lines_of_a_log_are_left_out(tmp_path, line):
    good = '{"step": 1, "kind": "train"}\n'
    (tmp_path / "log.jsonl").write_bytes(good.encode() + b"\xff}\n" + line.encode())
    JsonLines().start(tmp_path, "run", 1, {})
    assert (tmp_path / "log.jsonl").read_text() == good


def test_a_full_or_read_only_disk_while_packing_is_one_sentence(run, tmp_path, capsys):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # as on a disk that is nearly full
    try:
        with pytest.raises(UserError, match="small.v2s can't be written .*; free some disk space"):
            pack(run, tmp_path / "small.v2s", None, Card())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    (tmp_path / "file").touch()
    (tmp_path / "folder.v2s").mkdir()
    for out in (tmp_path / "file/model.v2s", tmp_path / "folder.v2s", Path("/proc/model.v2s")):
        assert main(["pack", str(run), "-o", str(out), "--force"]) == 1
        error = capsys.readouterr().err
        assert f"{out} can't be written" in error and len(error.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.v2s"]


def test_a_card_that_is_no_text_is_refused(run, tmp_path):
    with pytest.raises(UserError, match="is not UTF-8; give it in UTF-8"):
        pack(run, tmp_path / "x.v2s", None, Card(notes="\udcff"))
