"""Every mistake in a config is an error that names the file, the key and the nearest valid name."""

import re

import pytest
import yaml

from tests.conftest import ROOT
from v2skit.config.load import check_config, load_config, to_tree
from v2skit.errors import UserError
from v2skit.hub.installed import is_installed
from v2skit.losses.total import Losses
from v2skit.models.build import build_model, build_new_vocoder, build_targets, build_vocoder, needs_vocoder

SHIPPED = sorted(ROOT.glob("egs/*/conf/*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: f"{p.parts[-3]}/{p.name}")
def test_every_shipped_config_builds(path):
    config = load_config(path)
    targets = build_targets(config)
    if config.trains == "vocoder":
        models = [build_new_vocoder(config, targets=targets)]
        assert config.finetune.learning_rate < config.pretrain.learning_rate  # its own settings, not the mel model's
    else:
        models = [build_model(config, task, ["a", "b"], targets) for task in ("a2a", "v2a")]
        if "run" in config.vocoder.args and not is_installed(config.vocoder.args["run"]):
            with pytest.raises(UserError, match="does not exist; the vocoder recipe's stage 2 makes it"):
                build_vocoder(config, models[1].output, targets)
        elif needs_vocoder(models[1]):
            build_vocoder(config, models[1].output, targets)
    of_other_runs = [name for name, term in config.losses.items() if "run" in {**term.args, **_extractor(term)}]
    for name in of_other_runs:
        with pytest.raises(UserError, match="does not exist; stage 2 "):
            Losses(config)
        config = load_config(path, [f"losses.{name}=null"])
    for model in models:
        Losses(config).check(model, config.targets)


def _extractor(term):
    """The arguments of the extractor of a loss."""
    extractor = term.args.get("extractor")
    return extractor.args if extractor else {}


def test_a_key_is_text_also_where_yaml_has_a_word_for_true(tmp_path, tiny):
    path = tmp_path / "on.yaml"
    path.write_text(f"base: [{tiny}, {ROOT / 'egs/conf/text.yaml'}]\nnetworks: {{heads: {{ctc: {{on: frontend}}}}}}\n")
    assert load_config(path).networks.heads["ctc"].on == "frontend"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("finetune.stpes=3", r"unknown key 'finetune.stpes'; did you mean 'steps'\?"),
        ("networks.encoder.blokcs=3", r"encoder 'conformer': unexpected argument 'blokcs'; did you mean 'blocks'\?"),
        ("networks.decoder.type=mel_liner", r"unknown decoder 'mel_liner'; did you mean 'mel_linear'\?"),
        ("networks.encoder.in_dim=3", "'in_dim' is set by the toolkit"),
        ("finetune.steps=many", "finetune.steps: expected a whole number, not 'many'"),
        ("finetune.steps=1.5", "finetune.steps: expected a whole number"),
        ("scratch=1", "scratch: expected true or false"),
        ("prepare.slurm.mem=null", "prepare.slurm has no 'mem' to leave out"),
        ("1=2", "unknown key '1'"),
        ("prepare.jobs=0 slurm", "prepare.jobs: expected a whole number"),
        ("prepare={cluster: slurm}", "prepare.jobs must say how many jobs go to slurm"),
        ("prepare.filters={min_seconds: 3, max_seconds: 2}", "prepare.filters.min_seconds 3 is above max_seconds 2"),
        ("mel.n_mels=0", "mel.n_mels must lie in 1..4096, not 0"),
        ("losses.l2=null", r"losses has no 'l2' to leave out; known: l1, spectral_convergence"),
        ("clock.fps=7", "sample_rate 24000 / fps 7 is not a whole number"),
        ("mel.hop=250", "hop must divide 960"),
        ("mel.log=log2", "neither 'natural' nor 'log10'"),
        ("losses.l1.weight=heavy", "losses.l1.weight: expected a number"),
        ("losses.extra={type: l1}", "losses.extra: loss 'l1' has no weight"),
        ("finetune.segment_frames=100000", "segment_frames 100000 must lie in"),
        ("transfer.frontend={}", "transfer.frontend: no such part"),
        ("augmentation.crop=200", "larger than crop.size"),
        ("finetune=3", "finetune: expected keys and values"),
        ("data.pretrain=audio", "data.pretrain: expected a list"),
        ("finetune.steps", "expected key.path=value"),
        ("finetune.workers=-1", "finetune.workers must lie in 0..1000, not -1"),
        ("pretrain.learning_rate=nan", "pretrain.learning_rate: expected a finite number, not nan"),
        ("pretrain.betas=[0.9, 1.5]", "pretrain.betas must be two numbers from 0 to below 1"),
        ("augmentation.erase_area=[0.1]", "augmentation.erase_area must be two rising numbers"),
        ("augmentation.tempos=[]", "augmentation.tempos must be numbers in 0.5..2, at least one, not"),
        ("augmentation.tempos=[1.0, 3.0]", "augmentation.tempos must be numbers in 0.5..2"),
        ("scoring.bootstrap=0", "scoring.bootstrap must lie in"),
        ("losses.l1.weight=nan", "losses.l1.weight: expected a finite number, not nan"),
    ],
)
def test_mistakes_are_named(tiny, override, message):
    with pytest.raises(UserError, match=message) as error:
        load_config(tiny, [override])
    assert "--set" in str(error.value)


def test_error_names_the_file_of_the_key(tiny, tmp_path):
    child = tmp_path / "child.yaml"
    child.write_text(f"base: {tiny.name}\nseed: 2\n")
    tiny.write_text(tiny.read_text() + "sead: 1\n")
    with pytest.raises(UserError, match=re.escape(str(tiny)) + ".*unknown key 'sead'; did you mean 'seed'"):
        load_config(child)


def test_missing_key_and_files(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("seed: 1\n")
    with pytest.raises(UserError, match="'corpus' is missing"):
        load_config(path)
    with pytest.raises(UserError, match="can't be read: No such file"):
        load_config(tmp_path / "none.yaml")
    path.write_text("base: a.yaml\n")
    with pytest.raises(UserError, match="own base"):
        load_config(path)
    path.write_text("seed: [1\n")
    with pytest.raises(UserError, match="not valid YAML"):
        load_config(path)


def test_override_reaches_the_component_and_keeps_the_rest(tiny):
    config = load_config(tiny, ["networks.encoder.dim=32", "pretrain.learning_rate=1e-4", "losses.l1=null"])
    assert config.networks.encoder.args["dim"] == 32
    assert config.networks.encoder.args["blocks"] == 1
    assert config.pretrain.learning_rate == 1e-4
    assert set(config.losses) == {"spectral_convergence"}


def test_an_error_has_its_key_and_source_as_fields(tiny):
    with pytest.raises(UserError) as error:
        load_config(tiny, ["prepare.filters.min_seconds=-1"])
    assert error.value.fields == {"key": "prepare.filters.min_seconds", "source": "--set"}


def test_null_is_a_value_of_optional_arguments(tiny):
    override = [
        "finetune.segment_frames=null",
        "networks.encoder.size=null",
        "pretrained=null",
        "prepare.slurm.a.b=null",
    ]
    config = load_config(tiny, override)
    assert config.prepare.slurm == {"a": {"b": None}}
    assert config.finetune.segment_frames is config.networks.encoder.args["size"] is config.pretrained is None


def test_null_leaves_out_what_is_there(tiny):
    losses = load_config(tiny, ["losses.l1=null"]).losses
    assert "l1" not in losses and losses


def test_another_type_drops_the_arguments_of_the_old_one(tiny):
    encoder = load_config(tiny, ["networks.encoder={type: bigru, dim: 12}"]).networks.encoder
    assert (encoder.type, encoder.args["dim"]) == ("bigru", 12)
    assert "blocks" not in encoder.args


def test_resolved_config_reads_back_the_same(tiny):
    config = load_config(tiny)
    again = check_config(yaml.safe_load(yaml.safe_dump(to_tree(config))))
    assert to_tree(again) == to_tree(config)
