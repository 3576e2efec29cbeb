"""The recognition loss: the frozen model of a pre-training with text reads the output mel."""

from dataclasses import replace

import pytest
import torch

from tests.conftest import ROOT
from v2skit.config.features import Clock, Mel
from v2skit.config.load import load_config
from v2skit.data.batch import PADDING, Batch
from v2skit.errors import UserError
from v2skit.losses.recognition import Recognition
from v2skit.losses.total import Losses
from v2skit.models import checkpoint
from v2skit.models.build import build_model, build_targets
from v2skit.models.output import Output

CLOCK, MEL = Clock(), Mel()


def saved(config, folder, task="a2a", text="ab"):
    """A checkpoint of a model that was never trained."""
    targets = build_targets(config)
    states = {name: target.fit([type("", (), {"text": text})()]) for name, target in targets.built.items()}
    targets = build_targets(config, states)
    torch.manual_seed(0)
    model = build_model(config, task, ["a"], targets)
    meta = checkpoint.new_meta(config, task, ["a"], targets=states)
    checkpoint.save(checkpoint.Checkpoint(meta, model.state_dict()), folder / "checkpoint-00000001")
    return model


@pytest.fixture
def with_text(tiny, tmp_path):
    """The tiny config with text supervision."""
    path = tmp_path / "text.yaml"
    path.write_text(f"base: [{tiny}, {ROOT / 'egs/conf/text.yaml'}]\n")
    return load_config(path)


@pytest.fixture
def run(with_text, tmp_path):
    """A pre-training run whose model reads the letters a and b."""
    saved(with_text, tmp_path / "pretrain")
    return tmp_path / "pretrain"


def batch(lengths=(8, 5), seed=0):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    mel = 2 * torch.randn(len(lengths), 4 * max(lengths), MEL.n_mels, generator=generator) - 5
    mel = mel * mask.repeat_interleave(4, dim=1)[..., None]
    tokens = torch.tensor([[0, 1], [1, PADDING]])[: len(lengths)]
    waveform = torch.zeros(len(lengths), max(lengths) * CLOCK.samples_per_frame)
    return Batch(
        [str(n) for n in lengths], mask, torch.zeros(len(lengths)), waveform, mel=mel, extras={"tokens": tokens}
    )


def test_the_target_itself_has_its_features_and_other_speech_has_others(run):
    loss, truth, other = Recognition(CLOCK, MEL, str(run)), batch(), batch(seed=1)
    same, different = (loss(Output(mel=mel), truth) for mel in (truth.mel, other.mel))
    assert same["features"] == 0 < different["features"]
    assert same["ctc"] > 0


def test_mels_in_half_precision_are_read_as_well(run):
    loss, truth = Recognition(CLOCK, MEL, str(run)), batch()
    half, whole = loss(Output(mel=batch(seed=1).mel.bfloat16()), truth), loss(Output(mel=batch(seed=1).mel), truth)
    assert half["features"].dtype == torch.float32 and float(half["features"]) == pytest.approx(
        float(whole["features"]), rel=0.05
    )


@pytest.mark.parametrize("term", ["ctc", "features"])
def test_gradients_reach_the_mel_alone_and_lower_the_loss(term, run):
    loss, truth = Recognition(CLOCK, MEL, str(run)).train(), batch()
    assert not list(loss.parameters()) and not loss.state_dict()
    before = {name: value.clone() for name, value in loss.frozen.state_dict().items()}
    mel = batch(seed=1).mel.requires_grad_()
    optimiser, totals = torch.optim.Adam([mel], lr=0.5), []
    for _ in range(20):
        value = loss(Output(mel=mel), truth)[term]
        totals.append(value.item())
        optimiser.zero_grad()
        value.backward()
        assert not mel.grad[1, 20:].any()  # padding
        optimiser.step()
    assert totals[-1] < 0.8 * totals[0]
    assert all(value.equal(before[name]) for name, value in loss.frozen.state_dict().items())


def test_padding_does_not_count(run):
    loss, truth, other = Recognition(CLOCK, MEL, str(run)), batch(), batch(seed=1)
    padded = other.mel.masked_fill(~truth.mel_mask()[..., None], 7.0)
    first, second = (loss(Output(mel=mel), truth) for mel in (other.mel, padded))
    assert all(torch.allclose(first[name], second[name]) for name in first)


def test_weights(run):
    weighted = Recognition(CLOCK, MEL, str(run), ctc_weight=3.0, feature_weight=0.0)
    truth, other = batch(), batch(seed=1)
    plain = Recognition(CLOCK, MEL, str(run))(Output(mel=other.mel), truth)
    values = weighted(Output(mel=other.mel), truth)
    assert values["ctc"].item() == pytest.approx(3 * plain["ctc"].item()) and values["features"] == 0
    with pytest.raises(UserError, match="ctc_weight must lie in"):
        Recognition(CLOCK, MEL, str(run), ctc_weight=-1)


def test_a_recogniser_without_a_voice_for_unknown_speakers_is_refused(tmp_path, with_text):
    speaker = "networks.speaker={type: d_vector, dropout: 0.0}"
    saved(load_config(tmp_path / "text.yaml", [speaker]), tmp_path / "needs_a_voice")
    with pytest.raises(UserError, match=r"'d_vector' has no voice for unknown .* {type: d_vector, dropout: 0.1} or"):
        Recognition(CLOCK, MEL, str(tmp_path / "needs_a_voice"))


def test_another_voice_does_not_change_what_is_recognised(run, with_text):
    loss, truth, other = Recognition(CLOCK, MEL, str(run)), batch(), batch(seed=1)
    moved = replace(truth, speaker=truth.speaker + 1)
    assert loss(Output(mel=other.mel), truth) == loss(Output(mel=other.mel), moved)


def test_a_config_trains_with_it_and_notes_its_weights(run, with_text, tmp_path):
    term = f"losses.recognition={{type: recognition, weight: 0.5, run: '{run}'}}"
    config = load_config(tmp_path / "text.yaml", [term])
    losses = Losses(config)
    assert losses.digests() == {"recognition": checkpoint.digest(run / "checkpoint-00000001")}
    no_target = load_config(
        tmp_path / "text.yaml", [term, "targets.tokens=null", "networks.heads.ctc=null", "losses.ctc=null"]
    )
    with pytest.raises(UserError, match="compares 'tokens' with a target"):
        Losses(no_target).check(build_model(no_target, "v2a", ["a"]), ())


def test_runs_that_do_not_recognise_are_refused(run, with_text, tiny, tmp_path):
    with pytest.raises(UserError, match="nowhere does not exist; stage 2"):
        Recognition(CLOCK, MEL, str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="hop: 480 in this config, 240 in"):
        Recognition(CLOCK, Mel(hop=480), str(run))
    with pytest.raises(UserError, match="does not recognise 'words' from mels"):
        Recognition(CLOCK, MEL, str(run), stream="words")
    saved(load_config(tiny), tmp_path / "no_text")
    with pytest.raises(UserError, match="does not recognise 'tokens' from mels"):
        Recognition(CLOCK, MEL, str(tmp_path / "no_text"))
    saved(with_text, tmp_path / "v2a", "v2a")
    with pytest.raises(UserError, match="task v2a"):
        Recognition(CLOCK, MEL, str(tmp_path / "v2a"))
