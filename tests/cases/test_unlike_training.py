"""Talkers unlike those that a model was trained on: it synthesises speech, and the output says what it was made for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import soundfile
from PIL import Image, ImageDraw

from tests.cases.clips import Scene, sized, talker, write_clip
from tests.cases.model import untrained_run
from tests.media_files import needs_face_mesh
from v2skit.cli.main import main
from v2skit.hub import installed
from v2skit.models.pack_header import Card
from v2skit.models.package import pack

needs_face_mesh()

CARD = Card("GRID model", made_for="51 words, six voices, faces from the front; other words come out as these")
MOUTH, EYES, RADIUS = (191, 218), ((163, 151), (220, 151)), 95
"""Of the talker, pixels; the radius is that of the head."""


def drawn(scene: Scene, draw: Callable[[ImageDraw.ImageDraw], object]) -> Scene:
    """The scene with a drawing on every frame."""

    def picture(time: float) -> np.ndarray:
        image = Image.fromarray(scene(time))
        draw(ImageDraw.Draw(image))
        return np.asarray(image)

    return picture


def glasses(canvas: ImageDraw.ImageDraw) -> None:
    """Dark glasses."""
    for x, y in EYES:
        canvas.ellipse((x - 25, y - 16, x + 25, y + 16), (25, 25, 30))
    canvas.line((*EYES[0], *EYES[1]), (25, 25, 30), 4)


def beard(canvas: ImageDraw.ImageDraw) -> None:
    """A beard around the mouth."""
    x, y = MOUTH
    canvas.arc((x - 42, y - 40, x + 42, y + 42), -10, 190, (40, 30, 25), 24)
    canvas.line((x - 25, y - 17, x + 25, y - 17), (40, 30, 25), 10)


def turned(scene: Scene, degrees: float) -> Scene:
    """The scene as if it was painted on a cylinder, which is turned."""

    def picture(time: float) -> np.ndarray:
        frame = scene(time)
        offset = np.arange(frame.shape[1]) - MOUTH[0]
        angle = np.arcsin(np.clip(offset / RADIUS, -1, 1)) + np.deg2rad(degrees)
        visible = (np.abs(offset) < RADIUS) & (np.abs(angle) < np.pi / 2)
        source = np.where(visible, MOUTH[0] + RADIUS * np.sin(angle), 0).round().astype(int)
        return np.where(visible[:, None], frame[:, source], np.uint8(128))

    return picture


VIEWS: dict[str, Callable[[Scene], Scene]] = {
    "another face": lambda scene: scene,
    "painted blue": lambda scene: lambda time: scene(time)[..., ::-1],
    "gray": lambda scene: lambda time: scene(time).mean(2, keepdims=True).astype(np.uint8).repeat(3, 2),
    "far away": lambda scene: sized(scene, 160, 120),
    "glasses": lambda scene: drawn(scene, glasses),
    "beard": lambda scene: drawn(scene, beard),
    "turned by 45 degrees": lambda scene: turned(scene, 45),
    "turned by 60 degrees": lambda scene: turned(scene, 60),
    "no words: backwards": lambda scene: lambda time: scene(2.4 - time),
    "no words: a still face": lambda scene: lambda time: scene(0.0),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    pack(untrained_run(folder, "face_mesh"), folder / installed.OFFLINE, None, CARD)
    return folder


def test_of_a_full_profile_the_error_names_the_remedies(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(installed, "FOLDER", model)
    video = write_clip(tmp_path / "clip.mp4", turned(talker("s34_lbwh5n"), 90))
    assert main(["synth", str(video), "--device", "cpu"]) == 1
    error = capsys.readouterr().err
    assert "no face in the video; show one from the front, not in profile, or" in error
    assert "a lower min_confidence (default 0.5), e.g. --tracker '{type: face_mesh, min_confidence: 0.3}'" in error
    assert not (tmp_path / "speech/clip.wav").exists()


@pytest.mark.parametrize("name", VIEWS)
def test_it_speaks_as_long_as_the_video_and_says_what_it_was_made_for(name, model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(installed, "FOLDER", model)
    video = write_clip(tmp_path / "clip.mp4", VIEWS[name](talker("s34_lbwh5n")))
    speech = tmp_path / "speech.wav"
    assert main(["synth", str(video), "-o", str(speech), "--device", "cpu"]) == 0
    assert capsys.readouterr().out == f"{CARD.headline}\n{speech}: 1.60 s\n"
    sound, rate = soundfile.read(speech)
    assert len(sound) == 1.6 * rate and sound.reshape(-1, rate // 25).any(1).all()
