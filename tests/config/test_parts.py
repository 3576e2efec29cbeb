"""The settings of parts: which run they are for, and contradictions."""

import re

import pytest
import yaml

from tests.conftest import ROOT, write
from v2skit.config.load import check_config, load_config, to_tree
from v2skit.config.parts import Part, PartTransfer, parts_of
from v2skit.errors import UserError


def test_each_run_gets_the_parts_of_its_model():
    parts = {"audio_frontend": Part(frozen="all"), "encoder": Part(init="a"), "heads.ctc": Part(init="b")}
    assert parts_of("a2a", parts) == parts
    assert parts_of("v2a", parts).keys() == {"encoder", "heads.ctc"}
    assert parts_of("vocoder", parts) == {}


def test_transferred_parts_are_not_initialised_from_files():
    parts = {"encoder": Part(init="a", frozen="all"), "heads.ctc": Part(init="b", frozen="weights")}
    found = parts_of(
        "v2a", parts, {"encoder": PartTransfer(), "decoder": PartTransfer(3, 0.5), "heads": PartTransfer()}
    )
    assert found["encoder"] == Part(frozen="all") and found["heads.ctc"] == Part(frozen="weights")
    assert found["decoder"] == Part(frozen_steps=3, learning_rate_factor=0.5, frozen="weights")


def test_the_settings_of_transferred_heads_hold_for_each(tiny):
    found = parts_of("v2a", {"heads.ctc": Part(init="b")}, {"heads": PartTransfer(3, 0.5)})
    assert found == dict.fromkeys(("heads", "heads.ctc"), Part(3, 0.5, "weights"))
    sets = [
        "targets.loudness={type: f0}", "networks.heads.ctc={type: mel, on: encoder}", "transfer.heads.frozen_steps=3",
        "parts={heads.ctc: {learning_rate_factor: 0.5}}",
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"both transfer.heads and parts.heads.ctc have settings of its training"):
        load_config(tiny, sets)
    assert load_config(tiny, [*sets[:3], "parts={heads.ctc: {init: b}}"]).parts["heads.ctc"].init == "b"


def test_model_is_all_parts_of_v2a(tiny):
    whole = load_config(tiny, ["parts.model={init: a, frozen: all}", "parts.decoder={frozen: none}"]).parts
    parts = {name: Part(init="a", frozen="all") for name in ("visual_frontend", "encoder", "speaker")}
    assert whole == parts | {"decoder": Part(init="a")}
    assert not {"heads", "audio_frontend"} & whole.keys()
    head = ["targets.loudness={type: f0}", "networks.heads.loud={type: mel, on: encoder}"]
    sets = [
        *head,
        "networks.speaker={type: none}",
        "parts.model.init=a",
        "parts={decoder: {init: null}, heads.loud: {init: b}}",
    ]
    found = load_config(tiny, sets).parts
    assert {name: part.init for name, part in found.items()} == {
        "visual_frontend": "a", "encoder": "a", "decoder": None, "heads": "a", "heads.loud": "b"
    }  # fmt: skip


def test_a_config_leaves_out_model_of_its_base(tiny, tmp_path):
    write(tmp_path / "c.yaml", tiny, [], parts={"model": {"init": "a"}, "decoder": None, "encoder": {"frozen": "all"}})
    parts = load_config(tmp_path / "c.yaml", ["networks.speaker={type: none}"]).parts
    assert parts == {"visual_frontend": Part(init="a"), "encoder": Part(init="a", frozen="all")}
    assert load_config(tmp_path / "c.yaml", ["parts.model=null"]).parts == {"encoder": Part(frozen="all")}


def test_a_part_is_taken_out_of_model(tiny):
    sets = ["parts.model={init: a, init_prefix: {x.: y.}}", "networks.speaker={type: none}", "parts.encoder.init=null"]
    parts = load_config(tiny, [*sets, "parts.decoder=null"]).parts
    assert parts == {"visual_frontend": Part(init="a", init_prefix={"x.": "y."}), "encoder": Part()}


def test_model_of_a_vocoder_is_its_generator(tiny):
    assert load_config(tiny, ["trains=vocoder", "parts.model.init=a"]).parts == {"generator": Part(init="a")}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("parts.model=3", "--set: parts.model: expected keys and values, not 3"),
        ("parts.model.innit=a", "--set: unknown key 'parts.visual_frontend.innit'; did you mean 'init'"),
        ("parts.model=null", "parts has no 'model' to leave out"),
        ("parts={model: {init: a}, decodr: null}", "parts has no 'decodr' to leave out"),
    ],
)
def test_mistakes_in_model_are_named(tiny, value, message):
    with pytest.raises(UserError, match=message):
        load_config(tiny, [value])


@pytest.mark.parametrize(
    ("part", "frozen"),
    [
        (PartTransfer(), [False, False]),
        (PartTransfer(2), [True, False]),
        (Part(frozen="all"), [True, True]),
        (Part(frozen="weights", frozen_steps=2), [True, False]),
        (Part(), [False, False]),
    ],
)
def test_frozen_steps(part, frozen):
    assert [part.is_frozen(step) for step in (1, 2)] == frozen


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("parts.decodr={}", "parts.decodr: no such part; did you mean 'decoder'"),
        ("parts.generator={}", "parts.generator: no such part; known: audio_frontend, decoder"),
        ("parts={heads.ctc: {}}", "parts.heads.ctc: no such part"),
        ("parts.decoder.frozen=some", "parts.decoder.frozen"),
        ("parts.decoder.frozen_steps=3", "parts.decoder.frozen_steps 3 without frozen; add frozen: weights"),
        ("transfer.decoder={frozen: none, frozen_steps: 3}", "transfer.decoder.frozen_steps 3 without frozen"),
        ("transfer.decoder.frozen=all", "transfer.decoder.frozen: all with frozen_steps 0 freezes nothing; give a num"),
        ("parts.decoder={frozen: all, frozen_steps: 0}", "parts.decoder.frozen: all with frozen_steps 0 freezes"),
        ("parts.decoder.init=''", "parts.decoder.init: expected a path, not empty text"),
        ("parts.decoder.init_part=encoder", "parts.decoder.init_part without init"),
        ("parts.decoder={init: a, init_part: x, init_prefix: {a: b}}", "leave one of the two out"),
        ("parts.decoder={init: a, init_prefix: {}}", "init_prefix: expected beginnings of names"),
        ("parts.decoder.learning_rate_factor=-1", r"learning_rate_factor must lie in 0\.\.1e\+06"),
    ],
)
def test_mistakes_are_named(tiny, value, message):
    with pytest.raises(UserError, match=message):
        load_config(tiny, [value])


def test_contradictions_are_named(tiny):
    sets = ["transfer.decoder.frozen_steps=3", "parts.decoder.frozen=all"]
    with pytest.raises(UserError, match=r"both transfer.decoder and parts.decoder have settings of its training; give"):
        load_config(tiny, sets)
    assert load_config(tiny, [sets[0], "parts.decoder.init=a"]).parts["decoder"].init == "a"
    with pytest.raises(UserError, match=r"parts.audio_frontend: with pretrained, no model with this part is trained"):
        load_config(tiny, ["parts.audio_frontend={}", "pretrained=exp/other"])


def test_a_stored_config_has_the_same_parts(tiny):
    config = load_config(tiny, ['parts.decoder={init: a, init_prefix: {"": "", module.: x.}}'])
    assert config.parts["decoder"].init_prefix == {"": "", "module.": "x."}
    assert check_config(to_tree(config)) == config
    former = to_tree(config)
    del former["parts"], former["pretrain"]["corruption"], former["transfer"]["decoder"]["frozen"]
    assert check_config(former).transfer == config.transfer


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("finetune.corruption={time_share: 0.3}", "finetune.corruption: only the input of audio pre-training"),
        ("pretrain.corruption={}", "nothing is corrupted; give time_share, band_share, snr_db or bottleneck_dim"),
        ("pretrain.corruption={time_share: 1.0}", r"time_share must lie in 0\.\.0\.95"),
        ("pretrain.corruption={snr_db: [10, 0]}", "snr_db must be two rising numbers"),
        ("pretrain.corruption={snr_db: [10]}", "snr_db must be two rising numbers"),
        ("pretrain.corruption={bottleneck_dim: 0}", r"bottleneck_dim must lie in 1\.\.65536"),
        ("pretrain.corruption={time_shar: 0.1}", "did you mean 'time_share'"),
    ],
)
def test_mistakes_of_a_corruption_are_named(tiny, value, message):
    with pytest.raises(UserError, match=message):
        load_config(tiny, [value])


def test_a_vocoder_has_no_corruption(tiny):
    with pytest.raises(UserError, match=r"pretrain.corruption: only the input of audio pre-training"):
        load_config(tiny, ["trains=vocoder", "pretrain.corruption={time_share: 0.3}"])


def test_the_documented_settings_are_valid(tiny, tmp_path):
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/configuration.md").read_text(), re.DOTALL)
    sections = {key: value for block in blocks for key, value in yaml.safe_load(block).items()}
    (tmp_path / "documented.yaml").write_text(yaml.safe_dump({"base": str(tiny), **sections}))
    config = load_config(tmp_path / "documented.yaml")
    assert config.parts.keys() == {"visual_frontend", "decoder", "encoder"}
    assert config.pretrain.corruption.bottleneck_dim == 16
