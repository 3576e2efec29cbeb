"""Losses of waveforms have the values of their formulas; padding does not enter, and silence has a finite slope."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from v2skit.config.features import Clock, Mel
from v2skit.config.load import load_config
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.losses.log_mel import LogMel
from v2skit.losses.mfcc import Mfcc
from v2skit.losses.multi_resolution_stft import MultiResolutionStft
from v2skit.losses.power import Power
from v2skit.losses.total import Losses
from v2skit.models.output import Output
from v2skit.signal.mel import MelSpectrogram
from v2skit.signal.stft import Stft

CLOCK, MEL = Clock(), Mel()
STEP = CLOCK.samples_per_frame
MAKE = {
    "multi_resolution_stft": MultiResolutionStft,
    "log_mel": lambda: LogMel(CLOCK, MEL),
    "power": Power,
    "mfcc": lambda: Mfcc(CLOCK, MEL),
}


def batch_of(waveform, lengths, frames):
    """A batch of clips of these lengths, zero beyond them, in ``frames`` video frames."""
    mask = torch.arange(frames) < torch.tensor(lengths)[:, None]
    padded = F.pad(waveform, (0, frames * STEP - waveform.shape[1])) * mask.repeat_interleave(STEP, dim=1)
    ids = [str(n) for n in range(len(lengths))]
    return Batch(ids, mask, torch.zeros(len(lengths), 0), padded, MelSpectrogram(CLOCK, MEL)(padded))


def example(lengths=(5, 3), frames=5):
    """Two unlike noises: an output and a batch with the target."""
    generator = torch.Generator().manual_seed(0)
    target, predicted = 0.1 * torch.randn(2, len(lengths), max(lengths) * STEP, generator=generator)
    return Output(waveform=batch_of(predicted, lengths, frames).waveform), batch_of(target, lengths, frames)


def values(name, output, batch):
    return {k: v.item() for k, v in MAKE[name]()(output, batch).items()}


def test_a_gain_of_two():
    batch = example()[1]
    output = Output(waveform=2 * batch.waveform)
    double = math.log(2)
    stft = values("multi_resolution_stft", output, batch)
    assert stft == pytest.approx({"spectral_convergence": 1.0, "log_magnitude": double}, rel=1e-3)
    assert values("power", output, batch)["power"] == pytest.approx(double, rel=1e-3)
    assert values("log_mel", output, batch)["log_mel"] == pytest.approx(double, rel=1e-3)
    # An orthonormal DCT-II puts a constant c over M bins into the zeroth coefficient alone, as sqrt(M) c.
    assert values("mfcc", output, batch)["mfcc"] == pytest.approx(math.sqrt(MEL.n_mels) * double / 25, rel=1e-3)


def test_multi_resolution_stft_against_plain_numbers():
    output, batch = example(lengths=(2, 2), frames=2)
    want = {"spectral_convergence": 0.0, "log_magnitude": 0.0}
    for n in (256, 512):
        hop, window = n // 4, torch.hann_window(n)
        spectra = []
        for waveform in (output.waveform, batch.waveform):
            padded = F.pad(waveform, ((n - hop) // 2, n))
            starts = [s for s in range(0, 2 * STEP, hop) if s + hop // 2 < 2 * STEP]  # the centre is in the clip
            frames = torch.stack([padded[:, s : s + n] * window for s in starts], dim=1)
            spectra.append((torch.fft.rfft(frames).abs().square() + 1e-7).sqrt())
        p, t = spectra
        want["spectral_convergence"] += 0.5 * ((p - t).square().sum() / t.square().sum()).sqrt().item()
        want["log_magnitude"] += 0.5 * (p / t).log().abs().mean().item()
    got = MultiResolutionStft((256, 512), range_db=None)(output, batch)
    assert {k: v.item() for k, v in got.items()} == pytest.approx(want, rel=1e-5)


def test_mfcc_against_a_dct_written_out():
    output, batch = example()
    bins = torch.arange(MEL.n_mels) + 0.5
    basis = torch.stack([torch.cos(math.pi / MEL.n_mels * bins * k) for k in range(13)], dim=1)
    basis = basis * torch.tensor([math.sqrt((1 if k == 0 else 2) / MEL.n_mels) for k in range(13)])
    spectrogram = MelSpectrogram(CLOCK, MEL)
    predicted, target = (spectrogram(w)[batch.mel_mask()] @ basis for w in (output.waveform, batch.waveform))
    got = Mfcc(CLOCK, MEL, n_mfcc=13, range_db=None)(output, batch)["mfcc"]
    assert got.item() == pytest.approx((predicted - target).abs().mean().item(), rel=1e-5)


RELATIVE = {
    "power": lambda range_db: Power(range_db=range_db),
    "multi_resolution_stft": lambda range_db: MultiResolutionStft(range_db=range_db),
    "mfcc": lambda range_db: Mfcc(CLOCK, MEL, range_db=range_db),
    "log_mel": lambda range_db: LogMel(CLOCK, MEL, range_db=range_db),
}
TERM = {"power": "power", "multi_resolution_stft": "log_magnitude", "mfcc": "mfcc", "log_mel": "log_mel"}


@pytest.mark.parametrize("name", RELATIVE)
def test_background_noise_far_below_the_clip_has_no_weight(name):
    """Two clips with a gap of noise 60 dB below the rest, one of them 20 dB softer: only the noise is another one."""
    _, batch = example((4, 4), 4)
    gain, quiet = torch.tensor([[1.0], [0.1]]), torch.ones(4 * STEP)
    quiet[STEP : 3 * STEP] = 1e-3
    target = batch_of(gain * quiet * batch.waveform, (4, 4), 4)
    noise = example((4, 4), 4)[0].waveform
    output = Output(waveform=torch.where(quiet < 1, gain * 1e-3 * noise, target.waveform))
    with_floor, without = (RELATIVE[name](range_db)(output, target)[TERM[name]] for range_db in (30.0, None))
    assert 0 < with_floor < 0.1 * without


def test_the_floor_is_that_of_each_clip():
    output, batch = example()
    losses = []
    for row, frames in ((0, 5), (1, 3)):
        alone = batch_of(batch.waveform[row : row + 1, : frames * STEP], (frames,), frames)
        single = Output(waveform=output.waveform[row : row + 1, : frames * STEP])
        losses.append(Power(range_db=30.0)(single, alone)["power"].item())
        stft = Stft(512, 128)
        spare = -alone.waveform.shape[1] % 128
        mask = stft.frame_mask(F.pad(alone.sample_mask(), (0, spare)))
        p, t = (stft.power(F.pad(w, (0, spare)))[mask] for w in (single.waveform, alone.waveform))
        floor = 1e-3 * t.max()
        assert losses[-1] == pytest.approx(0.5 * ((p + floor) / (t + floor)).log().abs().mean().item(), rel=1e-4)
    frames = [len(range(64, n * STEP, 128)) for n in (5, 3)]
    want = sum(n * loss for n, loss in zip(frames, losses)) / sum(frames)
    assert Power(range_db=30.0)(output, batch)["power"].item() == pytest.approx(want, rel=1e-3)


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("lengths", [(5, 3), (4, 4), (1, 1)])
def test_padding_does_not_enter(name, lengths):
    want = values(name, *example(lengths, max(lengths)))
    for more in (1, 2, 5):
        assert values(name, *example(lengths, max(lengths) + more)) == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("name", MAKE)
def test_every_valid_sample_counts_and_none_of_the_padding_does(name):
    output, batch = example()
    waveform = output.waveform.requires_grad_()
    sum(MAKE[name]()(Output(waveform=waveform), batch).values()).backward()
    # Beyond the mask only the frames that reach over a clip's end see anything.
    last = 3 * STEP + MEL.n_fft
    assert (waveform.grad[0] != 0).all() and (waveform.grad[1, : 3 * STEP] != 0).all()
    assert (waveform.grad[1, last:] == 0).all()


@pytest.mark.parametrize("name", MAKE)
def test_zero_for_the_target_itself(name):
    _, batch = example()
    waveform = batch.waveform.clone().requires_grad_()
    got = MAKE[name]()(Output(waveform=waveform), batch)
    assert {k: v.item() for k, v in got.items()} == dict.fromkeys(got, 0.0)
    sum(got.values()).backward()
    assert waveform.grad.isfinite().all()


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("silent_target", [False, True])
def test_silence_has_a_finite_gradient(name, silent_target):
    _, batch = example()
    if silent_target:
        batch = batch_of(torch.zeros_like(batch.waveform), (5, 3), 5)
    for scale in (0.0, 1e-20, 1e-6):
        waveform = (scale * torch.ones_like(batch.waveform)).requires_grad_()
        total = sum(MAKE[name]()(Output(waveform=waveform), batch).values())
        total.backward()
        assert total.isfinite() and waveform.grad.isfinite().all()


@pytest.mark.parametrize("name", MAKE)
def test_autocast_changes_nothing(name):
    output, batch = example()
    want = values(name, output, batch)
    with torch.autocast("cpu", torch.bfloat16):
        assert values(name, output, batch) == want
    low = Output(waveform=output.waveform.bfloat16())
    assert values(name, low, batch) == pytest.approx(values(name, Output(waveform=low.waveform.float()), batch))


@pytest.mark.parametrize("name", ["log_mel", "mfcc"])
def test_a_perfect_waveform_has_no_error_where_the_mel_has_margins(name):
    _, batch = example()
    loud = torch.randn(len(batch.ids), 2, MEL.margin_samples, generator=torch.Generator().manual_seed(0))
    within = replace(batch, margins=loud).with_mel(MelSpectrogram(CLOCK, MEL))
    assert (within.mel - batch.mel)[batch.mel_mask()].abs().max() > 0.5
    assert values(name, Output(waveform=batch.waveform), within)[name] == 0


def test_bad_settings_are_refused():
    with pytest.raises(UserError, match="n_mfcc 81"):
        Mfcc(CLOCK, MEL, n_mfcc=81)
    with pytest.raises(UserError, match="floor 0"):
        Power(floor=0)
    for make in RELATIVE.values():
        with pytest.raises(UserError, match="range_db 0.0 must be positive, or null"):
            make(0.0)
    with pytest.raises(UserError, match="n_ffts"):
        MultiResolutionStft(())
    with pytest.raises(UserError, match="even"):
        MultiResolutionStft((500,))


def test_all_in_one_config(tiny):
    weights = {"multi_resolution_stft": 1.0, "log_mel": 2.0, "power": 50.0, "mfcc": 0.4}
    terms = ["losses.l1=null", "losses.spectral_convergence=null"]
    config = load_config(tiny, [*terms, *(f"losses.{n}={{type: {n}, weight: {w}}}" for n, w in weights.items())])
    losses = Losses(config)
    total, parts = losses(*example())
    assert total.item() == pytest.approx(sum(weights[n.partition("/")[0]] * v.item() for n, v in parts.items()))
    assert len(parts) == 5 and not losses.state_dict()
