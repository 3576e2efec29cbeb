"""Interrupted, repeated and changed preparations; and trackers that lose the face."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.media_files import every, make_video
from v2skit.config.features import Clock, Crop
from v2skit.config.prepare import Filters, Prepare
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.data.data_dir import read_manifest, read_settings
from v2skit.errors import UserError
from v2skit.media.audio import read_audio, write_audio
from v2skit.media.crops import read_crops
from v2skit.preparation import records
from v2skit.preparation.prepare import prepare
from v2skit.registry import plugins
from v2skit.registry.component import Component
from v2skit.registry.registry import Entry
from v2skit.system.atomic import exclusive_lock
from v2skit.tracking.tracker import MouthPose


class Loses:
    """A tracker that finds the mouth except in some frames from the tenth on.

    Args:
        frames: their number.
    """

    videos = 0

    def __init__(self, frames: int = 0) -> None:
        self.frames = frames

    def start(self, video, fps) -> None:
        Loses.videos, self.shown = Loses.videos + 1, 0

    def update(self, frame: np.ndarray) -> MouthPose | None:
        self.shown += 1
        return None if 10 <= self.shown < 10 + self.frames else MouthPose(32 + self.shown / 10, 24, 16)

    def finish(self) -> None:
        pass


@pytest.fixture(autouse=True)
def loses(monkeypatch):
    entry = Entry("tracker", "loses", f"{__name__}:Loses", "a test")
    monkeypatch.setitem(plugins.registry()._entries, ("tracker", "loses"), entry)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[CorpusUtterance]:
    folder = tmp_path_factory.mktemp("raw")
    paths = [make_video(folder / f"clip{n}.mp4", every(25, 1.0), audio_seconds=1.0) for n in range(4)]
    return [CorpusUtterance(path.stem, "s1", path, path) for path in paths]


def run(
    folder: Path, utterances: list[CorpusUtterance], lost: int = 0, crop: Crop = Crop(), force: bool = False, **settings
) -> int:
    """Prepare into ``folder/train``. Returns how many videos were tracked for that."""

    class Corpus:
        def splits(self) -> dict[str, list[CorpusUtterance]]:
            return {"train": utterances}

    before = Loses.videos
    tracker = Component("loses", {"frames": lost})
    prepare(Corpus(), tracker, Clock(), crop, folder, Prepare(jobs=1, **settings), force=force)
    return Loses.videos - before


def test_prepared_utterances_are_skipped(tmp_path, clips, capsys):
    assert run(tmp_path, clips[:3]) == 3
    assert run(tmp_path, clips[:3]) == 0
    assert run(tmp_path, clips) == 1
    assert [u.id for u in read_manifest(tmp_path / "train")] == ["clip0", "clip1", "clip2", "clip3"]
    assert "4 utterances, 0 excluded" in capsys.readouterr().out


def test_a_truncated_record_loses_one_clip(tmp_path, clips):
    run(tmp_path, clips)
    record = tmp_path / "train/shards/0.jsonl"
    record.write_text(record.read_text()[:-20])
    assert run(tmp_path, clips) == 1
    found = read_manifest(tmp_path / "train")
    assert [u.id for u in found] == [clip.id for clip in clips]
    assert all(len(read_audio(u.audio, 24000)) == 24000 and len(read_crops(u.video)) == 25 for u in found)
    assert run(tmp_path, clips) == 0


def test_a_record_line_truncated_after_a_brace_is_skipped(tmp_path, clips):
    run(tmp_path, clips)
    record = tmp_path / "train/shards/0.jsonl"
    record.write_text(record.read_text()[: record.read_text().rindex("}", 0, -2) + 1])
    assert run(tmp_path, clips) == 1


def test_nothing_changes_while_a_job_is_running(tmp_path, clips):
    run(tmp_path, clips[:2])
    before = (tmp_path / "train/shards/0.jsonl").read_bytes()
    with exclusive_lock(tmp_path / "train/shards/0"):
        for force in (False, True):
            with pytest.raises(UserError, match=r"job 0 of an earlier run is still running in .*train; wait"):
                run(tmp_path, clips, force=force)
    assert (tmp_path / "train/shards/0.jsonl").read_bytes() == before
    assert run(tmp_path, clips) == 2


def test_excluded_files_are_tried_again_when_they_change_or_after_an_error(tmp_path, clips):
    bad = make_video(tmp_path / "mute.mp4", every(25, 1.0))
    utterances = [*clips, CorpusUtterance("mute", "s1", bad, bad)]
    for _ in range(2):
        with pytest.raises(UserError, match="1 of 5 utterances.*; or do without them: .*max_failed_share=0.2$"):
            run(tmp_path, utterances)
    before = (tmp_path / "train/shards/0.jsonl").read_text().count('"id": "mute"')
    run(tmp_path, utterances, max_failed_share=0.5)
    record = (tmp_path / "train/shards/0.jsonl").read_text()
    run(tmp_path, utterances, max_failed_share=0.5)
    assert before == 1 and (tmp_path / "train/shards/0.jsonl").read_text() == record
    assert "- excluded: " in (tmp_path / "train/report.md").read_text()
    make_video(bad, every(25, 1.0), audio_seconds=1.0)
    assert run(tmp_path, utterances) == 1 and len(read_manifest(tmp_path / "train")) == 5


@pytest.mark.parametrize("lost", ["deleted", "cut"])
def test_utterances_missing_from_an_archive_are_prepared_again(tmp_path, clips, lost):
    run(tmp_path, clips)
    ark = tmp_path / "train/audio/0.ark"
    if lost == "deleted":
        ark.unlink()
    else:
        ark.write_bytes(ark.read_bytes()[: ark.stat().st_size // 2 - 500])  # in the second of four
    assert run(tmp_path, clips) == {"deleted": 4, "cut": 3}[lost]


def test_other_settings_need_force(tmp_path, clips):
    run(tmp_path, clips)
    stray = tmp_path / "train/video/old.ark"
    stray.touch()
    for other in ({"crop": Crop(size=64)}, {"lost": 1}):
        with pytest.raises(UserError, match=r"prepared with other settings \((crop.size: 96|tracker.frames: 0) there"):
            run(tmp_path, clips, **other)
    assert stray.exists() and len(read_manifest(tmp_path / "train")) == 4
    assert run(tmp_path, clips, crop=Crop(size=64), force=True) == 4
    assert read_crops(read_manifest(tmp_path / "train")[0].video).shape == (25, 64, 64) and not stray.exists()
    assert json.loads((tmp_path / "train/settings.json").read_text())["crop"]["size"] == 64
    assert run(tmp_path, clips, crop=Crop(size=64)) == 0


def test_files_that_changed_are_prepared_again(tmp_path, clips):
    path = Path(shutil.copy(clips[0].video, tmp_path / "changing.mp4"))
    utterances = [*clips, CorpusUtterance("changing", "s1", path, path)]
    run(tmp_path, utterances)
    before = read_settings(tmp_path / "train")["digest"]
    make_video(path, every(25, 1.2), audio_seconds=1.2)
    assert run(tmp_path, utterances) == 1
    assert read_settings(tmp_path / "train")["digest"] != before


def test_another_file_of_the_same_size_is_prepared_again(tmp_path, clips):
    path = Path(shutil.copy(clips[0].video, tmp_path / "changing.mp4"))
    utterances = [*clips, CorpusUtterance("changing", "s1", path, path)]
    run(tmp_path, utterances)
    before = read_settings(tmp_path / "train")["digest"]
    content = bytearray(path.read_bytes())
    middle = content.index(b"mdat") + 1000
    content[middle] ^= 1
    path.write_bytes(content)
    assert run(tmp_path, utterances) == 1
    assert read_settings(tmp_path / "train")["digest"] != before


def test_each_file_of_a_copy_is_read_once_and_an_interruption_loses_nothing(tmp_path, clips, monkeypatch):
    """Of several utterances each."""
    files = [Path(shutil.copy(clip.video, tmp_path / clip.video.name)) for clip in clips[:3]]
    spans = [
        CorpusUtterance(f"{path.stem}-{n}", "s1", path, path, start=n / 2, end=(n + 1) / 2)
        for n in range(2)
        for path in files
    ]
    run(tmp_path, spans)
    record = tmp_path / "train/shards/0.jsonl"
    before = record.read_text()
    read: list[Path] = []

    def sha256_of(path: Path) -> str:
        read.append(path)
        if read == files[:2]:
            raise KeyboardInterrupt
        return original(path)

    original = records.sha256_of
    monkeypatch.setattr(records, "sha256_of", sha256_of)
    records._digest.cache_clear()
    for path in files:
        os.utime(path, ns=(0, 0))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, spans)
    lines = record.read_text().splitlines()  # those of the first file have its new state
    assert read == files[:2] and len(lines) == 6 and sum(line in before.splitlines() for line in lines) == 4
    assert run(tmp_path, spans) == 0
    assert read == [*files[:2], *files[1:]]
    assert len(read_manifest(tmp_path / "train")) == 6


def test_copied_files_are_the_same(tmp_path, clips, monkeypatch):
    """A copy of a corpus has other times; what was trained on it goes on."""
    run(tmp_path, clips)
    before = read_settings(tmp_path / "train")["digest"], read_manifest(tmp_path / "train")
    for clip in clips:
        os.utime(clip.video, ns=(0, 0))
        os.utime(clip.audio, ns=(0, 0))
    assert run(tmp_path, clips) == 0
    assert (read_settings(tmp_path / "train")["digest"], read_manifest(tmp_path / "train")) == before
    monkeypatch.setattr(records, "fingerprint", None)  # they are not read again
    assert run(tmp_path, clips) == 0


def test_records_of_earlier_versions_go_by_the_times_of_files(tmp_path, clips):
    run(tmp_path, clips)
    (record,) = (tmp_path / "train/shards").glob("*.jsonl")
    outcomes = [json.loads(line) for line in record.read_text().splitlines()]
    for outcome in outcomes:
        outcome["fingerprint"] = outcome.pop("state")
    record.write_text("".join(json.dumps(outcome) + "\n" for outcome in outcomes))
    assert run(tmp_path, clips) == 0
    clips[1].video.touch()
    assert run(tmp_path, clips) == 1


@pytest.mark.parametrize(("names", "message"), [(["a", "a"], "are duplicates"), (["a b", "c"], "no white space")])
def test_ids_that_cannot_be_keys_are_refused(tmp_path, clips, names, message):
    with pytest.raises(UserError, match=message):
        run(tmp_path, [dataclasses.replace(clip, id=name) for clip, name in zip(clips, names)])


def test_a_folder_with_other_files_is_an_error(tmp_path, clips):
    (tmp_path / "train").mkdir()
    (tmp_path / "train/thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="preparation did not write; move them away"):
        run(tmp_path, clips)
    assert run(tmp_path, clips, force=True) == 4
    assert (tmp_path / "train/thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("name", ["text", "wav.scp", "settings.json", "audio/0.ark", "video/1.mp4"])
def test_a_data_directory_of_others_is_never_overwritten(tmp_path, clips, name):
    theirs = tmp_path / "train" / name
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    for force in (False, True):
        with pytest.raises(UserError, match="preparation"):
            run(tmp_path, clips, force=force)
    assert theirs.read_text() == "theirs"


def test_the_same_video_gives_the_same_bytes(tmp_path, clips):
    for name in ("one", "two"):
        run(tmp_path / name, clips[:1])
    for file in ("video/0.ark", "audio/0.ark", "report.json", "utt2num_frames"):
        assert (tmp_path / "one/train" / file).read_bytes() == (tmp_path / "two/train" / file).read_bytes()


def test_a_short_loss_of_the_face_is_bridged_and_noted(tmp_path, clips):
    run(tmp_path, clips, lost=4)
    assert all(u.frames == 25 and len(read_crops(u.video)) == 25 for u in read_manifest(tmp_path / "train"))
    assert "- 4 x face lost in 16% of the frames" in (tmp_path / "train/report.md").read_text()


def test_clips_without_a_face_are_excluded_and_too_many_are_an_error(tmp_path, clips):
    with pytest.raises(
        UserError, match=r"4 of 4 utterances .*max_failed_share \(5%\).*report.md.*no face in 64%"
    ) as error:
        run(tmp_path, clips, lost=99)
    assert "do without them" not in str(error.value), "no utterances would be left"
    with pytest.raises(UserError, match="not a prepared data directory"):
        read_manifest(tmp_path / "train")
    report = json.loads((tmp_path / "train/report.json").read_text())
    assert report["counts"] == {"sources": 4, "prepared": 0, "excluded": 4}
    assert all("no face in 64%" in row["reason"] and row["file"].endswith(".mp4") for row in report["files"])
    run(tmp_path, clips, lost=99, max_failed_share=1.0)
    assert read_manifest(tmp_path / "train") == []


def test_delayed_audio_stays_delayed(tmp_path):
    path = make_video(tmp_path / "late.mkv", every(25, 1.0), audio_seconds=0.6, audio_start=0.4)
    run(tmp_path, [CorpusUtterance("late", "s1", path, path)])
    sound = np.abs(read_audio(read_manifest(tmp_path / "train")[0].audio, 24000))
    assert len(sound) == 24000 and sound[:8900].max() < 0.01 and sound[9900:10500].max() > 0.2


def test_large_frames_and_truncated_files(tmp_path):
    large = make_video(tmp_path / "large.mp4", every(25, 0.2), size=(1920, 1080), audio_seconds=0.2)
    whole = make_video(tmp_path / "whole.mkv", every(25, 2.4), audio_seconds=2.4).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(large.read_bytes()[:-200])
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2 + 50])
    paths = [large, tmp_path / "cut.mp4", tmp_path / "cut.mkv"]
    run(tmp_path, [CorpusUtterance(p.name, "s1", p, p) for p in paths], max_failed_share=1.0)
    assert [u.id for u in read_manifest(tmp_path / "train")] == ["large.mp4"]
    report = (tmp_path / "train/report.md").read_text()
    assert "1 of 3 prepared, 2 excluded" in report and report.count("fetch") == 2


def test_filters_need_no_new_preparation(tmp_path, capsys):
    lengths = {"short": 0.2, "fine": 1.0, "long": 3.0}
    time = np.arange(3 * 24000) / 24000
    for name, seconds in lengths.items():
        write_audio(tmp_path / f"{name}.wav", 0.2 * np.sin(1000 * time[: int(seconds * 24000)]), 24000)
    utterances = [CorpusUtterance(name, "s1", tmp_path / f"{name}.wav") for name in lengths]
    filters = Filters(min_seconds=0.5, max_seconds=2.0)
    run(tmp_path, utterances, filters=filters, max_failed_share=0.0)
    assert [u.id for u in read_manifest(tmp_path / "train")] == ["fine"]
    report = json.loads((tmp_path / "train/report.json").read_text())
    assert report["counts"] == {"sources": 3, "prepared": 1, "excluded": 0, "filtered": 2}
    assert report["filtered"] == {"longer than 2 s": 1, "shorter than 0.5 s": 1}
    assert report["hours"]["kept"] == pytest.approx(1 / 3600, abs=1e-4)
    assert "- filtered: 1 (0.00 h) longer than 2 s" in (tmp_path / "train/report.md").read_text()
    digest, sound = read_settings(tmp_path / "train")["digest"], (tmp_path / "train/audio/0.ark").read_bytes()
    run(tmp_path, utterances)
    assert [u.id for u in read_manifest(tmp_path / "train")] == ["fine", "long", "short"]
    assert (tmp_path / "train/audio/0.ark").read_bytes() == sound
    assert read_settings(tmp_path / "train")["digest"] != digest


def test_filters_that_leave_nothing_are_an_error(tmp_path):
    write_audio(tmp_path / "a.wav", 0.2 * np.sin(np.arange(24000)), 24000)
    utterances = [CorpusUtterance("a", "s1", tmp_path / "a.wav")]
    with pytest.raises(UserError, match=r"filters leave no utterances of .*train: 1 shorter than 5 s; relax them"):
        run(tmp_path, utterances, filters=Filters(min_seconds=5.0))
    run(tmp_path, utterances)
    assert len(read_manifest(tmp_path / "train")) == 1


def test_filters_are_for_audio_only_utterances(tmp_path, clips):
    run(tmp_path, clips, filters=Filters(min_seconds=5.0))
    assert len(read_manifest(tmp_path / "train")) == 4


EDITS = {
    "frames": [-1, 2.5, "10", True, None, 2**62, [10]],
    "audio": ["../../secret.wav", "/etc/passwd", "audio/../../x.ark:5", "a\0b", 7, ["a"]],
    "video": ["../x.mp4", {}, 1.5],
    "audio_end": ["0", -5],
    "notes": ["text", [1], None],
    "measures": [[], {"snr_db": "loud"}, {"snr_db": None}],
    "reason": [5, ["x"]],
    "fingerprint": [None, 3],
    "state": [None, 3],
    "audio_needed": ["yes", 1],
    "command": ["rm"],
}


@pytest.mark.parametrize("prepared", [True, False], ids=["complete", "interrupted"])
def test_edited_records_are_prepared_again(tmp_path, clips, prepared):
    run(tmp_path, clips)
    before = read_manifest(tmp_path / "train")
    (record,) = (tmp_path / "train/shards").glob("*.jsonl")
    lines = record.read_text().splitlines()
    for key, values in EDITS.items():
        for value in values:
            edited = json.dumps({**json.loads(lines[0]), key: value})
            record.write_text("\n".join([edited, *lines[1:]]) + "\n")
            if not prepared:
                (tmp_path / "train/utt2num_frames").unlink()
            assert run(tmp_path, clips) == 1, (key, value)
            after = read_manifest(tmp_path / "train")
            assert [(u.id, u.frames) for u in after] == [(u.id, u.frames) for u in before]
            for u in after:
                assert len(read_audio(u.audio, 24000)) == u.frames * 960
