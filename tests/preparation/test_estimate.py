"""The estimate of a preparation against its actual costs."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from tests.media_files import every, make_video
from v2skit.cli.main import main
from v2skit.config.features import Clock, Crop
from v2skit.config.prepare import Filters, Prepare
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.errors import UserError
from v2skit.preparation import estimate as module
from v2skit.preparation import trial
from v2skit.preparation.amount import Amount, ratio
from v2skit.preparation.estimate import Estimate, estimate
from v2skit.preparation.estimate_text import describe, duration
from v2skit.preparation.prepare import prepare
from v2skit.preparation.trial import header_seconds
from v2skit.registry.component import Component

SECONDS = [0.4, 0.8, 1.2, 1.6, 2.0]
TRACKER = Component("fixed", {"x": 32, "y": 24, "side": 16})


class Corpus:
    """Videos and recordings of known lengths."""

    def __init__(self, **splits: list[CorpusUtterance]) -> None:
        self._splits = splits

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        return self._splits


def recording(path: Path, seconds: float, level: float = 0.1) -> CorpusUtterance:
    """Noise, since its FLAC has a size in proportion to its length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).normal(0, level, round(16000 * seconds))
    soundfile.write(path, noise, 16000)
    return CorpusUtterance(path.stem, "s1", path)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = tmp_path_factory.mktemp("raw")
    paths = [
        make_video(folder / f"clip{number}.mp4", every(25, seconds), audio_seconds=seconds)
        for number, seconds in enumerate(SECONDS)
    ]
    videos = [CorpusUtterance(path.stem, "s1", path, path) for path in paths]
    sounds = [recording(folder / f"talk{number}.wav", 0.5 + number / 10) for number in range(12)]
    return Corpus(**{"s1/train": videos[1:], "s1/test": videos[:1], "audio": sounds})


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def run_estimate(corpus: Corpus, output: Path, sample: int = 20, seed: int = 0, **settings) -> Estimate:
    kept = Prepare(**{"jobs": 1, **settings})
    return estimate([corpus], TRACKER, Clock(), Crop(), output, kept, {"s1/test"}, sample, seed)


def make(corpus: Corpus, output: Path, **settings) -> None:
    prepare(corpus, TRACKER, Clock(), Crop(), output, Prepare(jobs=1, **settings), {"s1/test"})


def stored_bytes(output: Path) -> int:
    return sum(path.stat().st_size for path in output.rglob("*.ark"))


def test_small_corpora_are_counted_exactly(tmp_path, corpus):
    found = run_estimate(corpus, tmp_path / "data")
    hours = {directory.name: directory.left_hours for directory in found.directories}
    assert hours["s1/train"].value * 3600 == pytest.approx(sum(SECONDS[1:]), abs=0.02)
    assert hours["s1/test"].value * 3600 == pytest.approx(0.4, abs=0.02)
    assert hours["audio"].value * 3600 == pytest.approx(0.5 * 12 + 6.6)
    assert not any(amount.half for amount in hours.values())
    assert [(group.kind, len(group.trial.hours)) for group in found.groups] == [("audio-visual", 5), ("audio-only", 12)]


@pytest.mark.parametrize("sample", [3, 20])
def test_disk_space_is_that_of_the_preparation(tmp_path, corpus, sample):
    output = tmp_path / "data"
    found = run_estimate(corpus, output, sample)
    make(corpus, output)
    assert found.needs("audio").value + found.needs("crops").value == pytest.approx(stored_bytes(output), rel=0.3)
    assert found.needs("wall").value > 0 and found.needs("processor").value > 0
    train = {directory.name: group for group in found.groups for directory in group.directories}["s1/train"]
    assert train.per_hour["crops"].value > 0 and found.groups[1].per_hour["crops"].value == 0


def test_no_files_remain(tmp_path, corpus, temporary):
    run_estimate(corpus, tmp_path / "data", 2)
    assert list(temporary.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]


def test_no_files_remain_after_an_error(tmp_path, corpus, temporary, monkeypatch):
    def fails(utterance: CorpusUtterance) -> float:
        assert list(temporary.iterdir())
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_count", lambda name, folder, utterances, *_: directory_of(name, utterances))
    monkeypatch.setattr(trial, "header_seconds", fails)
    with pytest.raises(KeyboardInterrupt):
        run_estimate(corpus, tmp_path / "data", 2)
    assert list(temporary.iterdir()) == []


def directory_of(name: str, utterances: list[CorpusUtterance]) -> module.Directory:
    return module.Directory(name, len(utterances), 0, 0.0, utterances, Amount(1.0), len(utterances), [])


def test_sample_is_a_function_of_the_seed(tmp_path, corpus, monkeypatch):
    drawn: list[str] = []

    def spied(tasks, *rest):
        drawn.extend(task.utterance.id for task in tasks)
        return prepare_utterances(tasks, *rest)

    prepare_utterances = trial.prepare_utterances
    monkeypatch.setattr(trial, "prepare_utterances", spied)
    samples = []
    for seed in (0, 0, 1, 2, 3):
        drawn.clear()
        found = run_estimate(corpus, tmp_path / "data", 3, seed)
        samples.append((list(drawn), found.needs("disk")))
    assert samples[0] == samples[1]
    assert len({tuple(names) for names, _ in samples}) > 2


def test_unusable_files_are_counted(tmp_path, corpus):
    videos = corpus.splits()["s1/train"]
    junk, silent = tmp_path / "junk.mp4", recording(tmp_path / "silent.wav", 1.0, 0.0)
    junk.write_bytes(b"junk")
    lossy = Corpus(**{"s1/train": [*videos, CorpusUtterance("junk", "s1", junk, junk)], "audio": [silent]})
    found = run_estimate(lossy, tmp_path / "data")
    train = found.directories[0]
    assert train.left_hours.value * 3600 == pytest.approx(sum(SECONDS[1:]), abs=0.02)
    assert len(train.unreadable) == 1 and "junk.mp4 is no media file" in train.unreadable[0]
    assert [len(group.trial.excluded) for group in found.groups] == [1, 1]
    text = describe(found)
    assert "1 of 5 can't be used:" in text and "junk.mp4 is no media file" in text and "is silent" in text
    assert text.count("more than prepare.max_failed_share (5%)") == 2
    output = tmp_path / "data"
    make(lossy, output, max_failed_share=1.0)
    assert found.needs("audio").value + found.needs("crops").value == pytest.approx(stored_bytes(output), rel=0.3)
    assert [(d.prepared, d.left) for d in run_estimate(lossy, output).directories] == [(4, []), (0, [])], (
        "tried already"
    )
    with pytest.raises(UserError, match="1 of 5 utterances"):
        make(lossy, output)
    again = run_estimate(lossy, output).directories[0]
    assert [utterance.id for utterance in again.left] == ["junk"], "stage 1 did not complete the directory"


def test_videos_for_synthesis_need_no_audio(tmp_path):
    path = make_video(tmp_path / "mute.mp4", every(25, 0.5))
    mute = [CorpusUtterance("mute", "s1", None, path)]
    assert len(run_estimate(Corpus(**{"s1/train": mute}), tmp_path / "data").groups[0].trial.excluded) == 1
    assert run_estimate(Corpus(**{"s1/test": mute}), tmp_path / "data").groups[0].trial.excluded == []


def test_a_corpus_without_readable_files(tmp_path):
    junk = tmp_path / "junk.wav"
    junk.write_bytes(b"junk")
    text = describe(run_estimate(Corpus(audio=[CorpusUtterance("junk", "s1", junk)], empty=[]), tmp_path / "data"))
    assert "disk and time are unknown" in text and "1 of 1 headers can't be read" in text
    assert "disk and time of audio are unknown (see above)" in text and "fits" not in text and " MB" not in text


def test_a_corpus_that_is_in_part_readable(tmp_path, corpus):
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(b"junk")
    mixed = Corpus(**{"s1/train": [CorpusUtterance("junk", "s1", junk, junk)], "audio": corpus.splits()["audio"]})
    text = describe(run_estimate(mixed, tmp_path / "data"))
    assert "disk and time of s1/train are unknown" in text and "the others' disk: " in text and "fits" not in text


def test_a_folder_that_stage_1_will_refuse(tmp_path, corpus):
    (tmp_path / "data/audio").mkdir(parents=True)
    (tmp_path / "data/audio/thesis.tex").touch()
    text = describe(run_estimate(Corpus(audio=corpus.splits()["audio"][:3]), tmp_path / "data"))
    assert (
        text.splitlines()[-2] == "stage 1 will refuse:" and "preparation did not write" in text and "fits" not in text
    )


def test_only_unprepared_utterances_are_estimated(tmp_path, corpus):
    output = tmp_path / "data"
    splits = corpus.splits()
    make(Corpus(**{"s1/train": splits["s1/train"][:2]}), output)
    records = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    found = run_estimate(corpus, output)
    train = found.directories[0]
    assert (train.utterances, train.prepared, len(train.left)) == (4, 2, 2)
    assert train.prepared_hours * 3600 == pytest.approx(sum(SECONDS[1:3]), abs=0.01)
    assert train.left_hours.value * 3600 == pytest.approx(sum(SECONDS[3:]), abs=0.02)
    assert records == {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    make(corpus, output)
    done = run_estimate(corpus, output)
    assert not done.groups and "everything is prepared already" in describe(done)


def test_filters_are_counted(tmp_path, corpus):
    audio = Corpus(audio=corpus.splits()["audio"])
    found = run_estimate(audio, tmp_path / "data", filters=Filters(min_seconds=0.75))
    assert found.groups[0].trial.filtered == {"shorter than 0.75 s": 3}
    assert "3 of 12 will be filtered: shorter than 0.75 s" in describe(found)


def test_disk_that_is_too_small(tmp_path, corpus):
    found = run_estimate(corpus, tmp_path / "data")
    need = found.needs("disk").value
    assert ": it fits" in describe(found)
    assert ": it does NOT fit" in describe(dataclasses.replace(found, free_bytes=int(need * 0.9)))
    wide = dataclasses.replace(run_estimate(corpus, tmp_path / "data", 2), free_bytes=0)
    wide = dataclasses.replace(wide, free_bytes=int(wide.needs("disk").value) + 1)
    assert ": it may not fit" in describe(wide)


def test_time_with_several_jobs(tmp_path, corpus):
    found = run_estimate(corpus, tmp_path / "data", jobs=4, cluster="slurm")
    assert found.at_once == 4 and "4 jobs at once on the cluster" in describe(found)
    few = run_estimate(Corpus(audio=corpus.splits()["audio"][:3]), tmp_path / "data", jobs=1000, cluster="slurm")
    assert few.at_once == 3


def test_interval_contains_the_true_value():
    random = np.random.default_rng(0)
    lengths = random.gamma(2.0, 3.0, 2000)
    costs = lengths * random.uniform(0.8, 1.2, 2000) + 0.5
    right = {"hours": 0, "costs": 0}
    for _ in range(400):
        chosen = random.choice(2000, 100, replace=False)
        mean = ratio(lengths[chosen], np.ones(100), 2000)
        cost = ratio(costs[chosen], lengths[chosen], 2000)
        right["hours"] += abs(mean.value - lengths.mean()) <= mean.half
        right["costs"] += abs(cost.value - costs.sum() / lengths.sum()) <= cost.half
    assert all(0.91 <= count / 400 <= 0.98 for count in right.values()), right


def test_sample_of_the_headers(tmp_path, corpus, monkeypatch):
    monkeypatch.setattr(module, "HEADERS", 6)
    audio = Corpus(audio=corpus.splits()["audio"])
    found = run_estimate(audio, tmp_path / "data", 3).directories[0]
    assert found.headers == 6 and found.left_hours.half > 0
    assert abs(found.left_hours.value * 3600 - 12.6) <= 2 * found.left_hours.half * 3600


def test_lengths_from_headers(tmp_path):
    cut = dataclasses.replace(recording(tmp_path / "long.flac", 3.0), start=1.0)
    assert header_seconds(cut) == pytest.approx(2.0)
    assert header_seconds(dataclasses.replace(cut, end=2.5)) == pytest.approx(1.5)
    later = make_video(tmp_path / "longer_sound.mkv", every(25, 1.0), audio_seconds=1.0)
    assert header_seconds(CorpusUtterance("a", "a", later, later)) == pytest.approx(1.0, abs=0.1)
    late = make_video(tmp_path / "late.mkv", 1.5 + every(25, 1.0))
    assert header_seconds(CorpusUtterance("a", "a", None, late)) == pytest.approx(1.0, abs=0.1)
    with pytest.raises(UserError, match="no video stream"):
        header_seconds(dataclasses.replace(cut, video=cut.audio))


def test_too_small_a_sample(tmp_path, corpus):
    with pytest.raises(UserError, match="sample 1 must be at least 2"):
        run_estimate(corpus, tmp_path / "data", 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.34, "0.3 s"),
        (25.4, "25 s"),
        (125.2, "2 min 5 s"),
        (720, "12 min"),
        (3599, "1 h 0 min"),
        (12000, "3 h 20 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_command(tmp_path, tiny, capsys):
    folder, config = tmp_path / "recipe", tmp_path / "own.yaml"
    for number in range(10):
        make_video(folder / f"corpus/s1/clip{number}.mp4", every(25, 0.4), audio_seconds=0.4)
    corpus = {"type": "custom", "corpus_dir": "corpus"}
    config.write_text(yaml.safe_dump({"base": str(tiny), "corpus": corpus, "tracker": {"type": "none"}}))
    options = ["data", "estimate", "--config", str(config), "--work_dir", str(folder), "--set", "prepare.jobs=1"]
    assert main([*options, "--sample", "4"]) == 0
    text = capsys.readouterr().out
    assert "data directory" in text and "\nsum" in text and ": it fits" in text
    assert [path.name for path in folder.iterdir()] == ["corpus"]
    (folder / "corpus").rename(tmp_path / "elsewhere: 'here'")
    assert main([*options, "--sample", "4", "--corpus_dir", str(tmp_path / "elsewhere: 'here'")]) == 0
    assert ": it fits" in capsys.readouterr().out
    assert main(options) == 1
    assert "v2skit: error:" in capsys.readouterr().err


def test_a_config_is_sought_in_the_recipe_s_folder_too(tmp_path, tiny, capsys):
    (tmp_path / "conf").mkdir()
    shutil.copy(tiny, tmp_path / "conf/mel.yaml")
    assert main(["data", "estimate", "--work_dir", str(tmp_path), "--set", "seed=-1"]) == 1
    error = capsys.readouterr().err
    assert "seed" in error and "can't be read" not in error
    assert main(["data", "estimate", "--work_dir", str(tmp_path), "--config", "conf/none.yaml"]) == 1
    assert "config conf/none.yaml can't be read" in capsys.readouterr().err
