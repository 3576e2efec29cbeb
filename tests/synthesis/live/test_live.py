"""Live speech equals offline speech, with the stated latency, and a run ends cleanly."""

import io
import re
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from tests.synthesis.live.conftest import MEL, NOBODY, WHOLE_CLIP, moving, offline, tiny_synthesiser
from v2skit.cli.main import main
from v2skit.data.augment import centre_crop, normalise
from v2skit.data.batch import Inputs
from v2skit.errors import UserError
from v2skit.hub import installed
from v2skit.media.video import read_timed_frames
from v2skit.synthesis.live.live import LiveSynthesis
from v2skit.synthesis.live.sinks import open_sink
from v2skit.synthesis.live.sources import WAITING_FRAMES, Source, open_source
from v2skit.tracking.crop import MouthCrop, mouth_crops
from v2skit.tracking.none import NoTracker
from v2skit.tracking.smoothing import CropBox

SAMPLES = 960  # of a frame


def timed(frames: int):
    """(time, RGB frame) for a source."""
    for number, crop in enumerate(moving(frames)):
        yield number / 25, crop[..., None].repeat(3, 2)


def live(synthesiser, chunk: int = 1, tracker=None) -> LiveSynthesis:
    return LiveSynthesis(synthesiser, tracker or NoTracker(), NOBODY, chunk)


@pytest.mark.parametrize("chunk", [1, 2, 5, 100])
def test_it_is_as_offline(synthesiser, video, chunk):
    pieces = []
    report = live(synthesiser, chunk).run(open_source(str(video), None, None, False), pieces.append)
    expected = offline(synthesiser, video)
    assert len(expected) == 41 * SAMPLES and expected.std() > 1e-3
    assert np.concatenate(pieces) == pytest.approx(expected, abs=1e-4)
    assert report.seconds == 41 / 25 and report.dropped == 0 and report.lost == 0 and report.busy > 0


def test_other_frames_are_another_speech(synthesiser, video):
    """What the comparison above relies on: a frame earlier or later shows."""
    expected = offline(synthesiser, video)
    assert np.abs(expected[SAMPLES:] - expected[:-SAMPLES]).max() > 1e-2


@pytest.mark.parametrize("changes", [{}, MEL], ids=["waveform", "mel"])
@pytest.mark.parametrize("chunk", [1, 3])
def test_the_latency_is_as_stated(changes, chunk):
    synthesiser = tiny_synthesiser(changes)
    fed, frames = 0, 60

    def feed():
        nonlocal fed
        for _, frame in timed(frames):
            fed += 1
            yield frame

    crops = mouth_crops(feed(), NoTracker(), synthesiser.config.crop, 25)
    delays = []  # of each frame, from when it came to when its sound is there, frames
    for piece in synthesiser.pipeline(NOBODY, chunk).run(crops):
        delays += [fed - 1 - len(delays) - number for number in range(len(piece) // SAMPLES)]
    latency = live(synthesiser, chunk).algorithmic_latency * 25
    assert len(delays) == frames and latency == pytest.approx(round(latency))
    assert max(delays) == round(latency)
    if chunk == 1:
        assert delays[0] == round(latency)
    if not changes:
        assert round(latency) == chunk - 1 + 1 + 1 + 4 + 1


@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_a_mel_model_outputs_whole_frames_as_on_the_whole_clip(chunk):
    synthesiser, frames = tiny_synthesiser(MEL), 150
    crops = moving(frames)
    pipeline, pieces = synthesiser.pipeline(NOBODY, chunk), []
    for number in range(0, frames, 10):
        pieces.append(pipeline.push(crops[number : number + 10]))
    pieces.append(pipeline.finish())
    assert [len(piece) % SAMPLES for piece in pieces] == [0] * len(pieces)
    expected = synthesiser.vocoder(whole_mel(synthesiser, crops))[0].numpy()
    assert np.concatenate(pieces) == pytest.approx(expected, abs=1e-3 * float(np.abs(expected).max()))


def whole_mel(synthesiser, crops):
    video = torch.from_numpy(normalise(centre_crop(crops, synthesiser.config.augmentation.crop)))[None]
    with torch.no_grad():
        inputs = Inputs({"video": video}, torch.ones(1, len(crops), dtype=torch.bool), torch.zeros(1, 0))
        return synthesiser.model(inputs).mel


@pytest.mark.parametrize(("frames", "chunk"), [(1150, None), (80, 1)])
@pytest.mark.parametrize("changes", [{}, MEL], ids=["waveform", "mel"])
def test_speech_is_muted_where_the_crops_are(changes, frames, chunk):
    synthesiser = tiny_synthesiser(changes)
    pictures, silent = moving(frames), range(40, 60)

    def crops():
        for number, picture in enumerate(pictures):
            there = number not in silent
            yield MouthCrop(picture, CropBox(48, 48, 96, 0, not there, not there))

    speech = np.concatenate(list(synthesiser.pipeline(NOBODY, chunk).run(crops())))
    loudness = np.abs(speech).reshape(frames, SAMPLES).max(1)
    assert (loudness[41:60] == 0).all() and (loudness[:40] > 0).all() and (loudness[61:] > 0).all()


def test_models_that_see_the_whole_clip_are_refused():
    with pytest.raises(
        UserError, match="can't synthesise live video: encoder .* must see the whole clip; .*streaming.yaml"
    ):
        live(tiny_synthesiser(WHOLE_CLIP))
    with pytest.raises(UserError, match="can't synthesise live video: crop must see the whole clip"):
        live(tiny_synthesiser({"crop.look_ahead_frames": "null"}))


def test_a_chunk_must_be_positive(synthesiser):
    with pytest.raises(UserError, match="chunk 0 must be at least 1 frame"):
        live(synthesiser, 0)


def test_frames_that_arrive_too_fast_are_dropped_and_their_time_is_kept(synthesiser):
    frames, pieces = 60, []

    def slow(piece):
        time.sleep(0.01 * len(piece) / SAMPLES)
        pieces.append(piece)

    def paced():  # many times as fast as the sink
        for item in timed(frames):
            time.sleep(0.001)
            yield item

    source = Source(paced(), 25, live=True)
    report = live(synthesiser).run(source, slow)
    assert report.dropped == source.dropped > 10
    assert sum(map(len, pieces)) == frames * SAMPLES and report.seconds == frames / 25
    assert f"dropped frames:       {report.dropped}" in str(report)


def test_a_machine_that_is_fast_enough_drops_nothing(synthesiser):
    pieces = []
    report = live(synthesiser).run(Source(timed(WAITING_FRAMES), 25, live=True), pieces.append)
    assert report.dropped == 0 and sum(map(len, pieces)) == WAITING_FRAMES * SAMPLES


@pytest.mark.parametrize("is_live", [False, True])
def test_an_interrupt_ends_with_a_report_and_a_whole_file(synthesiser, tmp_path, is_live):
    def interrupted():
        yield from timed(20)
        raise KeyboardInterrupt

    out = tmp_path / "speech.wav"
    with open_sink(str(out), 24000) as sink:
        report = live(synthesiser).run(Source(interrupted(), 25, is_live), sink)
    frames = soundfile.info(out).frames
    assert frames == report.seconds * 24000 == (20 - 7) * SAMPLES
    assert [path.name for path in tmp_path.iterdir()] == ["speech.wav"]


def test_an_interrupt_in_the_sink_ends_as_well(synthesiser):
    def sink(piece):
        raise KeyboardInterrupt

    source = Source(timed(1000), 25, live=True)
    report = live(synthesiser).run(source, sink)
    assert report.seconds == 0 and len(report.latencies) == 0 and "no sound yet" in str(report)


def test_an_error_of_tracker_or_source_ends_the_run_and_the_speech_so_far_is_kept(synthesiser):
    class Failing(NoTracker):
        def update(self, frame):
            raise UserError("no face 2")

    report = live(synthesiser, tracker=Failing()).run(Source(timed(5), 25, live=True), lambda piece: None)
    assert str(report.error) == "no face 2" and report.seconds == 0

    def damaged():
        yield from timed(20)
        raise UserError("the camera is gone")

    def broken():
        yield from timed(20)
        raise OSError(19, "No such device", "/dev/video0")

    for frames, message in ((damaged, "the camera is gone"), (broken, "[Errno 19] No such device: '/dev/video0'")):
        for is_live in (False, True):
            pieces = []
            report = live(synthesiser).run(Source(frames(), 25, is_live), pieces.append)
            assert str(report.error) == message
            assert sum(map(len, pieces)) == 20 * SAMPLES and report.seconds == 20 / 25


def test_a_plugin_that_fails_leaves_the_speech_so_far(synthesiser):
    class Failing(NoTracker):
        def update(self, frame):
            self.count = getattr(self, "count", 0) + 1
            if self.count > 30:
                sys.exit(0)
            return super().update(frame)

    pieces = []
    report = live(synthesiser, tracker=Failing()).run(Source(timed(60), 25, live=False), pieces.append)
    assert str(report.error) == "SystemExit: 0" and 0 < report.seconds == sum(map(len, pieces)) / 24000


def test_lost_faces_are_reported_and_the_speech_is_silent_there(synthesiser):
    class Away(NoTracker):
        def update(self, frame):
            return None

    pieces = []
    report = live(synthesiser, tracker=Away()).run(Source(timed(20), 25, live=False), pieces.append)
    assert report.lost == 1 and "no face in 100% of the frames" in str(report)
    assert not np.concatenate(pieces).any() and report.seconds == 20 / 25


def test_latencies_are_measured_from_the_arrival_of_frames(synthesiser):
    """Of a source at its own pace: a sound comes at least its algorithmic delay after its frame."""

    def paced():
        for moment, frame in timed(14):
            time.sleep(0.02)
            yield moment, frame

    report = live(synthesiser).run(Source(paced(), 25, live=True), lambda piece: None)
    later = round(report.algorithmic_latency * 25)
    assert len(report.latencies) >= 14 - later
    assert (report.latencies[: 14 - later] >= later * 0.02).all() and (report.latencies < 2).all()
    assert 0 < report.compute_latency < 0.5 and report.busy < report.latencies.sum()


def raw(video) -> bytes:
    return b"".join(frame.tobytes() for _, frame in read_timed_frames(video))


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "v2skit", "stream", *arguments, "--device", "cpu"]


RAW = ("-", "--size", "96x96", "--fps", "25")


def test_frames_go_in_and_samples_come_out_of_the_command(packed, video, synthesiser):
    stream = command(*RAW, "--model", str(packed), "-o", "-", "--chunk", "2")
    done = subprocess.run(stream, input=raw(video), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    speech = np.frombuffer(done.stdout, "<i2") / 32767
    assert len(done.stdout) == 2 * 41 * SAMPLES
    assert speech == pytest.approx(offline(synthesiser, video), abs=2e-4)
    printed = done.stderr.decode()
    assert (
        "algorithmic latency 320 ms" in printed
        and "processed:            1.64 s" in printed
        and "Traceback" not in printed
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_the_command_with_a_whole_file(packed, tmp_path, number):
    out = tmp_path / "speech.wav"
    # A child inherits it if one is ignored, as in the background of a shell or under nohup.
    kept = signal.signal(number, signal.default_int_handler)
    running = subprocess.Popen(
        command(*RAW, "--model", str(packed), "-o", str(out)), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    signal.signal(number, kept)
    try:
        running.stderr.readline()  # it is ready
        running.stdin.write(b"".join(frame.tobytes() for _, frame in timed(30)))
        running.stdin.flush()
        (part,) = tmp_path.iterdir()
        end = time.monotonic() + 20
        while part.stat().st_size < 44 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.3)
        running.send_signal(number)
        printed = running.stderr.read().decode()
        assert running.wait(20) == 0, printed
    finally:
        running.kill()
        running.stdin.close()
        running.stderr.close()
    seconds = float(re.search(r"processed: +([\d.]+) s", printed).group(1))
    assert "Traceback" not in printed and seconds > 0
    assert soundfile.info(out).frames == round(seconds * 25) * SAMPLES
    assert [path.name for path in tmp_path.iterdir()] == ["speech.wav"]


def test_a_listener_who_leaves_is_no_error(packed, video):
    running = subprocess.Popen(
        command(*RAW, "--model", str(packed), "-o", "-"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    running.stdout.close()
    printed = running.communicate(raw(video), timeout=60)[1].decode()
    assert "Traceback" not in printed and "BrokenPipeError" not in printed and running.returncode == 0


def test_wrong_commands_get_a_sentence(packed, video, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(raw(video))))
    sound = tmp_path / "sound.wav"
    soundfile.write(sound, np.zeros(2400), 24000)
    out = ["-o", str(tmp_path / "speech.wav")]
    for arguments, message in (
        (["-", "--fps", "25", *out], "need --size WIDTHxHEIGHT and --fps N"),
        (["-", "--size", "96x96", *out], "need --size WIDTHxHEIGHT and --fps N"),
        (["-", "--size", "96", "--fps", "25", *out], "--size 96 is not of the form WIDTHxHEIGHT"),
        (["-", "--size", "0x96", "--fps", "25", *out], "--size 0x96 is not of the form WIDTHxHEIGHT"),
        ([*RAW[:3], "--fps", "0", *out], "fps"),
        ([*RAW[:3], "--fps", "-5", *out], "fps"),
        ([*RAW[:3], "--fps", "nan", *out], "fps"),
        ([*RAW, "-o", "speech.mp3"], "speech goes to a .wav or .flac file"),
        ([*RAW, *out, "--chunk", "0"], "chunk 0 must be at least 1 frame"),
        (["camera:99", *out], "camera /dev/video99 can't be opened" if sys.platform == "linux" else "camera"),
        ([str(tmp_path / "none.mp4"), *out], "does not exist or is no file"),
        ([str(sound), *out], "has no video stream"),
    ):
        assert main(["stream", *arguments, "--model", str(packed), "--device", "cpu"]) == 1, arguments
        assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["sound.wav"]


def test_a_file_is_streamed_into_a_file(packed, video, synthesiser, tmp_path, capsys):
    out = tmp_path / "speech.flac"
    assert main(["stream", str(video), "--model", str(packed), "-o", str(out), "--device", "cpu"]) == 0
    assert soundfile.read(out)[0] == pytest.approx(offline(synthesiser, video), abs=2e-4)
    assert "real-time factor" in capsys.readouterr().err


def test_a_source_that_vanishes_leaves_the_speech_and_status_1(packed, video, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(raw(video)[:-1])))
    out = tmp_path / "speech.wav"
    assert main(["stream", *RAW, "--model", str(packed), "-o", str(out), "--device", "cpu"]) == 1
    error = capsys.readouterr().err
    assert "processed:            1.60 s" in error and "v2skit: error: the raw frames end within frame 41" in error
    assert soundfile.info(out).frames == 40 * SAMPLES and [path.name for path in tmp_path.iterdir()] == ["speech.wav"]


def test_without_a_model_the_installed_one_for_live_video_is_used(packed, video, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(installed, "FOLDER", tmp_path)
    stream = ["stream", str(video), "-o", str(tmp_path / "speech.wav"), "--device", "cpu"]
    (tmp_path / installed.OFFLINE).touch()  # not for live video
    assert main(stream) == 1
    error = capsys.readouterr().err
    assert "no model for live video installed; train one, as docs/streaming.md says, and give --model" in error
    shutil.copy(packed, tmp_path / installed.LIVE)
    assert main(stream) == 0
    output, printed = capsys.readouterr()
    lines = "model: tiny, installed with v2skit; --model names another\ntiny: moving squares\n"
    assert printed.startswith(lines) and not output  # standard output may be the sound
    assert soundfile.info(tmp_path / "speech.wav").frames == 41 * SAMPLES
