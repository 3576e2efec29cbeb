"""Parallel WaveGAN: other mel settings are errors, and its output is synchronous (which needs its package)."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from tests.conftest import ROOT
from v2skit.config.features import Clock, Mel
from v2skit.config.load import load_config
from v2skit.errors import UserError
from v2skit.models.build import build_vocoder
from v2skit.signal.mel import MelSpectrogram

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
SVTS = ROOT / "egs/grid/conf/svts.yaml"
CLOCK = Clock(24000, 20)
MEL = Mel(2048, 1200, 300, 80, 80.0, 7600.0, 1e-10, "log10")
TRAINED_WITH = {
    "sampling_rate": 24000, "fft_size": 2048, "hop_size": 300, "win_length": 1200, "window": "hann", "num_mels": 80,
    "fmin": 80, "fmax": 7600, "global_gain_scale": 1.0, "format": "hdf5", "generator_type": "ParallelWaveGANGenerator",
    "generator_params": {
        "layers": 4, "stacks": 2, "residual_channels": 4, "gate_channels": 8, "skip_channels": 4, "aux_channels": 80,
        "aux_context_window": 2, "upsample_params": {"upsample_scales": [4, 5, 3, 5]},
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "plugins/v2skit-parallel-wavegan"))


@pytest.fixture
def package():
    """The package's models, imported as the plug-in does it."""
    from v2skit_parallel_wavegan.checkpoint import _models

    try:
        return _models()
    except UserError as error:
        pytest.skip(f"{error}")


def write_config(folder: Path, **changes) -> str:
    """A config.yml of training; returns where its checkpoint would be."""
    (folder / "config.yml").write_text(yaml.safe_dump({**TRAINED_WITH, **changes}))
    return str(folder / "checkpoint-10steps.pkl")


@pytest.fixture
def trained(tmp_path, package) -> str:
    """A tiny generator's checkpoint as the package's training writes it, with config.yml and stats.h5."""
    import h5py

    torch.manual_seed(3)
    path = write_config(tmp_path)
    generator = package.ParallelWaveGANGenerator(**yaml.safe_load(yaml.safe_dump(TRAINED_WITH))["generator_params"])
    optimiser = torch.optim.Adam(generator.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimiser, 10)
    state = {"model": {"generator": generator.state_dict(), "discriminator": {}}, "steps": 10, "epochs": 1}
    torch.save({**state, "optimizer": {"generator": optimiser.state_dict()}, "scheduler": scheduler.state_dict()}, path)
    with h5py.File(tmp_path / "stats.h5", "w") as file:
        file["mean"] = np.linspace(-1, -3, 80, dtype=np.float32)
        file["scale"] = np.linspace(0.5, 1.5, 80, dtype=np.float32)
    return path


def vocoder(checkpoint: str, clock: Clock = CLOCK, mel: Mel = MEL, **arguments) -> nn.Module:
    from v2skit_parallel_wavegan.vocoder import ParallelWaveGan

    return ParallelWaveGan(clock, mel, checkpoint, **arguments).eval()


def test_config_is_the_libritts_vocoders():
    from v2skit_parallel_wavegan.settings import check_mel

    config = load_config(SVTS)
    assert config.clock == CLOCK and config.mel == MEL and config.vocoder.type == "griffin_lim"
    check_mel(TRAINED_WITH, Path("config.yml"), config.clock, config.mel)
    check_mel({**TRAINED_WITH, "log_base": 10, "global_gain_scale": 0}, Path("config.yml"), CLOCK, MEL)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"sampling_rate": 22050}, ["sample_rate: 24000 here, 22050 there"]),
        ({"hop_size": 256, "win_length": None}, ["hop: 300 here, 256 there", "window: 1200 here, 2048 there"]),
        ({"fft_size": 1024, "num_mels": 100}, ["n_fft: 2048 here, 1024 there", "n_mels: 80 here, 100 there"]),
        ({"fmin": None, "fmax": None}, ["f_min: 80.0 here, 0.0 there", "f_max: 7600.0 here, 12000.0 there"]),
        ({"log_base": None}, ["log: log10 here, natural there"]),
        ({"log_base": 2.0}, ["log: log10 here, log2.0 there"]),
        ({"window": "hamming"}, ["window_shape: hann here, hamming there"]),
        ({"global_gain_scale": 0.5}, ["gain: 1.0 here, 0.5 there"]),
        ({"sampling_rate_for_feats": 16000}, ["sample_rate: 24000 here, 24000 with a mel at 16000 there"]),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_other_mel_settings_are_an_error_with_every_field(tmp_path, changes, fields):
    with pytest.raises(UserError, match="conf/svts.yaml") as error:
        vocoder(write_config(tmp_path, **changes))
    listed = str(error.value).split("(")[1].split(")")[0].split("; ")
    assert sorted(listed) == sorted(fields)


def test_the_default_mel_is_an_error(tmp_path):
    with pytest.raises(UserError) as error:
        vocoder(write_config(tmp_path), Clock(), Mel())
    fields = ("hop: 240", "f_min: 0.0", "f_max: 12000.0", "floor: 0.0001", "log: natural")
    assert all(f"{field} here" in str(error.value) for field in fields)


def test_missing_and_wrong_files_are_named(tmp_path):
    with pytest.raises(UserError, match="config.yml can't be read: No such file"):
        vocoder(str(tmp_path / "checkpoint-10steps.pkl"))
    checkpoint = write_config(tmp_path)
    with pytest.raises(UserError, match="checkpoint-10steps.pkl does not exist"):
        vocoder(checkpoint)
    Path(checkpoint).write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match="is no checkpoint of parallel_wavegan, or is damaged"):
        vocoder(checkpoint)
    with pytest.raises(UserError, match="is a 'MelGANGenerator'"):
        vocoder(write_config(tmp_path, generator_type="MelGANGenerator"))
    (tmp_path / "config.yml").write_text("sampling_rate: 24000")
    with pytest.raises(UserError, match="missing or wrong key 'fft_size'"):
        vocoder(checkpoint)
    (tmp_path / "config.yml").write_text("a: !!python/object/apply:os.getcwd []")
    with pytest.raises(UserError, match="is not plain YAML"):
        vocoder(checkpoint)


def test_without_the_package_the_error_has_its_installation(tmp_path, monkeypatch):
    checkpoint = write_config(tmp_path)
    torch.save({"model": {"generator": {}}}, checkpoint)
    for name in [n for n in sys.modules if n.partition(".")[0] == "parallel_wavegan"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "parallel_wavegan", None)
    with pytest.raises(UserError, match="pip install --no-build-isolation --no-deps parallel_wavegan"):
        vocoder(checkpoint)


def test_checkpoint_with_code_is_an_error(tmp_path):
    checkpoint = write_config(tmp_path)
    torch.save({"model": {"generator": {"weight": Path("code")}}}, checkpoint)
    with pytest.raises(UserError, match="is no checkpoint of parallel_wavegan"):
        vocoder(checkpoint)


@pytest.mark.parametrize("hop", [300, 301])
def test_output_is_synchronous_with_the_frames(tmp_path, monkeypatch, hop):
    """A stand-in whose sample ``n`` is bin 0 at ``n`` by their clock, where frame ``m`` is at ``m * hop``."""
    from v2skit_parallel_wavegan import vocoder as module

    class Ideal(nn.Module):
        aux_context_window = 2

        def forward(self, noise, mel):
            frames, samples = np.arange(mel.shape[2] - 4) * hop, np.arange(noise.shape[2])
            return torch.from_numpy(np.interp(samples, frames, mel[0, 0, 2:-2].numpy()))[None, None]

    for name in ("checkpoint.pkl", "config.yml", "stats.h5"):
        (tmp_path / name).touch()
    monkeypatch.setattr(module, "read_config", lambda path: {})
    monkeypatch.setattr(module, "check_mel", lambda *arguments: None)
    monkeypatch.setattr(module, "load_generator", lambda path, config, with_weights: Ideal())
    monkeypatch.setattr(module, "load_statistics", lambda path, bins: (torch.full((bins,), -2.0), torch.tensor(0.5)))
    mel = Mel(2048 + hop % 2, 1200, hop, 4)
    ideal = module.ParallelWaveGan(CLOCK, mel, str(tmp_path / "checkpoint.pkl"))
    centres = torch.arange(6) * hop + hop // 2
    time = (0.5 * centres - 2.0)[None, :, None].expand(1, 6, 4)  # normalised, it is the time of the frame
    output = ideal(time)
    assert output.shape == (1, 6 * hop)
    inside = slice(hop // 2, 5 * hop + hop // 2)
    assert torch.allclose(output[0, inside].float(), torch.arange(6 * hop)[inside].float(), atol=1e-2)
    assert torch.allclose(output[0, : hop // 2].float(), torch.tensor(hop // 2.0))


def test_our_mel_is_theirs_half_a_hop_later():
    """Their ``logmelfilterbank`` is librosa's centred transform; ours is the same on the signal half a hop later."""
    librosa = pytest.importorskip("librosa", reason="librosa is not installed")
    sound = np.random.default_rng(0).normal(0, 0.1, 24 * 300).astype(np.float32)
    ours = MelSpectrogram(CLOCK, MEL)(torch.from_numpy(sound)[None])[0].numpy()
    magnitude = np.abs(librosa.stft(sound[150:], n_fft=2048, hop_length=300, win_length=1200, pad_mode="reflect"))
    filters = librosa.filters.mel(sr=24000, n_fft=2048, n_mels=80, fmin=80, fmax=7600)
    theirs = np.log10(np.maximum(1e-10, filters @ magnitude)).T
    assert np.abs(ours - theirs[:24])[4:-4].max() < 1e-3
    assert np.abs(ours[1:] - theirs[:23])[4:-4].max() > 0.1


def test_length_is_exact_and_the_output_deterministic(trained):
    mel = torch.randn(2, 7, 80) - 2
    plugged_in = vocoder(trained)
    output = plugged_in(mel)
    assert output.shape == (2, 7 * 300) and output.std() > 0 and not output.requires_grad
    torch.rand(5)
    assert torch.equal(output, plugged_in(mel)) and torch.equal(output, vocoder(trained)(mel))
    assert torch.allclose(output[1:], plugged_in(mel[1:]), atol=1e-6)
    assert not any("weight_g" in name for name, _ in plugged_in.generator.named_parameters())
    assert plugged_in(mel[:, :1]).shape == (2, 300)


def test_output_is_the_packages_half_a_hop_later(trained, package):
    """Against the package's own inference, with its own normalisation and weights not yet folded."""
    generator = package.ParallelWaveGANGenerator(**yaml.safe_load(yaml.safe_dump(TRAINED_WITH))["generator_params"])
    generator.load_state_dict(torch.load(trained, weights_only=True)["model"]["generator"])
    generator.register_stats(str(Path(trained).parent / "stats.h5"))
    mel = torch.randn(1, 9, 80) - 2
    noise = torch.randn(10 * 300, 1, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        # Noise for one frame more: theirs begins at our first frame, ours one frame before.
        theirs = generator.eval().inference(mel[0], noise[300:], normalize_before=True)[:, 0]
    ours = vocoder(trained)(mel)[0]
    # Without the first frames, whose receptive field has the frame added before them.
    assert torch.allclose(ours[900:], theirs[750:-150], atol=1e-5)
    assert not torch.allclose(ours[900:], theirs[900:], atol=1e-5)


def test_files_may_be_elsewhere_and_statistics_an_array(trained, tmp_path):
    import h5py

    mel, elsewhere = torch.randn(1, 5, 80), tmp_path / "elsewhere"
    elsewhere.mkdir()
    want = vocoder(trained)(mel)
    with h5py.File(tmp_path / "stats.h5") as file:
        np.save(elsewhere / "numbers.npy", np.stack([file["mean"], file["scale"]]))
    (tmp_path / "stats.h5").unlink()
    with pytest.raises(UserError, match="statistics .*stats.h5 can't be read"):
        vocoder(trained)
    moved = (tmp_path / "config.yml").rename(elsewhere / "other.yml")
    stats = elsewhere / "numbers.npy"
    assert torch.equal(vocoder(trained, config=str(moved), stats=str(stats))(mel), want)
    moved.rename(tmp_path / "config.yml")
    stats = stats.rename(tmp_path / "stats.npy")
    assert torch.equal(vocoder(trained)(mel), want)
    np.save(stats, np.ones((2, 40)))
    with pytest.raises(UserError, match="no means and positive deviations of 80 bins"):
        vocoder(trained)


def test_a_pack_needs_its_weights_only(trained, tmp_path):
    from v2skit_parallel_wavegan.vocoder import ParallelWaveGan

    mel, plugged_in = torch.randn(1, 5, 80), vocoder(trained)
    for path in tmp_path.iterdir():
        path.unlink()
    packed = ParallelWaveGan(CLOCK, MEL, **json.loads(json.dumps(plugged_in.pack_arguments())))
    assert not torch.equal(packed(mel), plugged_in(mel))
    packed.load_state_dict(plugged_in.state_dict())
    assert torch.equal(packed(mel), plugged_in(mel))
    with pytest.raises(UserError, match="checkpoint: give the path"):
        ParallelWaveGan(CLOCK, MEL)


def test_config_of_another_network_is_an_error(trained, tmp_path):
    params = {**TRAINED_WITH["generator_params"], "residual_channels": 6}
    with pytest.raises(UserError, match="does not fit the generator_params"):
        vocoder(write_config(tmp_path, generator_params=params))
    params = {**TRAINED_WITH["generator_params"], "upsample_params": {"upsample_scales": [5, 4, 3, 5, 1]}}
    with pytest.raises(UserError, match="does not fit the generator_params"):
        vocoder(write_config(tmp_path, generator_params=params))


def test_recipe_config_chooses_it(trained):
    from v2skit_parallel_wavegan import register_components

    from v2skit.registry import plugins

    plugins.load.cache_clear()
    register_components(lambda kind, name, target: plugins.registry().add(kind, name, target, "parallel_wavegan"))
    try:
        config = load_config(SVTS, [f"vocoder={{type: parallel_wavegan, checkpoint: '{trained}'}}"])
        built = build_vocoder(config, "mel")
        assert built(torch.zeros(1, 4, 80)).shape == (1, 1200) and len(built.digest) == 12
    finally:
        plugins.load.cache_clear()
