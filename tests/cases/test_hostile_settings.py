"""Hostile configs, plug-ins and outputs of components: one sentence with the key or the component, and no traceback."""

from __future__ import annotations

import copy
import os
import random
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from tests.conftest import TINY
from tests.registry.test_plugins import HOOK, fake_plugin, v2skit
from v2skit.config.features import Clock, Crop, Mel
from v2skit.config.load import check_component, check_config, load_config, to_tree
from v2skit.config.yaml_tree import parse_yaml
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.losses.total import Losses
from v2skit.models.model import Output
from v2skit.registry import plugins
from v2skit.registry.build import build
from v2skit.registry.registry import Registry

LONGEST = 1300
"""Characters of an error's message, with the path of its source."""


def sentence(action: Callable[[], Any]) -> str:
    """The message of the error that an action raises, empty where it raises none; any other error fails the test."""
    started = time.monotonic()
    try:
        action()
    except UserError as error:
        message = str(error)
        assert 0 < len(message) <= LONGEST and message.encode() and message.splitlines() == [message], message
        assert not any(unicodedata.category(character) == "Cc" for character in message)
        return message
    finally:
        assert time.monotonic() - started < 20
    return ""


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
    "alias bomb": (BOMB, "more than 100000 values, aliases counted in full"),
    "alias bomb of keys": (MERGED, "more than 100000 values"),
    "deep lists": ("[" * 20_000, "nests deeper than 50 levels"),
    "deep keys": ("{a: " * 3000, "a.a.a: nests deeper than 50 levels"),
    "deep block": ("- " * 3000, "nests deeper than 50 levels"),
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
    "x" * 5000, "\0", "\ud800", "a\nb", "..", [], {}, [None], [[]], {"type": "l1"}, {"type": None}, {"": 1}, {1: 2}, {None: 1},
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


# Plug-ins.


class Untold(BaseException):
    """An exception that is no Exception, and has no text."""

    def __str__(self) -> str:
        raise RuntimeError


def _raises(error: BaseException) -> Callable[[], Any]:
    def load() -> Any:
        raise error

    return load


def _module(*components: Any, after: BaseException | None = None) -> Callable[[], Any]:
    import v2skit

    @v2skit.hookimpl
    def register_components(register: Any) -> None:
        for component in components:
            register(*component)
        if after:
            raise after

    return lambda: SimpleNamespace(register_components=register_components)


def _misspelt() -> Any:
    import v2skit

    return SimpleNamespace(register_component=v2skit.hookimpl(lambda register: None))


MINE = ("decoder", "mine", "nowhere:Mine")
BAD_PLUGINS: dict[str, tuple[Callable[[], Any], str]] = {
    "ends the process": (_raises(SystemExit(0)), "it ends the process (SystemExit: 0)"),
    "ends it in its hook": (_module(MINE, after=SystemExit(0)), "it ends the process"),
    "raises no Exception": (_raises(Untold()), "Untold"),
    "fails": (_raises(ValueError("broken")), "ValueError: broken"),
    "fails after a registration": (_module(MINE, after=KeyError("x")), "KeyError"),
    "unknown kind": (_module(MINE, ("decodr", "other", "a:B")), "unknown kind 'decodr'; did you mean 'decoder'?"),
    "taken name": (_module(MINE, ("encoder", "conformer", "a:B")), "'conformer' is registered twice: by v2skit"),
    "its own name twice": (_module(MINE, MINE), "decoder 'mine' is registered twice"),
    "no text": (_module(MINE, ([], None, 3)), "kind, name and target must be text"),
    "no target": (_module(MINE, ("decoder", "other", "a")), "not of the form 'package.module:Class'"),
    "too few arguments": (_module(("decoder",)), "TypeError"),
    "misspelt hook": (_misspelt, "the hooks are: register_components"),
    "no hook": (SimpleNamespace, "has no hook; mark one of register_components"),
    "nothing": (lambda: None, ""),
}


def _installed(monkeypatch: pytest.MonkeyPatch, **entries: Callable[[], Any]) -> tuple[Registry, dict[str, Any]]:
    """The registry with these plug-ins, and what became of each."""
    points = [
        SimpleNamespace(name=n.partition("__")[0], value=n, dist=SimpleNamespace(version="1"), load=load)
        for n, load in entries.items()
    ]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
    registry, found = plugins.load.__wrapped__()
    return registry, {plugin.name: plugin.error for plugin in found}


@pytest.mark.parametrize("name", BAD_PLUGINS)
def test_a_bad_plugin_is_named_and_stops_nothing_else(monkeypatch, name):
    load, message = BAD_PLUGINS[name]
    good = _module(("decoder", "good", "a:B"))
    registry, found = _installed(monkeypatch, bad=load, zzz=good, aaa=_module(("loss", "good", "a:B")))
    assert message in found["bad"] and "\n" not in found["bad"] and registry.broken == {"bad": found["bad"]}
    assert found["v2skit"] is found["aaa"] is found["zzz"] is None
    assert registry.entry("decoder", "good").origin == "zzz" and registry.entry("encoder", "conformer").load()
    with pytest.raises(UserError, match="unknown decoder 'mine'.*\n.*plug-in bad is broken"):
        registry.entry("decoder", "mine")


def test_a_name_of_two_plugins_is_an_error_only_for_who_uses_it(monkeypatch):
    registry, found = _installed(monkeypatch, a=_module(MINE, ("loss", "own", "a:B")), b=_module(MINE))
    assert found["a"] is None and registry.entry("loss", "own").origin == "a"
    with pytest.raises(UserError, match="'mine' is registered twice: by a .* and by b"):
        registry.entry("decoder", "mine")


def test_two_plugins_of_one_name_are_told_apart(monkeypatch):
    _, found = _installed(monkeypatch, v2skit__x=_module(MINE), a=_module(MINE), a__2=_module())
    assert found["v2skit"] is found["a"] is None
    assert "another plug-in is called 'a'" in found["a (a__2)"] and "called 'v2skit'" in found["v2skit (v2skit__x)"]


def test_damaged_metadata_of_any_package_is_named(monkeypatch):
    def damaged(group: str) -> None:
        raise TypeError("no '='")

    monkeypatch.setattr("importlib.metadata.entry_points", damaged)
    registry, found = plugins.load.__wrapped__()
    assert found[0].error is None and "entry_points.txt is damaged" in registry.broken["entry points"]


def test_ctrl_c_while_plugins_load_is_no_fault_of_theirs(monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        _installed(monkeypatch, a=_raises(KeyboardInterrupt()))


def test_a_plugin_that_ends_the_process_does_not_end_commands(tmp_path):
    fake_plugin(tmp_path, "ends", "import sys\nsys.exit(0)\n")
    fake_plugin(tmp_path, "later", HOOK.format("'encoder', 'ends', 'later_module:Encoder'"))
    (tmp_path / "later_module.py").write_text("import sys\nsys.exit(0)\n")
    result = v2skit("components", "encoder", site=tmp_path)
    assert result.returncode == 0 and "conformer" in result.stdout and "plug-in 'ends' is broken" in result.stderr
    assert "encoder 'ends' (from later) can't be loaded: it ends the process" in result.stdout


# Components: constructors and outputs.


class Encoder(nn.Module):
    """An encoder whose constructor and output are made wrong by its arguments."""

    def __init__(self, in_dim: int, fault: str = "", out_dim: Any = 4) -> None:
        super().__init__()
        if fault:
            raise FAULTS[fault]
        self.out_dim = out_dim
        self.returned: Any = None

    def forward(self, x: Tensor, mask: Tensor) -> Any:
        return self.returned


class Discriminator(Encoder):
    """The same, called with a waveform."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, waveform: Tensor) -> Any:  # type: ignore[override]
        return self.returned


class Decoder(Encoder):
    """The same, with the output of a decoder."""

    def __init__(self, in_dim: int, output: str = "waveform") -> None:
        super().__init__(in_dim)
        self.output = output


class Loss(Discriminator):
    """The same, as a loss."""

    def forward(self, output: Output, batch: Batch) -> Any:  # type: ignore[override]
        return self.returned


class Plain:
    """No module."""

    def __init__(self, in_dim: int = 1) -> None:
        pass


FAULTS: dict[str, BaseException] = {
    "value": ValueError("no"),
    "division": ZeroDivisionError("no"),
    "memory": MemoryError("no"),
    "exit": SystemExit(0),
    "untold": Untold(),
    "import": ImportError("no module", name="nothing"),
    "system": OSError(28, "No space left on device"),
    "user": UserError("change it"),
}


@pytest.fixture
def components(monkeypatch) -> None:
    own = Registry()
    for kind, name in (
        ("encoder", "Encoder"), ("encoder", "Plain"), ("decoder", "Decoder"), ("discriminator", "Discriminator"),
        ("extractor", "Discriminator"), ("loss", "Loss"), ("encoder", "LENGTH"),
        ("tracker", "Plain"), ("metric", "Plain"),
    ):  # fmt: skip
        own.add(kind, name.lower(), f"{__name__}:{name}", origin="mine")
    monkeypatch.setattr(plugins, "registry", lambda: own)


LENGTH = 3
"""No class."""


def made(kind: str, name: str, **arguments: Any) -> Any:
    given = {"in_dim": 3, "step": 960, "clock": Clock(), "mel": Mel()}
    return build(kind, check_component(kind, {"type": name, **arguments}, "here"), **given)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_constructor_that_fails_is_named(components, fault):
    message = sentence(lambda: made("encoder", "encoder", fault=fault))
    assert message.startswith("encoder 'encoder'")
    assert fault == "user" or f"can't be built with its arguments (fault: '{fault}'" in message


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("plain", {}, "encoder 'plain' (from mine) is a Plain; it must be a torch.nn.Module"),
        ("encoder", {"out_dim": None}, "must have the attribute out_dim, its number of features, not None"),
        ("encoder", {"out_dim": "4"}, "out_dim, its number of features, not '4'"),
        ("encoder", {"out_dim": -1}, "out_dim, its number of features, not -1"),
        ("decoder", {"output": "units"}, "must have the attribute output = 'mel' or 'waveform', not 'units'"),
        (
            "tracker",
            {},
            "tracker 'plain' (from mine) has no start; a component of its kind needs start, update, finish",
        ),
        ("metric", {}, "metric 'plain' (from mine) has no protocol; a component of its kind needs protocol, higher"),
        ("length", {}, "encoder 'length' (from mine) can't be loaded: TypeError: 3 is not a callable object"),
    ],
)
def test_a_component_without_what_its_kind_has_is_named(components, name, arguments, message):
    kind = name if name in ("decoder", "tracker", "metric") else "encoder"
    name = "plain" if name in ("tracker", "metric") else name
    assert message in sentence(lambda: made(kind, name, **arguments))


X, MASK = torch.zeros(2, 5, 3), torch.ones(2, 5, dtype=torch.bool)
SCORE = torch.zeros(2)
FLOATS = torch.zeros(2, 5, 4)
RETURNED: list[tuple[str, str, dict, tuple, Any, str]] = [
    ("encoder", "encoder", {}, (X, MASK), FLOATS, ""),
    ("encoder", "encoder", {}, (X, MASK), FLOATS.bfloat16(), ""),
    ("encoder", "encoder", {}, (X, MASK), FLOATS[..., :3], "Tensor of torch.float32 (2, 5, 3), not features (B,T,out"),
    ("encoder", "encoder", {}, (X, MASK), FLOATS[:, :4], "(2, 4, 4), not features (B,T,out_dim) = (2, 5, 4)"),
    ("encoder", "encoder", {}, (X, MASK), FLOATS[:1], "(1, 5, 4)"),
    ("encoder", "encoder", {}, (X, MASK), FLOATS.mT, "(2, 4, 5)"),
    ("encoder", "encoder", {}, (X, MASK), FLOATS.long(), "torch.int64"),
    ("encoder", "encoder", {}, (X, MASK), FLOATS.numpy(), "ndarray of float32"),
    ("encoder", "encoder", {}, (X, MASK), (FLOATS, None), "tuple of 2 (Tensor of torch.float32 (2, 5, 4), NoneType)"),
    ("encoder", "encoder", {}, (X, MASK), None, "returned NoneType"),
    ("encoder", "encoder", {}, (X, MASK), FLOATS.to("meta"), "a tensor on meta; its input is on cpu"),
    ("decoder", "decoder", {}, (X, MASK), torch.zeros(2, 4800), ""),
    ("decoder", "decoder", {}, (X, MASK), torch.zeros(2, 4801), "not waveform (B,N) = (2, 4800)"),
    ("decoder", "decoder", {}, (X, MASK), torch.zeros(2, 1, 4800), "not waveform (B,N) = (2, 4800)"),
    ("decoder", "decoder", {"output": "mel"}, (X, MASK), torch.zeros(2, 20, 80), ""),
    ("decoder", "decoder", {"output": "mel"}, (X, MASK), torch.zeros(2, 80, 20), "not mel (B,F,M) = (2, 20, 80)"),
    ("discriminator", "discriminator", {}, (X,), [(SCORE, [X])], ""),
    ("discriminator", "discriminator", {}, (X,), [], "list of 0"),
    ("discriminator", "discriminator", {}, (X,), SCORE, "not [(score (B,...), [features])], at least one"),
    ("discriminator", "discriminator", {}, (X,), [SCORE], "not [(score (B,...), [features])]"),
    ("discriminator", "discriminator", {}, (X,), [(SCORE[:1], [X])], "not one for each of 2 clips"),
    ("discriminator", "discriminator", {}, (X,), [(SCORE, X)], "returned the features Tensor"),
    ("extractor", "discriminator", {}, (X,), X, "returned the features Tensor"),
    ("loss", "loss", {}, (None, None), {"loss": torch.tensor(1.0)}, ""),
    ("loss", "loss", {}, (None, None), {}, ""),
    ("loss", "loss", {}, (None, None), torch.tensor(1.0), "returned Tensor of torch.float32 (), not {name: scalar}"),
    ("loss", "loss", {}, (None, None), {"loss": 1.0}, "returned 'loss': float"),
    ("loss", "loss", {}, (None, None), {"loss": SCORE}, "returned 'loss': Tensor of torch.float32 (2,)"),
    ("loss", "loss", {}, (None, None), {1: torch.tensor(1.0)}, "returned 1: Tensor"),
    ("loss", "loss", {}, (None, None), None, "returned NoneType"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "arguments", "inputs", "returned", "message"), RETURNED)
def test_an_output_of_another_shape_or_type_is_named(components, kind, name, arguments, inputs, returned, message):
    component = made(kind, name, **arguments)
    component.returned = returned
    found = sentence(lambda: component(*inputs))
    assert message in found if message else not found
    assert not found or found.startswith(f"{kind} '{name}' (from mine) returned ")
    copied = copy.deepcopy(component)  # as the moving average of the weights does
    assert sentence(lambda: copied(*inputs)) == found


def test_losses_without_a_gradient_are_named(tiny):
    losses = Losses(load_config(tiny))
    output, batch = example()
    assert not sentence(lambda: losses(output, batch))  # no training
    trained = Output(mel=output.mel.requires_grad_())
    assert not sentence(lambda: losses(trained, batch))
    for term in losses.terms.values():
        term.forward = lambda output, batch: {"x": torch.tensor(1.0)}
    assert "none of l1, spectral_convergence has a gradient" in sentence(lambda: losses(trained, batch))
