"""Frontend of AV2A: features of the video and of speech that another model synthesised for it, fused in each frame."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from v2skit.config.limits import Width
from v2skit.data.batch import PREDICTED
from v2skit.errors import UserError
from v2skit.models.layers.masked import zero_padding
from v2skit.models.model import stream_names
from v2skit.registry.component import Component

Probability = Annotated[float, Field(ge=0, le=1)]


class AudioVisual(nn.Module):
    """A visual and an audio frontend, concatenated in each video frame, and a linear layer: (B,T,1,H,W) and the
    predicted mel (B,F,M) or waveform (B,N) -> (B,T,out_dim).

    AV2A (Kefalas et al. 2023, arXiv 2307.16584) fuses video and the speech that a finished V2A model, the config's
    ``predictor``, synthesised for it; the place of the fusion and its widths are our reading. Its audio is never that
    of the clip: its input is the stream of the audio frontend as the predictor predicts it.

    Where all widths are the same, the linear layer outputs at first the mean of the two: both frontends were trained
    for the encoder that follows, which a layer with random weights would have to be trained for again.

    Args:
        visual: frontend of the video.
        audio: frontend of the predicted speech.
        out_dim: features a video frame.
        p_drop_video: probability of leaving out the video of a clip in training (modality dropout).
        p_drop_audio: likewise of the predicted speech; never both.

    Raises:
        UserError: a frontend has several inputs, or the probabilities add up to more than 1.
    """

    left_context_frames = look_ahead_frames = None  # the speech is predicted from the whole clip
    training_arguments = ("p_drop_video", "p_drop_audio")

    def __init__(
        self,
        visual: Annotated[Component, "visual_frontend"],
        audio: Annotated[Component, "audio_frontend"],
        out_dim: Width = 512,
        p_drop_video: Probability = 0.0,
        p_drop_audio: Probability = 0.0,
    ) -> None:
        super().__init__()
        of_video: Any = visual
        of_speech: Any = audio
        self.visual, self.audio = of_video, of_speech
        speech = stream_names(of_speech.input)
        if stream_names(of_video.input) != ("video",) or len(speech) != 1:
            raise UserError("visual and audio must have one input each; choose frontends such as resnet3d and mel_conv")
        if p_drop_video + p_drop_audio > 1:
            raise UserError(f"p_drop_video {p_drop_video} and p_drop_audio {p_drop_audio} must add up to at most 1")
        self.input = ("video", f"{PREDICTED}{speech[0]}")
        self.crop: int = getattr(of_video, "crop", 0)
        self.out_dim, self.p_drop_video, self.p_drop_audio = out_dim, p_drop_video, p_drop_audio
        self.fusion = nn.Linear(of_video.out_dim + of_speech.out_dim, out_dim)
        if of_video.out_dim == of_speech.out_dim == out_dim:
            with torch.no_grad():
                self.fusion.weight.copy_(torch.eye(out_dim).repeat(1, 2) / 2)  # (D, D) -> (D, 2 D)
                self.fusion.bias.zero_()

    def forward(self, video: Tensor, speech: Tensor, mask: Tensor) -> Tensor:
        """Features of every video frame.

        Args:
            video: (B, T, 1, H, W), gray values, normalised.
            speech: what the predictor predicted, (B, F, M) or (B, N).
            mask: (B, T), True for valid frames.

        Returns:
            (B, T, out_dim), zero where the mask is False.

        Raises:
            UserError: as the two frontends.
        """
        x, y = self.visual(video, mask), self.audio(speech, mask)  # (B, T, D), (B, T, D')
        if self.training and (self.p_drop_video or self.p_drop_audio):
            drawn = torch.rand(len(mask), 1, 1, device=mask.device)
            x = x * (drawn >= self.p_drop_video)
            y = y * (drawn < 1 - self.p_drop_audio)
        return zero_padding(self.fusion(torch.cat([x, y], dim=-1)), mask)
