"""Hostile configs: one sentence with the key, and no traceback."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from tests.cases.sentences import sentence
from tests.conftest import TINY
from v2skit.config.features import Clock, Crop, Mel
from v2skit.config.load import check_config, load_config, to_tree
from v2skit.config.yaml_tree import parse_yaml
from v2skit.data.batch import Batch
from v2skit.losses.total import Losses
from v2skit.models.output import Output

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
MERGED = "a: &a0 {k: 1}\n" + "".join(f"b{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}\n" for n in range(1, 40))

TEXTS = {
    "duplicate key": ("a: 1\na: 2", "a: given twice, in lines 1 and 2; delete one"),
    "duplicate key inside": ("x: {b: [1, {c: 1, c: 2}]}", "x.b.1.c: given twice"),
    "duplicate quoted": ("'a': 1\n\"a\": 2", "a: given twice"),
    "duplicate merge": ("x: &x {p: 1}\ny: {<<: *x, <<: *x}", "y.<<: given twice"),
    "recursive list": ("a: &a [*a]", "a.0: the alias *a stands inside of what it names"),
    "recursive keys": ("&a {b: *a}", "b: the alias *a stands inside"),
    "recursive below": ("a: &a\n  b: &b\n    c: [*a]", "a.b.c.0: the alias *a stands inside"),
    "recursive merge": ("a: &a\n  <<: *a", "stands inside of what it names"),
    "alias bomb": (BOMB, "more than 50000 values, aliases counted in full"),
    "alias bomb of keys": (MERGED, "more than 50000 values"),
    "deep lists": ("[" * 20_000, "nests deeper than 50 levels"),
    "deep keys": ("{a: " * 3000, "a.a.a: nests deeper than 50 levels"),
    "deep block": ("- " * 3000, "nests deeper than 50 levels"),
    "deep complex keys": ("? " * 3000, "nests deeper than 50 levels"),
    "many values": ("- 1\n" * 60_000, "more than 50000 values"),
    "long anchor": (f"&{'a' * 5000} [*{'a' * 5000}]", "stands inside of what it names"),
    "long tag": (f"!{'a' * 5000} x", "is unknown here"),
    "large": ("#" * 3_000_000, "larger than 2 MB"),
    "large number": ("a: " + "9" * 6000, "line 1, column 4: the whole number 99999999999999999999... is out of range"),
    "large hexadecimal": ("a: 0x" + "f" * 80, "out of range"),
    "tag of Python": ("a: !!python/object:os.system x", "the tag !!python/object:os.system is unknown"),
    "binary": ("a: !!binary x", "a: the tag !!binary is unknown"),
    "no number": ("a: !!int many", "not valid YAML"),
    "no truth value": ("a: !!bool x", "not valid YAML"),
    "empty number": ("a: !!float ''", "not valid YAML"),
    "list as key": ("? [a]\n: 1", "a key must be text"),
    "no anchor": ("a: *b", "undefined alias 'b'"),
    "two documents": ("--- 1\n--- 2", "expected a single document"),
    "raw NUL": ("a\x00: 1", "not valid YAML"),
    "tab": ("a:\n\t- 1", "line 2, column 1"),
    "merge of a number": ("<<: 3", "expected a mapping"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_hostile_yaml_is_one_sentence(name):
    text, message = TEXTS[name]
    assert message in sentence(lambda: parse_yaml(text, "conf.yaml"))


def test_good_yaml_reads_as_before():
    text = "a: &a {p: 1, q: [1, 2.5, yes, ~, x]}\nb: &b {<<: *a, p: 3}\nc: {<<: *b, q: 1}\nd: [*a, *a]\ne: 0x1f\n"
    assert parse_yaml(text, "here") == yaml.safe_load(text)
    assert parse_yaml("a: 2020-01-01\nb: =", "here") == {"a": "2020-01-01", "b": "="}


L1 = "{type: l1, weight: 1}"
ADVERSARIAL = "losses={{l1: {{type: l1, weight: 1}}, a: {{type: adversarial, weight: 1, discriminators: {}}}}}"

OVERRIDES = {
    "mel.floor=.nan": "mel.floor: expected a finite number, not nan",
    "mel.floor=nan": "mel.floor: expected a finite number",
    "mel.f_max=.inf": "mel.f_max: expected a finite number",
    "mel.f_max=1e999": "mel.f_max: expected a finite number",
    "mel.floor=0": "mel.floor must lie in",
    "mel.n_fft=1000000000": "mel.n_fft must lie in",
    "crop.eye_distances=.nan": "crop.eye_distances: expected a finite number",
    "crop.size=1000000": "crop.size must lie in",
    "clock.fps=0": "clock.fps must lie in",
    "clock.sample_rate=-24000": "clock.sample_rate must lie in",
    "augmentation.erase_area=[.nan, 1]": "augmentation.erase_area.0: expected a finite number",
    "pretrain.betas=[.nan, 0.9]": "pretrain.betas.0: expected a finite number",
    "networks.encoder.dropout=2": "networks.encoder.dropout: expected less than 1, not 2",
    "networks.encoder.dropout=-1": "networks.encoder.dropout: expected at least 0",
    "networks.encoder.dropout=.nan": "networks.encoder.dropout: expected a finite number",
    "networks.encoder.dim=0": "networks.encoder.dim: expected at least 1, not 0",
    "networks.encoder.dim=-16": "networks.encoder.dim: expected at least 1",
    "networks.encoder.dim=100000000000": "networks.encoder.dim: expected at most 65536",
    "networks.encoder.blocks=0": "networks.encoder.blocks: expected at least 1",
    "networks.encoder.blocks=1000000": "networks.encoder.blocks: expected at most 1000",
    "networks.encoder={type: bigru, layers: -1}": "networks.encoder.layers: expected at least 1",
    "networks.visual_frontend.channels=[0]": "networks.visual_frontend.channels.0: expected at least 1",
    "networks.audio_frontend.kernel=-3": "networks.audio_frontend.kernel: expected at least 1",
    "networks.speaker.dim=-1": "networks.speaker.dim: expected at least 1",
    "vocoder.iterations=1000000000": "vocoder.iterations: expected at most 10000",
    "vocoder.iterations=-1": "vocoder.iterations: expected at least 0",
    "vocoder.momentum=.inf": "vocoder.momentum: expected a finite number",
    "vocoder.momentum=-0.1": "vocoder.momentum: expected at least 0, not -0.1",
    "vocoder.momentum=1e9": "vocoder.momentum: expected at most 2",
    "data.pretrain=[]": "data.pretrain: at least one data directory is needed",
    "data.pretrain=['']": "data.pretrain: a name of a data directory is empty",
    "data.train=' '": "data.train: a name of a data directory is empty",
    "pretrain={batch_frames: 1, segment_frames: 1}": "pretrain.batch_frames must lie in 2..",
    "pretrain={segment_frames: 1}": "pretrain.segment_frames must lie in 2..",
    "pretrained=''": "pretrained: expected the path of a folder",
    'pretrained="a\\0b"': "pretrained: text with control characters, such as NUL",
    'corpus.type="a\\0b"': "corpus.type: text with control characters",
    'prepare.slurm={x: ["\\ud800"]}': "prepare.slurm.x.0: text with control characters",
    'prepare.slurm={"a\\nb": 1}': "prepare.slurm: the key 'a\\nb' has",
    f"losses={{1: {L1}}}": "losses.1: expected text, not 1",
    f"losses={{true: {L1}}}": "expected text, not True",
    f"losses={{a.b: {L1}}}": "losses: the name 'a.b' must not be empty or 'type', or have dots or slashes",
    f"losses={{'': {L1}}}": "losses: the name '' must not be empty",
    f"losses={{a/b: {L1}}}": "losses: the name 'a/b' must not be empty or 'type', or have dots",
    f'losses={{"a\\0b": {L1}}}': "losses: the key 'a\\x00b' has",
    f"losses={{type: {L1}}}": "losses: the name 'type' must not be",
    f"losses={{total: {L1}}}": "losses.total: 'total' is another column of the log",
    f"losses={{step: {L1}}}": "losses.step: 'step' is another column of the log",
    "losses.l1.weight=1e400": "losses.l1.weight: expected a finite number",
    ADVERSARIAL.format("{'a.b': {type: power}}"): "losses.a.discriminators: the name 'a.b' must not",
    ADVERSARIAL.format("{1: {type: power}}"): "losses.a.discriminators.1: expected text",
    "scoring.metrics={'': {type: stoi}}": "scoring.metrics: the name '' must not be empty",
    "seed=99999999999999999999": "out of range",
    "seed=[&a [*a]]": "the alias *a stands inside",
    "x" * 5000 + "=1": "has more than 200 characters",
    "a." * 3000 + "a=1": "a key has at most 50 levels",
    "mel.log=[" + "x\n" * 5000: "is not valid YAML",
    "mel.log=" + "x" * 5000: "neither 'natural' nor 'log10'",
    "networks.encoder.type=" + "x" * 5000: "networks.encoder: unknown encoder",
    "=1": "expected key.path=value",
}


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda override: override[:40])
def test_hostile_settings_are_one_sentence_with_the_key(tiny, override):
    assert OVERRIDES[override] in sentence(lambda: load_config(tiny, [override]))


@pytest.mark.parametrize("settings", [(Mel, "floor"), (Mel, "f_min"), (Crop, "eye_distances"), (Clock, "fps")])
def test_code_cannot_make_settings_of_nan_either(settings):
    make, key = settings
    assert sentence(lambda: make(**{key: float("nan")}))


VALUES = [
    None, True, 0, -1, 2**62, -(2**62), 1.5, float("nan"), float("inf"), 1e300, 1e-320, "", "nan", "1e999",
    "x" * 5000, "\0", "\ud800", "a\nb", "..", [], {}, [None], [[]], {"type": "l1"}, {"type": None}, {"": 1}, {1: 2},
]  # fmt: skip
KEYS = ["x", "", 1, None, "a.b", "type", "weight", "x" * 3000, "\x1b[2J"]


def _places(tree: dict, above: tuple = ()) -> list[tuple]:
    places = [(*above, key) for key in tree]
    return places + [p for key, value in tree.items() if isinstance(value, dict) for p in _places(value, (*above, key))]


@pytest.mark.parametrize("seed", range(4))
def test_stored_configs_with_random_values_load_or_are_one_sentence(tiny, seed):
    whole, random_ = to_tree(load_config(tiny)), random.Random(seed)
    places = _places(whole)
    for _ in range(150):
        tree = copy.deepcopy(whole)
        *place, key = random_.choice(places)
        section = tree
        for name in place:
            section = section[name]
        section[key if random_.random() < 0.8 else random_.choice(KEYS)] = copy.deepcopy(random_.choice(VALUES))
        sentence(lambda tree=tree: to_tree(check_config(tree)))


TOKENS = [
    "&a ", "*a", "<<: *a\n", "!!int ", "!!bool ", "!!float ", "? ", "| \n", "---\n", "%YAML 1.1\n", "{", "}", "[", "]",
    ": ", "- ", "\t", "#", "'", '"', "\\", "\0", "\x07", "\ufeff", "=", "<<", "1:2:3", "2020-13-45", ".nan", "&b [*b]",
    "\n", "  ", "\r\n", "!!set {a}", "!!python/name:os.system x", "é",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_random_damage_to_a_file_is_one_sentence(tmp_path, seed):
    text, random_, path = yaml.safe_dump(TINY, sort_keys=False), random.Random(seed), tmp_path / "damaged.yaml"
    for _ in range(100):
        damaged = text
        for _ in range(random_.randint(1, 4)):
            at = random_.randrange(len(damaged))
            damaged = damaged[:at] + random_.choice([*TOKENS, ""]) + damaged[at + random_.choice([0, 0, 5]) :]
        path.write_bytes(damaged.encode(random_.choice(["utf-8", "utf-8", "utf-8", "utf-16"])))
        sentence(lambda: load_config(path))


def _bases(folder: Path) -> Path:
    for number in range(30):
        (folder / f"{number}.yaml").write_text(f"base: [{number + 1}.yaml, {number + 1}.yaml]\n")
    (folder / "30.yaml").write_text("seed: 1\n")
    return folder / "0.yaml"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def _links(folder: Path) -> Path:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    return folder / "a"


def _written(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "c.yaml").write_bytes(content)
        return folder / "c.yaml"

    return write


FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "exponentially many bases": (_bases, "more than 100 bases"),
    "a pipe": (_pipe, "is a pipe, not a file"),
    "links in a circle": (_links, "can't be read"),
    "a folder": (lambda folder: folder, "can't be read"),
    "no end": (lambda folder: Path("/dev/zero"), "larger than 2 MB"),
    "a long name": (lambda folder: folder / ("x" * 300), "can't be read"),
    "binary": (_written(bytes(range(256))), "can't be read"),
    "empty": (_written(b""), "expected keys and values"),
    "a list": (_written(b"- 1"), "expected keys and values"),
    "base of a number": (_written(b"base: 3"), "base: expected the path of a config"),
    "base with NUL": (_written(b'base: "a\\0b"'), "base: the path ['a\\x00b'] has control characters"),
    "empty base": (_written(b"base: ''"), "can't be read"),
}


@pytest.mark.parametrize("name", FILES)
def test_hostile_files_are_one_sentence(tmp_path, name):
    make, message = FILES[name]
    path = make(tmp_path)
    assert message in sentence(lambda: load_config(path))


@pytest.mark.parametrize("name", ["items", "keys", "training", "1", "forward", "ü", "a b"])
def test_a_loss_may_have_any_other_name(tiny, name):
    losses = Losses(load_config(tiny, [f"losses={{'{name}': {{type: l1, weight: 2}}}}"]))
    total, values = losses(*example())
    assert set(values) == {"l1", "spectral_convergence", f"{name}/l1"}
    assert total.item() == pytest.approx(sum(value.item() for value in values.values()) + values["l1"].item())


def example() -> tuple[Output, Batch]:
    mask = torch.ones(2, 2, dtype=torch.bool)
    mel = torch.zeros(2, 8, 80)
    return Output(mel=mel + 1), Batch(["a", "b"], mask, torch.zeros(2, 0), torch.zeros(2, 1920), mel=mel)
