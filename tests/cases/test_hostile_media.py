"""Hostile media files: each is read, or refused with one sentence; none is read for ever, or opens another file."""

from __future__ import annotations

import gc
import itertools
import os
import random
import resource
import shutil
import threading
from collections.abc import Callable
from fractions import Fraction as F
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from tests.cases.clips import write_clip
from tests.media_files import every, make_video
from v2skit.errors import UserError
from v2skit.media import audio_stream
from v2skit.media.audio import read_audio
from v2skit.media.audio_stream import decode_audio, decode_audio_segment, exceeds
from v2skit.media.container import probe
from v2skit.media.crops import read_crops
from v2skit.media.mux import mux, mux_path
from v2skit.media.video import read_timed_frames, read_video
from v2skit.synthesis.live.live import on_live_clock
from v2skit.synthesis.live.sources import Source, open_source

READERS: dict[str, Callable[[Path], object]] = {
    "probe": probe,
    "video": lambda path: list(read_video(path, 25)),
    "frames": lambda path: list(read_timed_frames(path)),
    "audio": lambda path: decode_audio(path, 16000),
    "segment": lambda path: decode_audio_segment(path, 16000, 0.1, 0.2),
    "mux": lambda path: mux_path(path, path.with_name("speech.wav")),
    "live": lambda path: open_source(str(path), None, None, False),
}


def refused(reader: Callable[[Path], object], path: Path) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(UserError) as caught:
        reader(path)
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) > 20
    return sentence


def count(folder: str) -> int:
    """Entries of a folder, 0 where there is none: of Linux, about this process."""
    return len(list(Path(folder).iterdir())) if Path(folder).exists() else 0


# Files that name other files ----------------------------------------------------------------------------------------


def hls(name: str) -> str:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:2,\n{name}\n#EXT-X-ENDLIST\n"


SCRIPTS = {
    "hls": hls,
    "hls of a protocol": lambda name: hls(f"concat:{name}|{name}"),
    "hls with a key": lambda name: hls(name).replace("#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{name}"\n#EXTINF'),
    "hls of variants": lambda name: f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{name}\n",
    "ffconcat": lambda name: f"ffconcat version 1.0\nfile '{name}'\n",
    "dash": lambda name: (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" profiles="urn:mpeg:dash:profile:'
        'isoff-on-demand:2011"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
        f"<BaseURL>{name}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    ),
    "sdp": lambda name: "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "imf": lambda name: f'<?xml version="1.0"?><CompositionPlaylist><Id>{name}</Id></CompositionPlaylist>',
    "vobsub": lambda name: f"# VobSub index file, v7\n# {name}\n",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_files_that_name_other_files_are_refused_whatever_their_suffix(tmp_path, script, monkeypatch):
    monkeypatch.chdir(tmp_path)
    secret = make_video(tmp_path / "secret.mp4", every(25, 0.4), audio_seconds=0.4)
    shuffled = random.Random(script)
    for suffix in shuffled.sample(["m3u8", "mp4", "ffconcat", "mpd", "sdp", "mkv", "wav", "idx", "txt"], 4):
        for target in (str(secret), secret.name, secret.as_uri(), f"script.{suffix}"):  # the last one is itself
            path = tmp_path / f"script.{suffix}"
            path.write_text(SCRIPTS[script](target))
            before = count("/proc/self/fd")
            for reader in READERS.values():
                refused(reader, path)
            assert count("/proc/self/fd") <= before


def test_the_refusal_says_what_the_file_is(tmp_path):
    path = tmp_path / "clip.m3u8"
    path.write_text(hls("secret.mp4"))
    assert "is a playlist, or of a format that is not read; convert it to MP4" in refused(probe, path)


# Valid videos of few frames a second --------------------------------------------------------------------------------

RATES = [F(1), F(2), F(3), F(5), F(10), F(12), F(24000, 1001), F(60)]
FORMATS = [("mp4", "libx264"), ("mov", "libx264"), ("mkv", "libx264"), ("flv", "libx264"), ("avi", "libx264"),
           ("webm", "libvpx"), ("mpg", "mpeg2video")]  # fmt: skip


def plain_video(path: Path, fps: F, frames: int, codec: str, options: dict[str, str], audio: float | None) -> None:
    """A small video as an encoder's defaults make it, with B frames where the codec has them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options={"threads": "1", **options})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=24000, layout="mono") if audio else None
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, 1 / fps
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None and audio is not None:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, round(audio * 24000)), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 24000, 0
            container.mux([*sound.encode(frame), *sound.encode(None)])


@pytest.mark.parametrize(("extension", "codec"), FORMATS)
def test_whole_videos_of_any_frame_rate_are_read(tmp_path, extension, codec):
    path = tmp_path / f"clip.{extension}"
    for fps, frames, reordered in itertools.product(RATES, (2, 5, 15, 20, 30), ("default", "many")):
        if extension == "mpg" and fps < 20:
            continue  # MPEG-2 has no such rate
        many = {"bf": "8", "b_strategy": "0"} if codec == "libx264" else {"bf": "2"} if codec == "mpeg2video" else {}
        audio = 0.5 if extension in ("mp4", "mkv") and frames == 15 else None
        plain_video(path, fps, frames, codec, many if reordered == "many" else {}, audio)
        count = len(list(read_video(path, 25)))
        delay = 2 if extension in ("avi", "flv", "mpg") else 0  # frames that the format repeats or delays
        assert abs(count - frames / fps * 25) <= 1 + delay / fps * 25, (fps, frames, reordered)


@pytest.mark.parametrize("extension", ["mp4", "mkv", "mpg", "avi", "flv"])
def test_truncated_videos_are_still_refused(tmp_path, extension):
    codec = "mpeg2video" if extension == "mpg" else "libx264"
    for fps in (F(25), F(5)) if extension != "mpg" else (F(25),):
        path = tmp_path / f"clip.{extension}"
        plain_video(path, fps, 60, codec, {"g": "5"}, None)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.55)])
        refused(READERS["video"], path)


# Times, names, and files that are none ------------------------------------------------------------------------------


def jumping(path: Path, step: float) -> Path:
    times = [F(n, 25) for n in range(6)] + [F(n, 25) + F(step) for n in range(6, 12)]
    codec = "libvpx-vp9" if path.suffix == ".webm" else "libx264"
    return write_clip(path, lambda time: np.full((48, 64, 3), 90, np.uint8), times, codec=codec, base=F(1, 1000))


@pytest.mark.parametrize("extension", ["mp4", "mkv", "flv", "ts", "mov", "webm"])
def test_times_that_jump_are_refused_at_once(tmp_path, extension):
    for step in (3600, 11 * 3600, 365 * 86400 if extension in ("mkv", "webm", "ts") else 5 * 3600):
        path = jumping(tmp_path / f"clip.{extension}", step)
        assert "frame times that jump by" in refused(READERS["video"], path)
        source = open_source(str(path), None, None, False)
        with pytest.raises(UserError, match="frame times that jump by"):
            list(on_live_clock(source, 25))
    assert len(list(read_video(jumping(tmp_path / f"pause.{extension}", 20), 25))) == 20 * 25 + 12


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 3e9, -3e9, -0.5])
def test_a_clock_of_a_camera_that_is_set_does_not_stop_or_repeat_the_video(jump):
    frame = np.zeros((8, 8, 3), np.uint8)
    times = [n / 25 + (jump if n >= 10 else 0) for n in range(20)]
    source = Source(iter([(time, frame) for time in times]), 25, live=False)
    assert 19 <= len(list(on_live_clock(source, 25))) <= 21


def test_a_camera_without_frames_is_reported():
    ended = threading.Event()

    def never():
        ended.wait(5)
        yield 0.0, np.zeros((8, 8, 3), np.uint8)

    source = Source(never(), 25, live=True, timeout=0.1)
    with pytest.raises(UserError, match=r"no frame arrived for 0\.1 s"):
        next(iter(source))
    ended.set()


@pytest.mark.parametrize(
    "size", ["0x5", "5x0", "99999x99999", "9" * 5000 + "x1", "1x" + "9" * 5000, "-1x5", "x", "８x"]
)
def test_sizes_of_raw_frames(size):
    with pytest.raises(UserError, match="is not of the form WIDTHxHEIGHT"):
        open_source("-", size, 25.0, False)


@pytest.mark.parametrize("fps", [0.0, -1.0, 1e-9, 1e9, float("nan"), float("inf")])
def test_rates_of_raw_frames(fps):
    with pytest.raises(UserError, match="must lie in"):
        open_source("-", "8x8", fps, False)


NAMES = [
    "12:30.mp4", "-.mp4", "-", "http:x.mp4", "concat:a|b.mp4", "%d.mp4", "a b\n.mp4", "|x.mp4", "subfile,,start,0.mp4",
    os.fsdecode(b"\xff\xfe.mp4"), "é.mp4", "data:video.mp4", "pipe:0",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_are_names_of_files(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    shutil.copy(make_video(tmp_path / "whole.mp4", every(25, 0.4), audio_seconds=0.4), name)
    assert len(list(read_video(Path(name), 25))) == 10
    assert len(decode_audio(Path(name), 16000)) > 5000
    soundfile.write("speech.wav", np.zeros(9600), 24000)
    mux(Path(name), Path("speech.wav"), Path("9:9.mp4"))
    assert len(list(read_video(Path("9:9.mp4"), 25))) == 10


def test_pipes_devices_and_folders_in_a_table_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "link.wav").symlink_to("/dev/zero")
    for path in (*tmp_path.iterdir(), Path("/dev/zero"), Path("/dev/stdin")):
        if path.is_file():
            continue
        refused(lambda path: read_audio(path, 24000), path)
        refused(read_crops, path)
        for reader in READERS.values():
            refused(reader, path)


def test_metadata_in_another_encoding(tmp_path):
    path = make_video(tmp_path / "clip.mkv", every(25, 0.4))
    path.write_bytes(path.read_bytes().replace(b"Lavf", b"\xe4\xf6\xfc\xff"))
    assert len(list(read_video(path, 25))) == 10


# Memory, threads and file handles -----------------------------------------------------------------------------------


def video_frames() -> list[av.VideoFrame]:
    return [item for item in gc.get_objects() if type(item) is av.VideoFrame]


@pytest.mark.parametrize("rotation", [None, 90, "mirrored"])
def test_frames_are_freed_without_the_garbage_collector(tmp_path, rotation):
    path = write_clip(tmp_path / "clip.mp4", lambda time: np.full((96, 128, 3), 90, np.uint8), rotation=rotation)
    gc.collect()
    gc.disable()
    try:
        before, others = count("/proc/self/task"), len(video_frames())  # errors that other tests keep have frames
        for number, _ in enumerate(read_video(path, 25)):
            if number == 30:
                assert len(video_frames()) < others + 15
                assert count("/proc/self/task") <= before + 2
    finally:
        gc.enable()


def test_the_scaler_does_not_change_the_frames(tmp_path):
    path = make_video(tmp_path / "clip.mp4", every(25, 0.4), (66, 50), corner=True)
    with av.open(str(path)) as container:
        expected = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert all((frame == wanted).all() for (_, frame), wanted in zip(read_timed_frames(path), expected, strict=True))


def test_small_files_of_huge_frames_are_refused(tmp_path):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, size in (
        ("a.png", (12000, 8000)),
        ("a.jpg", (9000, 9000)),
        ("a.gif", (9000, 9000)),
        ("b.png", (65000, 999)),
    ):
        Image.new("L", size, 7).save(tmp_path / "picture", name[2:].replace("jpg", "jpeg"))
        (tmp_path / "picture").rename(tmp_path / f"{name}.mp4")
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        refused(READERS["video"], tmp_path / f"{name}.mp4")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < max(peak, grown) + 60_000  # KB


def test_small_files_of_long_audio_are_refused(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "long.flac", np.zeros(200_000), 1000)
    soundfile.write(tmp_path / "slow.flac", np.zeros(5000), 10)
    assert exceeds(tmp_path / "long.flac", 100) and not exceeds(tmp_path / "long.flac", 300)
    monkeypatch.setattr(audio_stream, "MAX_SECONDS", 60)
    for name in ("long.flac", "slow.flac"):
        assert "is longer than" in refused(READERS["audio"], tmp_path / name)
        assert "is longer than" in refused(lambda path: decode_audio_segment(path, 16000, 0.0, None), tmp_path / name)


def test_a_lack_of_file_handles_does_not_make_a_file_damaged(tmp_path):
    path = make_video(tmp_path / "clip.mp4", every(25, 0.4))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = [os.open(os.devnull, os.O_RDONLY)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (opened[0] + 1, hard))
        while len(opened) < 5000:
            try:
                opened.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        with pytest.raises(MemoryError, match="can't be read for now"):
            probe(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in opened:
            os.close(descriptor)
    assert probe(path).fps == 25


# Random damage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", ["mp4", "mkv", "mpg", "avi", "ts", "flv", "wav", "flac", "mp3"])
def test_random_damage_is_survived(tmp_path, extension):
    chosen = random.Random(extension)
    whole = tmp_path / f"whole.{extension}"
    if extension in ("wav", "flac", "mp3"):
        soundfile.write(whole, np.sin(np.arange(8000) / 10) / 2, 16000)
    else:
        codec = "mpeg2video" if extension in ("mpg", "ts") else "libx264"
        plain_video(whole, F(25), 20, codec, {}, 0.5 if extension in ("mp4", "mkv") else None)
    data, path = whole.read_bytes(), tmp_path / f"damaged.{extension}"
    for number in range(12):
        damaged = bytearray(data)
        for _ in range(chosen.choice([1, 3, 20])):
            at = chosen.randrange(len(data) if number % 2 else min(len(data), 2000))
            damaged[at] = chosen.choice([0, 255, chosen.randrange(256)])
        path.write_bytes(damaged[: chosen.choice([len(data), chosen.randrange(1, len(data))])])
        for reader in READERS.values():
            try:
                reader(path)
            except UserError as error:
                assert len(str(error)) > 20
