"""Spectrogram plots: their size follows the number of rows, and different waveforms look different."""

import numpy as np
import pytest
from matplotlib.image import imread

from tests.evaluation.signals import RATE, babble, white
from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.evaluation.plots import mel_picture, spectrogram_picture


@pytest.mark.parametrize("count, height", [(1, 210), (4, 690)])
def test_a_picture_of_waveforms_has_a_row_for_each(tmp_path, count, height):
    path = tmp_path / "new folder" / "picture.png"
    spectrogram_picture(path, {f"row {n}": babble(1.0, n) for n in range(count)})
    assert imread(path).shape == (height, 800, 4)


def test_a_picture_of_mels_shows_them(tmp_path):
    shown, upside_down = np.zeros((2, 80, 50), np.float32)
    shown[:40], upside_down[40:] = 1, 1
    pixels = []
    for name, mel in {"a": shown, "b": upside_down}.items():
        mel_picture(tmp_path / f"{name}.png", {"mel": mel})
        pixels.append(imread(tmp_path / f"{name}.png"))
    assert pixels[0].shape == pixels[1].shape == (210, 800, 4)
    middle = pixels[0][:, 400, :3].sum(-1)  # one column of the plot: dark above, bright below
    assert middle[70] < middle[130] and pixels[1][70, 400, :3].sum() > pixels[1][130, 400, :3].sum()


def test_rows_share_one_colour_scale(tmp_path):
    loud = np.linspace(-9, 2, 80 * 50).reshape(80, 50)
    quiet = np.linspace(-9, -8.5, 80 * 50).reshape(80, 50)
    mel_picture(tmp_path / "picture.png", {"loud": loud, "quiet": quiet})
    picture = imread(tmp_path / "picture.png")
    assert picture.shape[0] == 370
    assert picture[230:300, 400, :3].max() < 0.3
    assert picture[60:130, 400, :3].max() > 0.6


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({}, "at least one row"),
        ({"stereo": np.zeros((2, 4800))}, "'stereo' .* mono audio of 240 samples"),
        ({"short": np.zeros(100)}, "'short' .* mono audio of 240 samples"),
    ],
)
def test_what_is_no_sound_can_not_be_drawn(tmp_path, rows, message):
    with pytest.raises(UserError, match=message):
        spectrogram_picture(tmp_path / "picture.png", rows)
    assert not (tmp_path / "picture.png").exists()


@pytest.mark.parametrize("rows", [{}, {"flat": np.zeros(80)}, {"empty": np.zeros((80, 0))}])
def test_what_is_no_mel_can_not_be_drawn(tmp_path, rows):
    with pytest.raises(UserError, match="at least one row|'(flat|empty)' .* give a log mel"):
        mel_picture(tmp_path / "picture.png", rows)


def test_another_clock_and_mel_are_drawn_too(tmp_path):
    noise = white(np.empty(RATE))
    spectrogram_picture(tmp_path / "p.png", {"noise": noise}, Clock(16000, 25), Mel(1024, 400, 160, 40, f_max=8000))
    assert imread(tmp_path / "p.png").shape == (210, 800, 4)
