"""Any video in, speech of exactly its length out; a long one piece by piece, without seams."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

import v2skit
from tests.cases.model import untrained_run
from tests.conftest import ISTFT, TINY
from tests.media_files import make_video
from v2skit.cli.main import main
from v2skit.config.features import Clock
from v2skit.errors import UserError
from v2skit.synthesis import synthesiser as synth
from v2skit.synthesis import video as clip
from v2skit.synthesis.files import find_videos, outputs
from v2skit.synthesis.video import Clip, Silence

RATES = [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50), Fraction(60)]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("model"))


def speak(*arguments: str) -> int:
    return main(["synth", *arguments, "--device", "cpu"])


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{float(rate):.2f} fps")
def test_length_is_that_of_the_video_at_every_frame_rate(run, tmp_path, rate):
    frames = 31
    times = [float(n / rate) for n in range(frames)]
    video = make_video(tmp_path / "clip.mp4", times, (96, 96), fps=rate)
    assert speak(str(video), "--model", str(run), "-o", str(tmp_path / "speech.wav")) == 0
    info = soundfile.info(tmp_path / "speech.wav")
    assert info.samplerate == 24000 and abs(info.frames - frames / float(rate) * 24000) <= 4


def test_folders_voices_and_places(run, tmp_path, capsys):
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    times = [n / 25 for n in range(12)]
    for name, seconds in (("a", None), ("b", 0.2)):
        make_video(folder / f"{name}.mkv", times, (96, 96), audio_seconds=seconds)
    (folder / "notes.txt").write_text("no video")
    assert speak(str(folder), "--model", str(run), "-o", str(out)) == 0
    first, second = (soundfile.read(out / f"{name}.wav")[0] for name in "ab")
    assert len(first) == len(second) == 12 * 960
    assert np.array_equal(first, second)  # the video's own sound, here or not, is never heard
    assert speak(str(folder / "a.mkv"), "--model", str(run), "-o", str(tmp_path / "s1.wav"), "--voice", "s1") == 0
    assert not np.array_equal(soundfile.read(tmp_path / "s1.wav")[0], first)
    capsys.readouterr()
    for wrong, message in (
        (["--voice", "s9"], "has no voice 's9'; known: s0, s1"),
        (["-o", str(tmp_path / "one.wav")], "2 videos can't go into one file"),
        (["--set", "seed=2"], "--set and --data_dir have no effect"),
        (["--tracker", "eyes"], "unknown tracker 'eyes'"),
    ):
        assert (
            speak(
                str(folder),
                "--model",
                str(run),
                *(wrong if "-o" in wrong else [*wrong, "-o", str(tmp_path / "new")]),
            )
            == 1
        )
        assert message in capsys.readouterr().err
    assert speak(str(folder)) == 1
    assert "--model RUN_OR_FILE" in capsys.readouterr().err
    assert speak(str(tmp_path), "--model", str(run)) == 1
    assert "has no video in it" in capsys.readouterr().err


def test_bad_videos_are_named_and_the_others_spoken(run, tmp_path, capsys):
    good = make_video(tmp_path / "good.mkv", [n / 25 for n in range(12)], (96, 96))
    (tmp_path / "text.mp4").write_text("this is no video")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "cut.mkv").write_bytes(good.read_bytes()[: len(good.read_bytes()) // 2])
    assert speak(str(tmp_path), "--model", str(run), "-o", str(tmp_path / "out")) == 1
    told = capsys.readouterr().err
    assert "3 of 4 videos could not be spoken" in told and "Traceback" not in told
    for name, why in (("text.mp4", "is no media file"), ("empty.mp4", "is empty"), ("cut.mkv", "")):
        assert name in told and why in told
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good.wav"]


def test_videos_are_found_in_folders_and_by_name(tmp_path):
    for name in ("b.mkv", "a.MP4", "c.txt", "d.webm"):
        (tmp_path / name).touch()
    (tmp_path / "e.mp4.d").mkdir()
    (tmp_path / "e.mp4.d" / "f.mp4").touch()  # not in this folder
    found = [tmp_path / name for name in ("a.MP4", "b.mkv", "d.webm")]
    assert find_videos([tmp_path]) == found
    assert find_videos([tmp_path / "c.txt", tmp_path]) == [tmp_path / "c.txt", *found]  # what is named is taken
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match=r"none has no video in it \(.mp4, "):
        find_videos([tmp_path, tmp_path / "none"])


def test_where_the_speech_goes(tmp_path):
    one, two = tmp_path / "one.mp4", tmp_path / "two.mkv"
    for video in (one, two, tmp_path / "one.mkv"):
        video.touch()
    assert outputs([one, two], None, False) == ([one, two], [tmp_path / "one.wav", tmp_path / "two.wav"])
    assert outputs([one, two], Path("out"), False)[1] == [Path("out/one.wav"), Path("out/two.wav")]
    assert outputs([one], tmp_path / "x.flac", False)[1] == [tmp_path / "x.flac"]
    assert outputs([one], tmp_path / "X.WAV", False)[1] == [tmp_path / "X.WAV"]
    (tmp_path / "folder.mp4").mkdir()
    assert outputs([one], tmp_path / "folder.mp4", False)[1] == [tmp_path / "folder.mp4/one.wav"]
    (tmp_path / "two.wav").touch()
    assert outputs([two], None, True)[1] == [tmp_path / "two.wav"]
    assert outputs([one, two], None, False) == ([one], [tmp_path / "one.wav"])  # what is done is not done again
    assert outputs([one, two], None, True)[0] == [one, two]
    for videos, out, message in (
        ([one, two], tmp_path / "x.wav", "2 videos can't go into one file"),
        ([one], tmp_path / "x.mp3", "speech is written as .wav or .flac"),
        ([one], tmp_path / "x.mp4", "--mux writes the video with it"),
        ([one, tmp_path / "one.mkv"], None, "two of the videos would go into"),
        ([two], None, "is there already; --force overwrites it"),
        ([one], one.with_suffix(".wav").with_name("two.wav"), "is there already"),
        ([tmp_path / "two.wav"], None, "is the video itself"),
        ([tmp_path / "three.mp4"], None, "three.mp4 does not exist"),
    ):
        with pytest.raises(UserError, match=message):
            outputs(videos, out, False)


def test_speech_fades_within_a_frame_and_is_exactly_silent_between():
    silent = [False, True, True, False, False, True, False]
    silence, pieces = Silence(4), []
    for start, end in ((0, 1), (1, 3), (3, 7)):  # however it comes in pieces
        for frame in silent[start:end]:
            silence.push(frame)
        pieces.append(silence.apply(np.ones(4 * (end - start), np.float32)))
    heard = np.concatenate(pieces).reshape(7, 4)
    falls, rises = [0.75, 0.5, 0.25, 0.0], [0.25, 0.5, 0.75, 1.0]
    assert heard.dtype == np.float32
    assert heard.tolist() == [[1.0] * 4, falls, [0.0] * 4, rises, [1.0] * 4, falls, rises]
    late = Silence(4)
    late.push(True)
    assert not late.apply(np.ones(4, np.float32)).any()  # a clip that begins without a face is silent at once


def test_an_array_lasts_as_long_as_its_frames():
    frames = np.zeros((31, 8, 8, 3), np.uint8)
    for rate in RATES:
        made = Clip.of_array(frames, float(rate), Clock())
        assert len(list(made.frames)) == max(1, round(31 / rate * 25))
        assert abs(made.span.seconds - 31 / rate) < 1e-6 and made.seconds == pytest.approx(float(31 / rate))


def test_pictures_of_the_crops_are_kept_evenly(run, monkeypatch):
    monkeypatch.setattr(clip, "STRIP", 4)
    frames = np.repeat(np.arange(100, dtype=np.uint8)[:, None, None, None], 3, axis=3)
    frames = np.broadcast_to(frames, (100, 96, 96, 3))
    speech = v2skit.load(run, "cpu").begin(frames, 25, tracker=v2skit.tracker("none"))
    assert sum(map(len, speech.pieces())) == 100 * 960
    shown = speech.strip[:, 48, 48]
    assert 4 <= len(shown) < 8 and shown[0] == 0 and len(set(np.diff(shown))) == 1 and shown[-1] >= 75


LIMITED = {"encoder": {**TINY["networks"]["encoder"], "look_ahead_frames": 2, "attention_frames": 10}}
NETWORKS = {
    # Nothing that counts is farther away than a part's reach: the difference is rounding.
    "limited": (LIMITED, 1e-5),
    "waveform": ({**LIMITED, "decoder": ISTFT}, 1e-5),
    # A recurrent part forgets within the 4 s that it sees before and after its piece.
    "recurrent": ({"encoder": {"type": "bigru", "dim": 16}}, 1e-5),
    # Attention is spread over all that it sees, 28 s of the 44 s; most of all in a model that was never trained.
    "attention": ({}, 2e-2),
}


def moving(count: int) -> np.ndarray:
    """A bright square that grows and shrinks without a period, RGB (count,96,96,3)."""
    frames = np.full((count, 96, 96, 3), 60, np.uint8)
    steps = np.random.default_rng(1).normal(0.3, 0.3, count)
    for frame, reach in zip(frames, (20 + 15 * np.sin(np.cumsum(steps))).astype(int), strict=True):
        frame[48 - reach : 48 + reach, 48 - reach : 48 + reach] = 200
    return frames


def relative_error(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.sqrt(np.square(got - wanted).mean() / np.square(wanted).mean()))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_long_clip_in_pieces_sounds_as_the_whole(tmp_path, monkeypatch, name):
    networks, allowed = NETWORKS[name]
    model = v2skit.load(untrained_run(tmp_path, **networks), "cpu")
    few, many, count = synth.FEW_FRAMES, synth.MANY_FRAMES, 1100
    assert count > 2 * many
    frames, tracker = moving(count), v2skit.tracker("none")
    speech = model.begin(frames, 25, tracker=tracker)
    pieces = list(speech.pieces())
    assert max(map(len, pieces)) <= 2 * many * 960
    got = np.concatenate(pieces)
    monkeypatch.setattr(synth, "MANY_FRAMES", 10**6)
    wanted = model.synthesise(frames, 25, tracker=tracker).waveform
    assert len(got) == len(wanted) == count * 960
    assert relative_error(got, wanted) < allowed
    steps = np.abs(np.diff(got))
    seams = np.arange(few, count, few) * 960
    at_seams = [steps[seam - 3 : seam + 2].max() for seam in seams]
    elsewhere = steps[: len(steps) // 5 * 5].reshape(-1, 5).max(1)
    assert np.max(at_seams) <= elsewhere.max() and np.median(at_seams) < 2 * np.quantile(elsewhere, 0.9)


@pytest.mark.parametrize("name", NETWORKS)
def test_short_pieces_sound_as_the_whole(tmp_path, monkeypatch, name):
    """All parts, the vocoder too, compute pieces of 2 s, or the whole clip."""
    networks, allowed = NETWORKS[name]
    model = v2skit.load(untrained_run(tmp_path, **networks), "cpu")
    frames, tracker, spoken = moving(300), v2skit.tracker("none"), []
    for together in (50, 10**6):
        monkeypatch.setattr(synth, "FEW_FRAMES", together)
        monkeypatch.setattr(synth, "MANY_FRAMES", together)
        spoken.append(model.synthesise(frames, 25, tracker=tracker).waveform)
    assert relative_error(*spoken) < allowed
