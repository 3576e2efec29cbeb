"""Speed of reading training segments through the dataset, and size, speed and error of storage formats of mouth crops.

    tools/venv/bin/python tools/benchmark_storage.py --sound_dir DIR --corpus_dir DIR

Speech comes from the first folder and videos of faces from the second; without them, both are generated, and the videos
need no tracker. Segments are 2 s long; their times include everything: index, random draw, reading, NumPy. All subjects
read the same segments in alternating rounds; rates are by the processor time of one core; rates and ratios are medians
over the rounds. The baselines are soundfile, which opens a file for each segment, and decoding and cropping the
original video. Audio is also read in wall-clock time with an empty page cache, as from corpora larger than memory.
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from unittest.mock import patch

import av
import numpy as np
import soundfile
from argument_types import whole_number
from benchmark_prepare import CLOCK, CROP, Replay, videos_in

from v2skit.cli.failures import status_of
from v2skit.config.schema import Augmentation
from v2skit.data.data_dir import Utterance, write_manifest
from v2skit.data.dataset import SpeechDataset
from v2skit.data.sampler import Key
from v2skit.errors import UserError
from v2skit.media.ark import ArkWriter
from v2skit.media.audio import read_audio, write_audio
from v2skit.media.audio_stream import decode_audio
from v2skit.media.container import probe
from v2skit.media.crops import GOP_FRAMES, QUANTISER, encode_crops, frame_of_luma, luma, read_crops
from v2skit.media.video import read_video
from v2skit.models.speakers.none import NoSpeaker
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.tracking.crop import cut_mouth

SEGMENT_FRAMES = 50


def h264(group: int, **quality: str) -> tuple[str, str, str, dict]:
    options = {"bf": "0", "preset": "veryfast", "tune": "fastdecode", "g": str(group), **quality}
    return "libx264", "mp4", "gray", options


def fixed(codec: str, container: str, quantiser: int, group: int = GOP_FRAMES) -> tuple[str, str, str, dict]:
    layout = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    return codec, container, layout, {"qmin": str(quantiser), "qmax": str(quantiser), "g": str(group)}


FORMATS = {
    "MPEG-4 part 2, q 1": fixed("mpeg4", "mp4", 1),
    f"MPEG-4 part 2, q {QUANTISER} (ours)": fixed("mpeg4", "mp4", QUANTISER),
    "  group of 1": fixed("mpeg4", "mp4", QUANTISER, 1),
    "  group of 75": fixed("mpeg4", "mp4", QUANTISER, 75),
    "MPEG-4 part 2, q 3": fixed("mpeg4", "mp4", 3),
    "MPEG-2, q 2": fixed("mpeg2video", "mp4", 2),
    "H.264 qp 0": h264(GOP_FRAMES, qp="0"),
    "H.264 qp 12": h264(GOP_FRAMES, qp="12"),
    "H.264 qp 16": h264(GOP_FRAMES, qp="16"),
    "H.264 qp 20": h264(GOP_FRAMES, qp="20"),
    "H.264 crf 18": h264(GOP_FRAMES, crf="18"),
    "JPEG frames, q 1": fixed("mjpeg", "matroska", 1),
    "JPEG frames, q 3": fixed("mjpeg", "matroska", 3),
    "FFV1 lossless": ("ffv1", "matroska", "gray", {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sound_dir", type=Path, help="folder with speech of any sample rate")
    parser.add_argument("--corpus_dir", type=Path, help="folder with videos of talking faces")
    parser.add_argument("--clips", type=whole_number, default=20, help="videos; ten times as many audio files")
    parser.add_argument("--rounds", type=whole_number, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sounds = speech(arguments.sound_dir, 10 * arguments.clips)
        sound_table(sounds, Path(folder) / "sound", arguments.rounds)
        cold_table(sounds, Path(folder) / "cold", arguments.rounds, 200 * arguments.clips)
        videos = videos_in(arguments.corpus_dir, arguments.clips, parser, Path(folder))
        tracker = build("tracker", Component("face_mesh" if arguments.corpus_dir else "none", {}))
        crops = crop_table(videos, tracker, Path(folder) / "faces", arguments.rounds)
    format_table(crops)


def speech(folder: Path | None, count: int) -> list[np.ndarray]:
    """Waveforms (N,) of whole video frames, longer than a segment. Without a folder they are generated: 3 to 15 s of
    noise with the spectral slope and the syllable rate of speech."""
    if folder:
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".flac", ".wav"))
        if not found:
            raise UserError(f"no .flac or .wav under {folder}; give --sound_dir a folder with speech")
        sounds = [decode_audio(path, CLOCK.sample_rate) for path in found[:: max(1, len(found) // count)][:count]]
    else:
        random = np.random.default_rng(0)
        noise = [random.normal(0, 1, int(random.uniform(3, 15) * CLOCK.sample_rate)) for _ in range(count)]
        filtered = [np.convolve(sound, np.exp(-np.arange(64) / 8), "same") for sound in noise]
        sounds = [0.03 * sound * np.sin(np.arange(len(sound)) / 2000) ** 2 for sound in filtered]
    whole = [sound[: len(sound) // CLOCK.samples_per_frame * CLOCK.samples_per_frame] for sound in sounds]
    return [sound.astype(np.float32) for sound in whole if len(sound) > SEGMENT_FRAMES * CLOCK.samples_per_frame]


def dataset(folder: Path, utterances: list[Utterance], with_video: bool, augment: bool = True) -> SpeechDataset:
    write_manifest(folder, utterances, {})
    augmentation = Augmentation() if augment else Augmentation(flip=0.0, erase=0.0, time_mask_seconds=0.0)
    options = {"training": True, "segment_frames": SEGMENT_FRAMES}
    return SpeechDataset([folder], [NoSpeaker().reader(folder)], CLOCK, with_video, augmentation, **options)


def keys_of(data: SpeechDataset, epochs: int) -> list[Key]:
    return [Key(epoch, index, (0, 0)) for epoch in range(epochs) for index in range(len(data))]


def read_all(data: SpeechDataset, keys: list[Key]) -> None:
    for key in keys:
        data[key]


def alternate(subjects: dict[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
    """Processor time of each round, seconds, after a warm-up round."""
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds + 1):
        for name, work in subjects.items():
            started = time.process_time()
            work()
            seconds[name].append(time.process_time() - started)
    return {name: np.array(values[1:]) for name, values in seconds.items()}


def single_and_packed(sounds: Iterable[np.ndarray], folder: Path) -> tuple[SpeechDataset, SpeechDataset]:
    """The waveforms as two datasets: one file each, and packed into an archive."""
    ark, packed, single = ArkWriter(folder / "packed" / "audio" / "0.ark"), [], []
    for number, sound in enumerate(sounds):
        key, frames = f"s-{number:04d}", len(sound) // CLOCK.samples_per_frame
        location, path = (
            ark.add_audio(key, sound, CLOCK.sample_rate).location,
            folder / "single" / "audio" / f"{key}.flac",
        )
        write_audio(path, sound, CLOCK.sample_rate)
        packed.append(Utterance(key, "s", frames, folder / "packed" / location))
        single.append(Utterance(key, "s", frames, path))
    ark.close()
    return dataset(folder / "single", single, False), dataset(folder / "packed", packed, False)


def sound_table(sounds: list[np.ndarray], folder: Path, rounds: int) -> None:
    single_data, packed_data = single_and_packed(sounds, folder)
    keys = keys_of(single_data, 3)
    with patch("v2skit.data.dataset.read_audio", wraps=read_audio) as reading:
        read_all(single_data, keys)
    segments = [(str(path), start, count) for path, _, start, count in (call.args for call in reading.call_args_list)]

    def by_soundfile() -> None:
        for path, start, count in segments:
            with soundfile.SoundFile(path) as file:
                file.seek(start)
                file.read(count, dtype="float32")

    subjects = {
        "soundfile": by_soundfile,
        "dataset, a file each": lambda: read_all(single_data, keys),
        "dataset, packed": lambda: read_all(packed_data, keys),
    }
    found = alternate(subjects, rounds)
    head = f"{len(keys)} segments of {len(sounds)} files"
    print(f"{head:40}{'times real time':>16}{'ratio':>8}")
    length = len(keys) * SEGMENT_FRAMES / CLOCK.fps
    for name, seconds in found.items():
        ratio = np.median(found["soundfile"] / seconds)
        print(f"{name:40}{length / np.median(seconds):16.0f}{ratio:8.2f}")


def cold_table(sounds: list[np.ndarray], folder: Path, rounds: int, count: int) -> None:
    single, packed = single_and_packed(itertools.islice(itertools.cycle(sounds), count), folder)
    keys = keys_of(single, 1)
    keys = [keys[number] for number in np.random.default_rng(0).permutation(len(keys))]
    seconds: dict[str, list[float]] = {"dataset, a file each": [], "dataset, packed": []}
    for _ in range(rounds):
        for name, data in zip(seconds, (single, packed), strict=True):
            drop_page_cache(folder)
            started = time.perf_counter()
            read_all(data, keys)
            seconds[name].append(time.perf_counter() - started)
    print(f"\n{f'empty page cache: {len(keys)} files':40}{'times real time':>16}{'ratio':>8}")
    for name, found in seconds.items():
        ratio = np.median(np.array(seconds["dataset, a file each"]) / found)
        print(f"{name:40}{len(keys) * SEGMENT_FRAMES / CLOCK.fps / np.median(found):16.0f}{ratio:8.2f}")


def drop_page_cache(folder: Path) -> None:
    """Drop the files below a folder from the page cache."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def crop_table(videos: list[Path], tracker, folder: Path, rounds: int) -> list[np.ndarray]:
    """Print the speeds of reading mouth crops.

    Returns:
        the crops of each video before encoding, gray uint8 (T,H,W).
    """
    audio_ark, video_ark = ArkWriter(folder / "audio" / "0.ark"), ArkWriter(folder / "video" / "0.ark")
    utterances, mouths, crops, size = [], [], [], 0
    for number, video in enumerate(videos):
        frames = list(read_video(video, CLOCK.fps))
        tracker.start(video, CLOCK.fps)
        mouths.append([tracker.update(frame) for frame in frames])
        crops.append(cut_mouth(frames, Replay(mouths[-1]), CROP, CLOCK.fps)[0])
        sound = decode_audio(video, CLOCK.sample_rate, probe(video).start)
        samples = len(frames) * CLOCK.samples_per_frame
        sound, stored = np.pad(sound[:samples], (0, max(0, samples - len(sound)))), encode_crops(crops[-1], CLOCK.fps)
        key, size = f"s-{number:04d}", size + len(stored)
        audio_entry = audio_ark.add_audio(key, sound, CLOCK.sample_rate)
        crops_entry = video_ark.add_bytes(key, stored)
        paths = folder / audio_entry.location, folder / crops_entry.location
        utterances.append(Utterance(key, "s", len(frames), *paths))
    for ark in (audio_ark, video_ark):
        ark.close()
    plain, augmented, audio = (dataset(folder, utterances, *which) for which in ((True, False), (True, True), (False,)))
    keys = keys_of(plain, 10)
    with patch("v2skit.data.dataset.read_crops", wraps=read_crops) as reading:
        read_all(plain, keys)
    segments = [call.args for call in reading.call_args_list]

    def original() -> None:
        for video, track in zip(videos, mouths, strict=True):
            cut_mouth(read_video(video, CLOCK.fps), Replay(track), CROP, CLOCK.fps)

    subjects = {
        "original video, decoded and cut": original,
        "dataset, augmented": lambda: read_all(augmented, keys),
        "dataset, not augmented": lambda: read_all(plain, keys),
        "  only audio": lambda: read_all(audio, keys),
        "  only read_crops": lambda: [None for segment in segments if read_crops(*segment) is None],
    }
    found, lengths = alternate(subjects, rounds), [u.frames for u in utterances]
    each = {
        name: seconds / sum(min(lengths[k.number], SEGMENT_FRAMES) for k in keys) for name, seconds in found.items()
    }
    each["original video, decoded and cut"] = found["original video, decoded and cut"] / sum(lengths)
    each["dataset, augmented, less audio"] = each["dataset, augmented"] - each["  only audio"]
    stored = size / 1000 / sum(lengths) * CLOCK.fps
    head = f"{len(keys)} segments of {len(videos)} videos, {stored:.1f} kB/s"
    print(f"\n{head:40}{'frames/s per core':>16}{'ratio':>8}")
    for name, seconds in each.items():
        ratio = np.median(each["original video, decoded and cut"] / seconds)
        print(f"{name:40}{1 / np.median(seconds):16.0f}{ratio:8.2f}")
    return crops


def format_table(crops: list[np.ndarray]) -> None:
    print(f"\n{'storage format':28}{'kB/s':>8}{'write/s':>9}{'read/s':>9}{'mean error':>12}{'largest':>9}")
    for name, choice in FORMATS.items():
        size, written, back, mean, largest = np.mean([store(clip, *choice) for clip in crops], axis=0)
        print(f"{name:28}{size:8.1f}{written:9.0f}{back:9.0f}{mean:12.2f}{largest:9.0f}")


def store(clip: np.ndarray, codec: str, container: str, layout: str, options: dict) -> tuple[float, ...]:
    """kB per second of video, frames per second encoded and decoded, mean and largest error in gray levels."""
    started, stored = time.process_time(), io.BytesIO()
    with av.open(stored, "w", format=container) as output:
        stream = output.add_stream(codec, rate=CLOCK.fps, options={**options, "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = *clip.shape[1:], layout
        for picture in clip:
            output.mux(stream.encode(frame_of_luma(picture, layout)))
        output.mux(stream.encode(None))
    between, size = time.process_time(), len(stored.getvalue())
    stored.seek(0)
    with av.open(stored) as source:
        source.streams.video[0].codec_context.thread_count = 1
        back = np.stack([luma(frame) for frame in source.decode(video=0)])
    ended = time.process_time()
    error = np.abs(back.astype(int) - clip)
    speeds = len(clip) / (between - started), len(clip) / (ended - between)
    return size / 1000 / (len(clip) / CLOCK.fps), *speeds, error.mean(), error.max()


if __name__ == "__main__":
    sys.exit(status_of(main, "benchmark_storage"))
