"""A corpus with every fault a file can have -> data directories and a report."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests.media_files import every, make_video, needs_face_mesh, real_data
from v2skit.config.features import Clock, Crop
from v2skit.config.prepare import Prepare
from v2skit.corpora.audiovisual.grid import Grid
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.data.data_dir import read_manifest
from v2skit.errors import UserError
from v2skit.media.audio import read_audio, write_audio
from v2skit.media.crops import read_crops
from v2skit.preparation.prepare import prepare
from v2skit.registry.component import Component

CROPS = Component("none", {})
FAULTS = {
    "silent": "is silent",
    "mute": "no audio stream",
    "text": "no media file",
    "empty": "is empty",
    "odd": "longer than the video",
}


@dataclasses.dataclass
class Folder:
    """A corpus of given utterances."""

    parts: dict[str, list[CorpusUtterance]]

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        return self.parts


def clip(path: Path, **settings) -> CorpusUtterance:
    """An audio-visual utterance of one second, unless ``settings`` change that."""
    settings = {"times": every(25, 1.0), "audio_seconds": 1.0, **settings}
    make_video(path, **settings)
    return CorpusUtterance(path.stem, "s1", path, path, "BIN BLUE AT F TWO NOW")


def prepared(folder: Path, parts: dict[str, list[CorpusUtterance]], max_failed_share: float = 0.05, **options) -> Path:
    settings = Prepare(jobs=1, max_failed_share=max_failed_share)
    prepare(Folder(parts), CROPS, Clock(), Crop(), folder / "data", settings, **options)
    return folder / "data"


@pytest.fixture(scope="module")
def faulty(tmp_path_factory) -> Path:
    """Prepared from good, convertible and bad files."""
    folder = tmp_path_factory.mktemp("faulty")
    raw = folder / "raw"
    train = [clip(raw / f"good{n}.mp4") for n in range(3)]
    train.append(clip(raw / "thirty.mp4", times=every(30, 1.0), fps=30))
    train.append(clip(raw / "wide.mp4", size=(160, 90)))
    train.append(clip(raw / "short.mp4", audio_seconds=0.9))
    train.append(clip(raw / "silent.mp4", loudness=0.0))
    train.append(clip(raw / "mute.mp4", audio_seconds=None))
    train.append(clip(raw / "odd.mp4", audio_seconds=2.5))
    for name, data in (("text", b"no video\n" * 99), ("empty", b"")):
        (raw / f"{name}.mp4").write_bytes(data)
        train.append(CorpusUtterance(name, "s1", raw / f"{name}.mp4", raw / f"{name}.mp4"))
    write_audio(raw / "sound.flac", 0.1 * np.ones(24000 + 500, np.float32), 24000)
    parts = {
        "s1/train": train,
        "s1/test": [clip(raw / "silent_film.mp4", audio_seconds=None)],
        "audio": [CorpusUtterance("sound", "s2", raw / "sound.flac")],
    }
    return prepared(folder, parts, max_failed_share=0.6, video_only_ok={"s1/test"})


def test_audio_is_exactly_as_long_as_its_video(faulty):
    kept = {u.id: u for u in read_manifest(faulty / "s1/train")}
    assert kept.keys() == {"good0", "good1", "good2", "thirty", "wide", "short"}
    for u in kept.values():
        assert u.frames == 25 and u.text == "BIN BLUE AT F TWO NOW" and u.speaker == "s1"
        assert len(read_audio(u.audio, 24000)) == 24000
        assert read_crops(u.video).shape == (25, 96, 96)
    assert np.abs(read_audio(kept["short"].audio, 24000)[-1200:]).max() == 0


def test_exclusions_are_reported_with_their_reasons(faulty):
    report = json.loads((faulty / "s1/train/report.json").read_text())
    assert report["counts"] == {"sources": 11, "prepared": 6, "excluded": 5}
    files = {row["id"]: row for row in report["files"]}
    for name, reason in FAULTS.items():
        assert reason in files[name]["reason"]
    assert files["thirty"]["reason"] is None and "30.00 frames/s" in files["thirty"]["notes"][0]
    text = (faulty / "s1/train/report.md").read_text()
    assert "6 of 11" in text and all(f"{name}.mp4" in text for name in FAULTS)


def test_a_video_without_audio_is_kept_for_synthesis(faulty):
    (film,) = read_manifest(faulty / "s1/test")
    assert film.audio is None and film.frames == 25 and read_crops(film.video).shape == (25, 96, 96)
    assert "no audio stream" in (faulty / "s1/test/report.md").read_text()


def test_audio_only_utterances_are_cut_to_whole_frames(faulty):
    (sound,) = read_manifest(faulty / "audio")
    assert sound.frames == 25 and sound.video is None and len(read_audio(sound.audio, 24000)) == 24000


def test_too_many_exclusions_are_an_error_and_repaired_files_are_tried_again(tmp_path):
    good = clip(tmp_path / "good.mp4")
    (tmp_path / "bad.mp4").write_bytes(b"")
    bad = CorpusUtterance("bad", "s1", tmp_path / "bad.mp4", tmp_path / "bad.mp4")
    with pytest.raises(UserError, match="1 of 2 utterances .*report.md"):
        prepared(tmp_path, {"train": [good, bad]})
    with pytest.raises(UserError, match="stage 1"):
        read_manifest(tmp_path / "data/train")
    crops = tmp_path / "data/train/video/0.ark"
    written = crops.read_bytes()
    clip(tmp_path / "bad.mp4")
    prepared(tmp_path, {"train": [good, bad]})
    assert [u.id for u in read_manifest(tmp_path / "data/train")] == ["bad", "good"]
    both = crops.read_bytes()
    assert both.startswith(written) and 1.5 < len(both) / len(written) < 2.5, (
        "prepared utterances are not prepared again"
    )


def test_a_tracker_that_does_not_exist_is_an_error_before_the_work(tmp_path):
    corpus = Folder({"train": [clip(tmp_path / "good.mp4")]})
    with pytest.raises(UserError, match="unknown tracker 'non'; did you mean 'none'"):
        prepare(corpus, Component("non", {}), Clock(), Crop(), tmp_path / "data", Prepare(jobs=1))
    assert not (tmp_path / "data").exists()


def test_real_grid_clips_through_the_face_mesh(tmp_path):
    needs_face_mesh()
    clips = sorted(real_data("grid/s1").glob("*.mpg"))[:2]
    (tmp_path / "grid/s1").mkdir(parents=True)
    for path in clips:
        (tmp_path / "grid/s1" / path.name).symlink_to(path)
    make_video(tmp_path / "grid/s1/bbaz9a.mp4", every(25, 1.0), audio_seconds=1.0)
    settings = Prepare(jobs=1, max_failed_share=1.0)
    prepare(Grid(tmp_path, "grid"), Component("face_mesh", {}), Clock(), Crop(), tmp_path / "data", settings)
    splits = [path.parent for path in (tmp_path / "data/s1").glob("*/utt2num_frames")]
    kept = [u for split in splits for u in read_manifest(split)]
    assert sorted(u.id for u in kept) == [f"s1-{path.stem}" for path in clips]
    assert all(u.frames == 75 and len(read_audio(u.audio, 24000)) == 72000 for u in kept)
    reports = [path.read_text() for path in (tmp_path / "data/s1").glob("*/report.md")]
    assert len(reports) == 3 and any("no face in 100%" in text for text in reports)
