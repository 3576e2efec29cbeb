"""AV-HuBERT: a checkpoint in its authors' naming gives the features of a forward pass that is written out here."""

import argparse
import re
import sys
import types

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from tests.conftest import ROOT, stages
from v2skit.config.features import Clock
from v2skit.config.load import load_config
from v2skit.errors import UserError
from v2skit.models import checkpoint as checkpoints
from v2skit.registry import plugins
from v2skit.testing import check_visual_frontend

SIZES = {"dim": 16, "layers": 2, "heads": 4, "ff_dim": 24, "position_kernel": 6, "position_groups": 4}
CHANNELS, BLOCKS = (4, 6), 2
ARGUMENTS = {**SIZES, "channels": CHANNELS, "blocks": BLOCKS}
SETTINGS = {
    "_name": "av_hubert", "encoder_embed_dim": 16, "encoder_layers": 2, "encoder_attention_heads": 4,
    "encoder_ffn_embed_dim": 24, "layer_norm_first": True, "conv_pos": 6, "conv_pos_groups": 4, "activation_fn": "gelu",
    "resnet_relu_type": "prelu", "modality_fuse": "concat", "sub_encoder_layers": 0, "audio_feat_dim": 104,
}  # fmt: skip


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """The plug-in, as if it were installed."""
    monkeypatch.syspath_prepend(str(ROOT / "plugins/v2skit-avhubert"))
    plugins.load.cache_clear()
    import v2skit_avhubert

    v2skit_avhubert.register_components(lambda *entry: plugins.registry().add(*entry, "test"))
    plugins.load()[1].append(plugins.Plugin("test", "1"))
    from v2skit_avhubert.frontend import state_licence

    state_licence.cache_clear()
    yield
    plugins.load.cache_clear()


def linear(name, inputs, outputs):
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def batch_norm(name, width):
    return {**norm(name, width), f"{name}.running_mean": (width,), f"{name}.running_var": (width,)}


def official_shapes():
    """Names and shapes of a pre-trained model's tensors, as its authors have them."""
    dim, ff = SIZES["dim"], SIZES["ff_dim"]
    video = "feature_extractor_video.resnet."
    shapes = {f"{video}frontend3D.0.weight": (4, 1, 5, 7, 7), f"{video}frontend3D.2.weight": (4,)}
    shapes |= batch_norm(f"{video}frontend3D.1", 4)
    width = 4
    for stage, channels in enumerate(CHANNELS, 1):
        for block in range(BLOCKS):
            name = f"{video}trunk.layer{stage}.{block}."
            shapes |= {
                f"{name}conv1.weight": (channels, width, 3, 3),
                f"{name}conv2.weight": (channels, channels, 3, 3),
            }
            shapes |= {f"{name}relu{i}.weight": (channels,) for i in (1, 2)}
            shapes |= batch_norm(f"{name}bn1", channels) | batch_norm(f"{name}bn2", channels)
            if width != channels:
                shapes |= {f"{name}downsample.0.weight": (channels, width, 1, 1)}
                shapes |= batch_norm(f"{name}downsample.1", channels)
            width = channels
    shapes |= linear("feature_extractor_video.proj", width, dim) | linear("feature_extractor_audio.proj", 104, dim)
    shapes |= norm("layer_norm", 2 * dim) | linear("post_extract_proj", 2 * dim, dim) | norm("encoder.layer_norm", dim)
    shapes |= {"encoder.pos_conv.0.weight_g": (1, 1, 6), "encoder.pos_conv.0.weight_v": (dim, dim // 4, 6)}
    shapes |= {"encoder.pos_conv.0.bias": (dim,), "mask_emb": (104,), "label_embs_concat": (10, 8)}
    for layer in range(SIZES["layers"]):
        name = f"encoder.layers.{layer}."
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            shapes |= linear(f"{name}self_attn.{part}", dim, dim)
        shapes |= norm(f"{name}self_attn_layer_norm", dim) | norm(f"{name}final_layer_norm", dim)
        shapes |= linear(f"{name}fc1", dim, ff) | linear(f"{name}fc2", ff, dim)
    return shapes | linear("final_proj", dim, 8)


def official_state(seed=0):
    """Random weights in the authors' naming; positive where these are variances, near 1 where they are factors."""
    draw = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in official_shapes().items():
        value = torch.randn(shape, generator=draw)
        fan_in = max(1, value[0].numel() if value.ndim > 1 else 1)
        of_norm = value.ndim == 1 and name.endswith("weight")
        state[name] = (
            1 + 0.2 * value if of_norm else value.abs() + 0.5 if "running_var" in name else value / fan_in**0.5
        )
        if name.endswith("running_var"):
            state[name.replace("running_var", "num_batches_tracked")] = torch.tensor(7)
    return state


def reference(state, video, norm_first=True):
    """The features of one clip, (T,1,H,W) -> (T,dim), in the authors' naming, operation by operation."""

    def layer(function, name, x):
        return function(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def layer_norm(name, x):
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])

    def batch_norm(name, x):
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"])

    resnet = "feature_extractor_video.resnet."
    x = video.transpose(0, 1)[None]  # (1, 1, T, H, W)
    x = F.conv3d(x, state[f"{resnet}frontend3D.0.weight"], stride=(1, 2, 2), padding=(2, 3, 3))
    x = F.prelu(batch_norm(f"{resnet}frontend3D.1", x), state[f"{resnet}frontend3D.2.weight"])
    x = F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))[0].transpose(0, 1)  # (T, C, H, W)
    for stage in range(1, len(CHANNELS) + 1):
        for block in range(BLOCKS):
            name, stride = f"{resnet}trunk.layer{stage}.{block}.", 2 if stage > 1 and not block else 1
            y = batch_norm(f"{name}bn1", F.conv2d(x, state[f"{name}conv1.weight"], stride=stride, padding=1))
            y = F.conv2d(F.prelu(y, state[f"{name}relu1.weight"]), state[f"{name}conv2.weight"], padding=1)
            if f"{name}downsample.0.weight" in state:
                x = F.conv2d(x, state[f"{name}downsample.0.weight"], stride=stride)
                x = batch_norm(f"{name}downsample.1", x)
            x = F.prelu(batch_norm(f"{name}bn2", y) + x, state[f"{name}relu2.weight"])
    x = layer(F.linear, "feature_extractor_video.proj", x.mean((2, 3)))
    x = layer(F.linear, "post_extract_proj", layer_norm("layer_norm", torch.cat([torch.zeros_like(x), x], 1)))
    direction = state["encoder.pos_conv.0.weight_v"]
    length = direction.pow(2).sum((0, 1), keepdim=True).sqrt()
    weight = state["encoder.pos_conv.0.weight_g"] * direction / length
    y = F.conv1d(x.T[None], weight, state["encoder.pos_conv.0.bias"], padding=3, groups=4)[0, :, : len(x)]
    x = x + F.gelu(y.T)
    if not norm_first:
        x = layer_norm("encoder.layer_norm", x)
    for index in range(SIZES["layers"]):
        name, heads = f"encoder.layers.{index}.", SIZES["heads"]
        y = layer_norm(f"{name}self_attn_layer_norm", x) if norm_first else x
        q, k, v = (
            layer(F.linear, f"{name}self_attn.{part}_proj", y).unflatten(1, (heads, -1)).transpose(0, 1)
            for part in "qkv"
        )
        weights = (q @ k.transpose(1, 2) / (SIZES["dim"] // heads) ** 0.5).softmax(2)
        x = x + layer(F.linear, f"{name}self_attn.out_proj", (weights @ v).transpose(0, 1).flatten(1))
        y = x = x if norm_first else layer_norm(f"{name}self_attn_layer_norm", x)
        y = layer_norm(f"{name}final_layer_norm", y) if norm_first else y
        x = x + layer(F.linear, f"{name}fc2", F.gelu(layer(F.linear, f"{name}fc1", y)))
        x = x if norm_first else layer_norm(f"{name}final_layer_norm", x)
    return layer_norm("encoder.layer_norm", x) if norm_first else x


def write(path, state=None, **changes):
    """A checkpoint as fairseq writes it, with an object of a class of fairseq."""
    package = types.ModuleType("fairseq_of_the_test")
    package.Dictionary = type("Dictionary", (), {"__module__": package.__name__})
    sys.modules[package.__name__] = package
    try:
        content = {
            "args": None, "cfg": {"model": {**SETTINGS, **changes}, "task": {"sample_rate": 25}},
            "model": official_state() if state is None else state, "criterion": None,
            "task_state": {"dictionaries": [package.Dictionary()]}, "last_optimizer_state": {"step": 1},
        }  # fmt: skip
        torch.save(content, path)
    finally:
        del sys.modules[package.__name__]
    return path


def run_import(checkpoint, out):
    """The weights that the command writes, by their names in the frontend."""
    import v2skit_avhubert

    parser = argparse.ArgumentParser()
    v2skit_avhubert.register_commands(parser.add_subparsers())
    options = parser.parse_args(["import-avhubert", str(checkpoint), "--out", str(out)])
    options.run(options)
    return {n.removeprefix("frontend."): value for n, value in load_file(out / "weights.safetensors").items()}


def frontend(**arguments):
    from v2skit_avhubert.frontend import AvHubert

    return AvHubert(Clock(), **{**ARGUMENTS, **arguments}).eval()


@torch.no_grad()
@pytest.mark.parametrize("norm_first", [True, False])
def test_features_are_those_of_the_written_out_forward_pass(tmp_path, norm_first):
    model = frontend(norm_first=norm_first)
    weights = run_import(write(tmp_path / "base.pt", layer_norm_first=norm_first), tmp_path / "out")
    model.load_state_dict(weights)
    video, mask = torch.randn(2, 9, 1, 88, 88), torch.arange(9) < torch.tensor([[9], [5]])
    features = model(video, mask)
    for row, frames in enumerate((9, 5)):
        want = reference(official_state(), video[row, :frames], norm_first)
        torch.testing.assert_close(features[row, :frames], want, atol=1e-4, rtol=1e-4)
    assert features.std() > 0.1 and (features[1, 5:] == 0).all()


@torch.no_grad()
def test_crops_of_another_size_are_scaled():
    model, video, mask = frontend(), torch.randn(1, 4, 1, 44, 44), torch.ones(1, 4, dtype=torch.bool)
    scaled = F.interpolate(video[0], (88, 88), mode="bilinear")[None]
    assert torch.equal(model(video, mask), model(scaled, mask))
    with pytest.raises(UserError, match=r"give gray crops \(B, T, 1, H, W\)"):
        model(video[:, :, 0], mask)


def test_contract():
    torch.manual_seed(0)
    check_visual_frontend(frontend(norm_first=True))
    check_visual_frontend(frontend(norm_first=False, position_kernel=5))


def test_every_tensor_is_mapped_or_left_out_with_a_reason(tmp_path, capsys):
    checkpoint = write(tmp_path / "base.pt")
    weights = run_import(checkpoint, tmp_path / "out")
    output = capsys.readouterr()
    ledger = (tmp_path / "out/ledger.md").read_text()
    rows = dict(re.findall(r"^\| ([\w.]+) \| (?:[\dx]+|scalar) \| (.+) \|$", ledger, re.MULTILINE))
    assert set(rows) == set(official_state())
    left_out = {name: outcome for name, outcome in rows.items() if outcome.startswith("left out: ")}
    assert set(left_out) == {
        "feature_extractor_audio.proj.weight", "feature_extractor_audio.proj.bias", "mask_emb", "label_embs_concat",
        "final_proj.weight", "final_proj.bias",
    }  # fmt: skip
    assert {*rows.values()} - {*left_out.values()} == set(weights) - {"imported"}
    assert "zeros for silent video" in rows["feature_extractor_audio.proj.bias"]
    assert f"{len(rows) - 6} tensors are imported, 6 left out" in output.out
    assert "Copyright (c) Meta Platforms, Inc. All Rights Reserved." in output.err and "non-commercial" in output.err


def test_checkpoints_in_other_forms(tmp_path):
    from v2skit_avhubert.official import read_official

    state = official_state()
    want = read_official(write(tmp_path / "base.pt"))
    pretrained = {"model": SETTINGS, "task": {}}
    tuned = {f"encoder.w2v_model.{n}": v for n, v in state.items() if not n.startswith("final_proj")}
    tuned |= {"decoder.embed_tokens.weight": torch.zeros(3, 4)}
    forms = {
        "namespace": {"args": argparse.Namespace(**SETTINGS), "model": state},
        "half": {"cfg": pretrained, "model": {n: v.half() if v.is_floating_point() else v for n, v in state.items()}},
        "fine-tuned": {"cfg": {"model": {"_name": "av_hubert_seq2seq", "w2v_args": pretrained}}, "model": tuned},
    }
    for name, content in forms.items():
        torch.save(content, tmp_path / name)
        found = read_official(tmp_path / name)
        assert found.settings == want.settings and found.tensors.keys() == want.tensors.keys(), name
        for tensor, value in found.tensors.items():
            torch.testing.assert_close(value, want.tensors[tensor], atol=3e-3, rtol=3e-3)
    assert found.left_out["decoder.embed_tokens.weight"].startswith("decoder or output layer")


def test_sizes_are_those_of_the_checkpoint(tmp_path):
    from v2skit_avhubert.frontend import SIZES as OFFICIAL
    from v2skit_avhubert.official import _settings, _shortened

    large = {"encoder_embed_dim": 1024, "encoder_layers": 24, "encoder_attention_heads": 16}
    tree = {"cfg": {"model": {**large, "encoder_ffn_embed_dim": 4096, "layer_norm_first": True}}}
    for content, size in ((tree, "large"), ({"cfg": {"model": {"layer_norm_first": True}}}, "base")):
        trunk = {"blocks": 2, "channels": (64, 128, 256, 512)}
        settings = _settings(content, tmp_path)
        assert {name: settings[name] for name in OFFICIAL[size]} == OFFICIAL[size]
        assert _shortened({**settings, **trunk}) == {"size": size}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modality_fuse": "add"}, "modality_fuse add; only checkpoints with concat"),
        ({"encoder_ffn_embed_dim": 32}, r"layers.0.linear1.bias: \(24,\), not \(32,\)"),
        ({"encoder_layers": 3}, "layers.2.linear1.bias: missing, not"),
    ],
)
def test_a_checkpoint_that_does_not_fit_its_settings_is_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=f"base.pt .*{message}"):
        run_import(write(tmp_path / "base.pt", **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_files_are_refused(tmp_path):
    state = official_state()
    with pytest.raises(UserError, match="has tensors that AV-HuBERT does not have: encoder.adapter.weight"):
        run_import(write(tmp_path / "a.pt", {**state, "encoder.adapter.weight": torch.zeros(2)}), tmp_path)
    with pytest.raises(UserError, match="is no checkpoint of AV-HuBERT"):
        run_import(write(tmp_path / "a.pt", {"weight": torch.zeros(2)}), tmp_path)
    for settings in ({}, {"cfg": {"model": {"_name": "av_hubert_seq2seq", "w2v_args": None}}}):
        torch.save({"model": state, **settings}, tmp_path / "a.pt")
        with pytest.raises(UserError, match="has no settings of its model"):
            run_import(tmp_path / "a.pt", tmp_path)
    endless = {**SETTINGS}
    endless["w2v_args"] = endless
    torch.save({"model": state, "cfg": {"model": endless}}, tmp_path / "a.pt")
    with pytest.raises(UserError, match="a.pt has settings that contain themselves; get it from its authors again"):
        run_import(tmp_path / "a.pt", tmp_path)
    with pytest.raises(UserError, match="25 frames/s, not 20"):
        type(frontend())(Clock(fps=20))


def test_a_frozen_frontend_starts_from_the_checkpoint_and_its_licence_is_stated(recipe_folder, tiny, tmp_path, capsys):
    from v2skit_avhubert.frontend import state_licence

    weights = run_import(write(tmp_path / "base.pt"), tmp_path / "out")
    state_licence.cache_clear()  # as in another process
    capsys.readouterr()
    shape = ", ".join(f"{name}: {value}" for name, value in {**SIZES, "channels": list(CHANNELS)}.items())
    sets = (
        f"networks.visual_frontend={{type: avhubert, {shape}}}", "networks.audio_frontend.out_dim=16", "scratch=false",
        "augmentation.crop=88", f"parts.visual_frontend={{init: {tmp_path}/out/weights.safetensors, frozen: all}}",
    )  # fmt: skip
    assert stages(recipe_folder, tiny, "pretrain", "transfer", "finetune", sets=sets) == 0, capsys.readouterr().err
    run = recipe_folder / "exp/tiny/finetune"
    trained = checkpoints.load(checkpoints.folder_in(run, "")).inference_weights
    assert all(torch.equal(trained[f"frontend.{name}"], value) for name, value in weights.items())
    assert "Copyright (c) Meta Platforms" in capsys.readouterr().err
    (tmp_path / "out/weights.safetensors").unlink()
    assert stages(recipe_folder, tiny, "synth", sets=sets) == 0, capsys.readouterr().err


def test_the_shipped_config_has_the_base_size():
    config = load_config(ROOT / "plugins/v2skit-avhubert/conf/grid.yaml")
    crop = frontend().crop
    assert config.networks.visual_frontend.args["size"] == "base" and config.augmentation.crop == crop
    assert config.networks.audio_frontend.args["out_dim"] == 768 and config.clock.fps == 25
    assert config.parts["visual_frontend"].frozen == "all"
