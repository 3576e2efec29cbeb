"""Networks in live synthesis, layer by layer: what they output is that of the whole clip at once."""

import numpy as np
import pytest
import torch

from v2skit.config.load import load_config
from v2skit.data.augment import centre_crop, normalise
from v2skit.data.batch import Inputs
from v2skit.models.build import build_model
from v2skit.models.frontends.resnet3d import ResNet3dSmall
from v2skit.synthesis.overlap import Cascade
from v2skit.synthesis.pipeline import Pipeline, has_links, linked

FRAMES = 61
DECODER = (
    "networks.decoder={{type: flow_mel, dim: 8, blocks: 3, "
    "steps: {steps}, look_ahead_frames: {ahead}, temperature: {noise}}}"
)
LIMITED = [
    "crop.look_ahead_frames=0",
    "networks.visual_frontend.look_ahead_frames=1",
    "networks.encoder.look_ahead_frames=3",
    "networks.encoder.attention_frames=5",
    "networks.encoder.conv_kernel=5",
    "networks.speaker={type: d_vector}",
    "networks.decoder_speaker=true",
]


def model_of(tiny, *changes: str):
    config = load_config(tiny, [*LIMITED, *changes])
    model = build_model(config, "v2a", []).eval()
    torch.manual_seed(0)
    torch.nn.init.normal_(model.decoder.out.weight)  # otherwise the stack has no effect
    return config, model


@pytest.mark.parametrize("chunk", [1, 7])
@pytest.mark.parametrize(
    ("steps", "ahead", "noise", "look_ahead_in"),
    [
        (4, 1, 1.0, "attention"),
        (2, 1, 0.0, "attention"),
        (3, 2, 0.5, "attention"),
        (5, 1, 1.0, "attention"),
        (2, 0, 1.0, "attention"),
        (2, "null", 1.0, "attention"),
        (1, 1, 1.0, "convolution"),
    ],
)
def test_layers_that_are_computed_one_by_one_give_the_mel_of_the_whole_clip(
    tiny, chunk, steps, ahead, noise, look_ahead_in
):
    """Beyond 50 frames the noise repeats itself."""
    encoder = ("networks.encoder.blocks=2", f"networks.encoder.look_ahead_in={look_ahead_in}")
    config, model = model_of(tiny, DECODER.format(steps=steps, ahead=ahead, noise=noise), *encoder)
    voice = np.random.default_rng(0).random(model.speaker.voice(None).shape, np.float32)
    crops = np.random.default_rng(1).integers(0, 255, (FRAMES, 88, 88), np.uint8)
    inputs = {"video": torch.from_numpy(normalise(centre_crop(crops, 88)))[None]}
    mask = torch.ones(1, FRAMES, dtype=torch.bool)
    with torch.no_grad():
        want = model(Inputs(inputs, mask, torch.from_numpy(voice)[None])).stream("mel")[0].numpy()
    pipeline = Pipeline(config, model, None, voice, chunk=chunk)
    found = [pipeline.push(crops[n : n + 1]) for n in range(FRAMES)]
    frames = np.cumsum([len(mel) for mel in found])
    assert (frames % 4 == 0).all()
    if chunk == 1:  # as early as the look-ahead allows
        assert (frames == 4 * np.maximum(0, np.arange(1, FRAMES + 1) - pipeline.right_context_frames)).all()
    np.testing.assert_allclose(
        np.concatenate([mel for mel in (*found, pipeline.finish()) if len(mel)]), want, atol=2e-4
    )


@pytest.mark.parametrize("ahead", range(5))
def test_a_visual_frontend_that_sees_each_frame_once_gives_the_features_of_the_whole_clip(ahead):
    frontend = ResNet3dSmall((4, 8), look_ahead_frames=ahead).eval()
    video, mask = torch.randn(9, 1, 88, 88), torch.ones(1, 9, dtype=torch.bool)
    for chunk in (1, 2):
        cascade = Cascade(linked(frontend.links(), chunk))
        with torch.no_grad():
            found = [cascade.push(frame[None]) for frame in video] + [cascade.finish()]
            want = frontend(video[None], mask)[0]
        torch.testing.assert_close(torch.cat([x for x in found if x is not None]), want)
        assert cascade.right_context == ahead


def test_links_of_a_class_are_not_those_of_one_that_overrides_forward():
    class Other(ResNet3dSmall):
        def forward(self, video, mask):
            return super().forward(video, mask) + 1

    class Both(Other):
        def links(self):
            return []

    assert [has_links(kind((4, 8))) for kind in (ResNet3dSmall, Other, Both)] == [True, False, True]
    assert not has_links(torch.nn.Linear(1, 1))
