"""Corrupted inputs: what is masked, filtered and added; that targets and validation stay clean."""

import dataclasses

import pytest
import torch

from tests.training.trainers import trainer_of
from v2skit.config.corruption import Corruption
from v2skit.config.features import Clock, Mel
from v2skit.config.load import load_config
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.models.build import build_model
from v2skit.signal.mel import MelSpectrogram
from v2skit.training.corruption import InputCorruption, corruption_of

CLOCK, MEL = Clock(), Mel()
SPECTROGRAM = MelSpectrogram(CLOCK, MEL)


def batch(frames: int = 50, padded: int = 10) -> Batch:
    torch.manual_seed(0)
    mask = torch.ones(4, frames, dtype=torch.bool)
    mask[1, frames - padded :] = False
    waveform = 0.1 * torch.randn(4, frames * CLOCK.samples_per_frame)
    waveform *= mask.repeat_interleave(CLOCK.samples_per_frame, dim=1)
    return Batch(["a", "b", "c", "d"], mask, torch.zeros(4), waveform, SPECTROGRAM(waveform))


def corrupted(clean: Batch, **settings) -> Batch:
    found = InputCorruption(Corruption(**settings), CLOCK, MEL)(clean)
    assert torch.equal(found.mel, SPECTROGRAM(found.waveform))  # both kinds of frontends have the same input
    assert not found.waveform[~clean.sample_mask()].any()
    return found


def test_time_masks_silence_whole_video_frames():
    clean = batch()
    found = corrupted(clean, time_share=0.4)
    frames = found.waveform.unflatten(1, (50, -1))
    silent = (frames == 0).all(-1)
    assert torch.equal(frames[~silent], clean.waveform.unflatten(1, (50, -1))[~silent])
    assert 0.2 < silent[0].float().mean() < 0.7 and not torch.equal(silent[0], silent[2])


def test_bands_are_removed_from_whole_clips():
    clean = batch()
    found = corrupted(clean, band_share=0.3, band_bins=10)
    inner = slice(10, 150)  # away from the padding
    lost = (clean.mel - found.mel)[:, inner].mean(1)  # (B, M)
    removed, kept = lost > 1.0, lost.abs() < 0.05
    assert all(removed.any(1)) and all(kept.sum(1) > 20)
    assert not torch.equal(removed[0], removed[2])


def test_noise_has_the_signal_to_noise_ratio():
    clean = batch()
    noise = corrupted(clean, snr_db=[6.0, 6.0]).waveform - clean.waveform
    power = [(x.square().sum(1) / clean.sample_mask().sum(1)) for x in (clean.waveform, noise)]
    assert torch.allclose(10 * (power[0] / power[1]).log10(), torch.tensor(6.0), atol=0.2)
    assert (
        corrupted(dataclasses.replace(clean, waveform=torch.zeros_like(clean.waveform)), snr_db=[0, 0])
        .mel.isfinite()
        .all()
    )


def test_the_random_generators_decide():
    clean, settings = batch(), {"time_share": 0.3, "band_share": 0.2, "snr_db": [0.0, 20.0]}
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(corrupted(clean, **settings).waveform)
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_targets_and_validation_stay_clean(recipe_folder, tiny, monkeypatch):
    sets = ["pretrain.steps=2", "pretrain.precision=float32", "pretrain.corruption={time_share: 0.9}"]
    trainer = trainer_of(load_config(tiny, sets), recipe_folder / "data", recipe_folder / "run", task="a2a")
    inputs, targets, modes = [], [], []
    forward, losses = trainer.model.frontend.forward, trainer.losses.forward
    averaged = trainer.average.model.frontend.forward
    trainer.model.frontend.forward = lambda mel, mask: inputs.append(mel) or forward(mel, mask)
    trainer.average.model.frontend.forward = lambda mel, mask: inputs.append(mel) or averaged(mel, mask)

    def note(output, batch, validate=False):
        targets.append(batch.mel)
        modes.append(validate)
        return losses(output, batch, validate)

    trainer.losses.forward = note
    trainer.train()
    pairs = list(zip(inputs, targets, modes, strict=False))
    assert [validate for *_, validate in pairs][:2] == [False, False] and modes[2]
    floor = torch.tensor(MEL.floor).log()
    for given, target, validate in pairs[:3]:
        assert torch.equal(given, target) == validate
        assert (target == floor).float().mean() < 0.2 and (validate or (given == floor).float().mean() > 0.5)


def test_a_bottleneck_is_between_frontend_and_encoder_of_a2a_only(tiny):
    plain, narrow = load_config(tiny), load_config(tiny, ["pretrain.corruption={bottleneck_dim: 3}"])
    models = [build_model(plain, "a2a", ["a"]), build_model(narrow, "a2a", ["a"])]
    for name, value in models[0].state_dict().items():
        assert torch.equal(value, models[1].state_dict()[name]), name  # the same random weights
    assert models[1].state_dict().keys() - models[0].state_dict().keys() == {
        "bottleneck.0.weight",
        "bottleneck.1.weight",
    }
    assert build_model(narrow, "v2a", ["a"]).bottleneck is None
    features = models[1].bottleneck(torch.randn(30, 8))
    assert torch.linalg.matrix_rank(features) == 3
    seen = []
    models[1].encoder.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    clip = batch()
    models[1].eval()(dataclasses.replace(clip, speaker=torch.zeros(4, dtype=torch.long)).inputs(["mel"]))
    assert torch.linalg.matrix_rank(seen[0][0, :, :8]) == 3
    assert corruption_of(narrow.pretrain.corruption, CLOCK, MEL, models[1]) is None


def test_an_input_that_can_not_be_corrupted_is_named(tiny):
    model = build_model(load_config(tiny), "v2a", ["a"])
    with pytest.raises(UserError, match="for frontends with input mel or waveform, not video"):
        corruption_of(Corruption(time_share=0.1), CLOCK, MEL, model)
