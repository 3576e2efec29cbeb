"""The perceptual loss compares features of frozen extractors, clip by clip."""

import copy
import io
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from v2skit.config.features import Clock, Mel
from v2skit.config.load import check_config, load_config, to_tree
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.losses.extractors.audio_frontend import AudioFrontend
from v2skit.losses.extractors.torchaudio import TorchaudioBundle
from v2skit.losses.perceptual import Perceptual
from v2skit.losses.total import Losses
from v2skit.models import checkpoint
from v2skit.models.build import build_model
from v2skit.models.output import Output
from v2skit.signal.mel import MelSpectrogram

CLOCK, MEL = Clock(), Mel()
STEP = CLOCK.samples_per_frame


class Scaled(nn.Module):
    """The waveform itself, 20 ms a row, in two layers of unlike scale."""

    def forward(self, waveform):
        rows = waveform.unflatten(1, (-1, STEP // 2))
        return [1e-3 * rows, 50 * rows[:, ::2]]


class Normalising(nn.Module):
    """Convolution over time, normalised over the whole of it: a clip's padding would enter every frame."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv1d(1, 4, 400, 320, bias=False), nn.BatchNorm1d(4)
        self.dropout = nn.Dropout(0.5)

    def forward(self, waveform):
        x = self.norm(F.instance_norm(self.conv(waveform[:, None])))
        return [self.dropout(x).transpose(1, 2)]


def example(lengths=(5, 3, 5), frames=5, step=STEP):
    """Two unlike noises, zero beyond the clips: an output and a batch with the target."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.arange(frames) < torch.tensor(lengths)[:, None]
    noise = 0.1 * torch.randn(2, len(lengths), max(lengths) * step, generator=generator)
    noise = F.pad(noise, (0, (frames - max(lengths)) * step)) * mask.repeat_interleave(step, dim=1)
    output = Output(waveform=noise[0].requires_grad_())
    return output, Batch([str(n) for n in lengths], mask, torch.zeros(len(lengths), 0), noise[1])


def value(loss, output, batch):
    return loss(output, batch)["perceptual"].item()


def test_relative_whatever_the_scale_of_a_layer():
    output, batch = example()
    loss = Perceptual(Scaled())
    assert value(loss, Output(waveform=3 * batch.waveform), batch) == pytest.approx(2.0)
    assert value(loss, Output(waveform=batch.waveform), batch) == 0.0
    difference, size = (w.abs().sum() for w in (output.waveform - batch.waveform, batch.waveform))
    want = difference / size
    kept = batch.waveform.unflatten(1, (-1, STEP // 2))[:, ::2]
    other = (output.waveform.unflatten(1, (-1, STEP // 2))[:, ::2] - kept).abs().sum() / kept.abs().sum()
    assert value(loss, output, batch) == pytest.approx((want + other).item() / 2, rel=1e-5)


@pytest.mark.parametrize("lengths", [(5, 3, 5), (4, 4), (1, 2)])
def test_padding_does_not_enter(lengths):
    loss = Perceptual(Normalising())
    want = value(loss, *example(lengths, max(lengths)))
    assert want > 0.1
    for more in (1, 3):
        assert value(loss, *example(lengths, max(lengths) + more)) == pytest.approx(want, rel=1e-6)


def test_gradients_reach_the_waveform_alone():
    output, batch = example()
    extractor = Normalising()
    Perceptual(extractor)(output, batch)["perceptual"].backward()
    grad = output.waveform.grad
    assert grad.isfinite().all() and (grad != 0).any(1).all() and (grad[1, 3 * STEP :] == 0).all()
    assert all(p.grad is None for p in extractor.parameters())


def test_the_extractor_is_frozen_and_in_no_checkpoint():
    extractor = Normalising().train()
    loss = nn.ModuleDict({"a": Perceptual(extractor)}).train()
    assert not extractor.training and not extractor.dropout.training
    assert not any(p.requires_grad for p in extractor.parameters())
    assert not loss.state_dict() and not list(loss.parameters())
    loss.load_state_dict({})
    before = {k: v.clone() for k, v in extractor.state_dict().items()}
    first, again = (value(loss["a"], *example()) for _ in range(2))
    assert first == again and all(torch.equal(v, before[k]) for k, v in extractor.state_dict().items())


def test_the_extractor_moves_with_the_loss():
    extractor = Normalising()
    loss = nn.ModuleDict({"a": Perceptual(extractor)})
    loss.to("meta")
    assert extractor.conv.weight.device.type == extractor.norm.running_mean.device.type == "meta"


def test_autocast_changes_nothing():
    loss = Perceptual(Normalising())
    want = value(loss, *example())
    with torch.autocast("cpu", torch.bfloat16):
        assert value(loss, *example()) == want


@pytest.fixture
def pretrained(tiny, tmp_path):
    """A run with two checkpoints, the first of which is the better; and the frontend of its averaged weights."""
    config, frontends = load_config(tiny), []
    for step, total in ((1, 0.5), (2, 0.9)):
        model = build_model(config, "a2a", ["a"])
        averaged = copy.deepcopy(model)
        with torch.no_grad():
            for parameter in averaged.parameters():
                parameter.add_(0.1 * step * torch.randn_like(parameter))
        meta = checkpoint.new_meta(config, "a2a", ["a"], step=step, valid={"total": total})
        saved = checkpoint.Checkpoint(meta, model.state_dict(), averaged.state_dict())
        checkpoint.save(saved, checkpoint.folder_of(tmp_path / "pretrain", step))
        frontends.append(averaged.frontend.eval())
    return tmp_path / "pretrain", frontends


def test_audio_frontend_gives_the_features_of_the_best_averaged_weights(pretrained):
    run, frontends = pretrained
    output, batch = example((5, 5))
    mel = MelSpectrogram(CLOCK, MEL)(batch.waveform)
    for folder, frontend in ((run, frontends[0]), (checkpoint.folder_of(run, 2), frontends[1])):
        features = AudioFrontend(CLOCK, MEL, str(folder)).eval()(batch.waveform)
        assert len(features) == 1 and torch.equal(features[0], frontend(mel, batch.mask))
    loss = Perceptual(AudioFrontend(CLOCK, MEL, str(run)))
    loss(output, batch)["perceptual"].backward()
    assert output.waveform.grad.isfinite().all() and (output.waveform.grad != 0).any(1).all()


def test_audio_frontend_on_the_waveform(tiny, tmp_path):
    config = load_config(tiny, ["networks.audio_frontend={type: resnet1d, channels: [2, 4], blocks: 1}"])
    model = build_model(config, "a2a", ["a"])
    folder = tmp_path / "run" / "checkpoint-00000001"
    checkpoint.save(checkpoint.Checkpoint(checkpoint.new_meta(config, "a2a", ["a"]), model.state_dict()), folder)
    _, batch = example((5, 5))
    features = AudioFrontend(CLOCK, MEL, str(tmp_path / "run")).eval()(batch.waveform)
    assert torch.equal(features[0], model.frontend.eval()(batch.waveform, batch.mask))


class Listed(nn.Module):
    """A frontend with a tuple of inputs: the mean of each in a video frame."""

    out_dim = 2

    def __init__(self, inputs: tuple[str, ...] = ("mel",)) -> None:
        super().__init__()
        self.input, self.layer = inputs, nn.Linear(len(inputs), 2)

    def forward(self, *given):
        *signals, mask = given
        rows = [signal.reshape(*mask.shape, -1).mean(-1) for signal in signals]
        return self.layer(torch.stack(rows, -1))


def saved_frontend(tiny, folder, inputs):
    choice = f"networks.audio_frontend={{type: '{__name__}:Listed', inputs: {list(inputs)}}}"
    config = load_config(tiny, [choice])
    model = build_model(config, "a2a", ["a"])
    saved = checkpoint.Checkpoint(checkpoint.new_meta(config, "a2a", ["a"]), model.state_dict())
    checkpoint.save(saved, folder / "checkpoint-00000001")
    return model.frontend.eval()


@pytest.mark.parametrize("inputs", [("mel",), ("waveform",), ("waveform", "mel")])
def test_audio_frontend_with_a_tuple_of_inputs(tiny, tmp_path, inputs):
    frontend = saved_frontend(tiny, tmp_path / "run", inputs)
    _, batch = example((5, 5))
    signals = {"mel": MelSpectrogram(CLOCK, MEL)(batch.waveform), "waveform": batch.waveform}
    features = AudioFrontend(CLOCK, MEL, str(tmp_path / "run")).eval()(batch.waveform)
    assert torch.equal(features[0], frontend(*(signals[name] for name in inputs), batch.mask))


def test_audio_frontend_with_inputs_that_no_waveform_gives_is_refused(tiny, tmp_path):
    saved_frontend(tiny, tmp_path / "run", ("mel", "f0"))
    with pytest.raises(UserError, match=r"the input 'f0' of its audio frontend .* is not computed from a waveform"):
        AudioFrontend(CLOCK, MEL, str(tmp_path / "run"))


def test_audio_frontend_of_an_unfit_run_is_refused(pretrained, tiny, tmp_path):
    run, _ = pretrained
    with pytest.raises(UserError, match="nowhere does not exist; stage 2"):
        AudioFrontend(CLOCK, MEL, str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="hop: 480 in this config, 240 in"):
        AudioFrontend(CLOCK, Mel(hop=480), str(run))
    config = load_config(tiny)
    meta = checkpoint.new_meta(config, "v2a", ["a"])
    folder = tmp_path / "v2a" / "checkpoint-00000001"
    checkpoint.save(checkpoint.Checkpoint(meta, build_model(config, "v2a", ["a"]).state_dict()), folder)
    with pytest.raises(UserError, match="task v2a"):
        AudioFrontend(CLOCK, MEL, str(folder))


def test_a_config_names_the_extractor(pretrained, tiny):
    run, _ = pretrained
    term = f"losses.perceptual={{type: perceptual, weight: 2.0, extractor: {{type: audio_frontend, run: '{run}'}}}}"
    config = load_config(tiny, ["losses.l1=null", "losses.spectral_convergence=null", term])
    assert check_config(to_tree(config)).losses == config.losses
    losses = Losses(config).train()
    output, batch = example()
    total, parts = losses(output, batch)
    assert total.item() == pytest.approx(2 * parts["perceptual"].item()) and parts["perceptual"] > 0
    assert not losses.state_dict()
    with pytest.raises(UserError, match="did you mean 'audio_frontend'"):
        load_config(tiny, [term.replace("audio_frontend", "audio_front")])
    with pytest.raises(UserError, match="extractor 'audio_frontend': argument 'run' is missing"):
        load_config(tiny, ["losses.perceptual={type: perceptual, weight: 1, extractor: {type: audio_frontend}}"])


SMALL = {
    **dict.fromkeys(("encoder_projection_dropout", "encoder_attention_dropout", "encoder_ff_interm_dropout"), 0.1),
    "extractor_mode": "group_norm",
    "extractor_conv_layer_config": [(8, 10, 5), (8, 8, 8), (8, 8, 8)],
    "extractor_conv_bias": False,
    "encoder_embed_dim": 8,
    "encoder_pos_conv_kernel": 4,
    "encoder_pos_conv_groups": 2,
    "encoder_num_layers": 3,
    "encoder_num_heads": 2,
    "encoder_ff_interm_features": 8,
    "encoder_dropout": 0.1,
    "encoder_layer_norm_first": False,
    "encoder_layer_drop": 0.5,
    "aux_num_out": None,
}
WAVLM = {"encoder_num_buckets": 8, "encoder_max_distance": 16}


@pytest.fixture(params=["Wav2Vec2", "Wav2Vec2 normalising", "WavLM"])
def small(request, monkeypatch, tmp_path, torchaudio):
    """A bundle like those of torchaudio, but small, and a file with its weights."""
    kind, _, normalising = request.param.partition(" ")
    make = {"Wav2Vec2": torchaudio.models.wav2vec2_model, "WavLM": torchaudio.models.wavlm_model}[kind]
    params = {**SMALL, **(WAVLM if kind == "WavLM" else {})}
    bundle = torchaudio.pipelines.Wav2Vec2Bundle("small.pth", params, 16000, bool(normalising), kind)
    monkeypatch.setattr(torchaudio.pipelines, "SMALL", bundle, raising=False)
    torch.manual_seed(1)
    torch.save(make(**params).state_dict(), tmp_path / "weights.pth")
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    return bundle, tmp_path / "weights.pth"


def test_torchaudio_gives_what_the_bundle_gives_for_each_clip(small, torchaudio):
    bundle, file = small
    waveform = torch.stack([0.1 * torch.randn(8 * STEP), torch.randn(8 * STEP) + 0.5])
    model = bundle.get_model(dl_kwargs={"model_dir": str(file.parent), "file_name": file.name})
    features = TorchaudioBundle(CLOCK, "SMALL", str(file)).eval()(waveform)
    assert [f.shape[::2] for f in features] == [(2, 8)] * 3 and features[0].shape[1] > 8
    for row, clip in enumerate(waveform):
        want, _ = model.extract_features(torchaudio.functional.resample(clip[None], CLOCK.sample_rate, 16000))
        for got, layer in zip(features, want, strict=True):
            assert torch.allclose(got[row], layer[0], atol=1e-4)
    chosen = TorchaudioBundle(CLOCK, "SMALL", str(file), layers=(2, 1)).eval()(waveform)
    assert len(chosen) == 2 and all(torch.equal(a, b) for a, b in zip(chosen, features))


def test_torchaudio_in_the_loss(small):
    loss = Perceptual(TorchaudioBundle(CLOCK, "SMALL", str(small[1]))).train()
    output, batch = example()
    total = loss(output, batch)["perceptual"]
    total.backward()
    assert total > 0 and value(loss, *example()) == total.item()
    assert output.waveform.grad.isfinite().all() and (output.waveform.grad != 0).any(1).all()
    silent = torch.zeros_like(batch.waveform, requires_grad=True)
    loss(Output(waveform=silent), batch)["perceptual"].backward()
    assert silent.grad.isfinite().all()
    assert value(loss, *example(frames=8)) == pytest.approx(total.item(), rel=1e-5)


def test_torchaudio_without_the_right_file_is_refused(small, tmp_path):
    _, file = small
    with pytest.raises(UserError, match="no bundle 'HUBERT_BSE'; did you mean 'HUBERT_BASE'"):
        TorchaudioBundle(CLOCK, "HUBERT_BSE", str(file))
    missing = tmp_path / "missing.pth"
    where = "https://download.pytorch.org/torchaudio/models/hubert_fairseq_base_ls960.pth"
    with pytest.raises(UserError, match=f"{missing} is missing; the weights of HUBERT_BASE are published as {where}"):
        TorchaudioBundle(CLOCK, "HUBERT_BASE", str(missing))
    with pytest.raises(UserError, match=r"layers \(0, 4\): SMALL has the layers 1..3"):
        TorchaudioBundle(CLOCK, "SMALL", str(file), layers=(0, 4))
    other, empty, code, text = io.BytesIO(), b"", io.BytesIO(), b"not weights"
    torch.save({"other": torch.zeros(1)}, other)
    torch.save({"code": Scaled()}, code)
    for content in (other.getvalue(), empty, code.getvalue(), text):
        file.write_bytes(content)
        with pytest.raises(UserError, match="does not hold the weights of SMALL"):
            TorchaudioBundle(CLOCK, "SMALL", str(file))


def test_a_torchaudio_that_is_missing_or_does_not_fit_torch_is_an_error(monkeypatch, tmp_path):
    def unfit(name):
        raise RuntimeError("compiled with different CUDA versions")

    monkeypatch.setitem(sys.modules, "torchaudio", None)
    with pytest.raises(UserError, match=r"needs torchaudio: pip install 'v2skit\[torchaudio\]'"):
        TorchaudioBundle(CLOCK, "HUBERT_BASE", str(tmp_path / "weights.pth"))
    monkeypatch.setattr("v2skit.models.torchaudio_bundles.version", lambda name: "2.11.0+cu130")
    monkeypatch.setattr("v2skit.models.torchaudio_bundles.importlib.import_module", unfit)
    with pytest.raises(UserError, match=r"torchaudio 2.11.0\+cu130 does not work with torch .*for one CUDA release"):
        TorchaudioBundle(CLOCK, "HUBERT_BASE", str(tmp_path / "weights.pth"))
