"""The statistics of the mel over training clips, of which the losses get those that they need."""

import torch

from tests.conftest import make_data
from tests.training.trainers import trainer_of
from v2skit.config.load import load_config
from v2skit.data.data_dir import read_manifest
from v2skit.media.audio import read_audio
from v2skit.models import checkpoint
from v2skit.signal.mel import MelSpectrogram


def test_they_are_those_of_all_frames_and_resuming_keeps_them(tiny, tmp_path):
    make_data(tmp_path / "train", 4)
    make_data(tmp_path / "valid", 2, seed=1)
    config = load_config(tiny, ["finetune.steps=2", "finetune.validate_every=1", "mel.floor=0.03"])
    trainer = trainer_of(config, tmp_path, tmp_path / "run")
    spectrogram = MelSpectrogram(config.clock, config.mel)
    waveforms = [torch.from_numpy(read_audio(u.audio, 24000)) for u in read_manifest(tmp_path / "train")]
    mel = torch.cat([spectrogram(waveform[None])[0] for waveform in waveforms])  # (F, M)
    std = mel.std(0, correction=0)
    assert std.min() < 0.1 * std.mean()  # upper bins hardly change
    for name in ("l1", "spectral_convergence"):
        standard = trainer.losses.terms[name].standard
        torch.testing.assert_close(standard.mean, mel.mean(0), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(standard.std, std.clamp(min=0.1 * std.mean()), rtol=1e-2, atol=1e-3)
    trainer.train()
    make_data(tmp_path / "train", 4, seed=5)  # other clips, which a resumed run does not measure
    again = trainer_of(config, tmp_path, tmp_path / "run")
    assert again.step == 2
    assert torch.equal(again.losses.terms["l1"].standard.std, trainer.losses.terms["l1"].standard.std)
    saved = checkpoint.load(checkpoint.latest(tmp_path / "run"), optimiser=True)
    assert saved.optimiser["losses"].keys() == {"l1", "spectral_convergence"}
    plain = load_config(tiny, ["losses.l1.standardise=false", "losses.spectral_convergence.standardise=false"])
    assert trainer_of(plain, tmp_path, tmp_path / "plain").losses.state() == {}
