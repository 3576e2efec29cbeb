"""Offsets of speakers in prepared data: measured, reported, corrected, and the same after an interruption."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.preparation.test_prepare import CROPS, Folder
from v2skit.config.features import Clock, Crop
from v2skit.config.prepare import Prepare
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.grid_grammar import sample_codes
from v2skit.corpora.mini.corpus import make_utterance
from v2skit.corpora.mini.speech import VOICES
from v2skit.data.data_dir import read_manifest, read_settings
from v2skit.media.audio import read_audio
from v2skit.preparation import offsets
from v2skit.preparation.av_offset import Offset
from v2skit.preparation.offsets import SMALLEST, Offsets
from v2skit.preparation.prepare import OFFSETS, prepare
from v2skit.signal.delay import delayed

CLIPS, LATE = 8, 4.0
"""Clips of a speaker; delay of one speaker's audio, frames."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Folder:
    """Three speakers, the last of whom is late, each with a clip in the test split, and one with a single clip."""
    folder = tmp_path_factory.mktemp("mini")
    (folder / "av").mkdir()
    clips = []
    for number, code in enumerate(sample_codes(3 * CLIPS + 1, np.random.default_rng(0))):
        voice = number // CLIPS
        row = make_utterance(folder, 0, 96, "train", VOICES[voice], code)
        audio, video = (folder / "av" / f"{row['id']}.{kind}" for kind in ("flac", "mp4"))
        if voice == 2:
            waveform, rate = soundfile.read(audio)
            soundfile.write(audio, delayed(waveform, round(LATE * rate / 25)), rate)
        clips.append(CorpusUtterance(row["id"], f"s{voice}", audio, video, row["text"]))
    test = clips[::CLIPS]
    return Folder({"train": [c for c in clips if c not in test], "test": test[:3]})


def run(folder: Path, corpus: Folder, offset: str = "correct", jobs: int = 1, force: bool = False) -> Path:
    prepare(corpus, CROPS, Clock(), Crop(), folder, Prepare(jobs=jobs, offset=offset), force=force)
    return folder


def audio_of(folder: Path) -> dict[str, np.ndarray]:
    utterances = [u for split in ("train", "test") for u in read_manifest(folder / split)]
    return {u.id: read_audio(u.audio, 24000) for u in utterances}


def digests(folder: Path) -> list[str]:
    return [read_settings(folder / split)["digest"] for split in ("train", "test")]


@pytest.fixture(scope="module")
def measured(tmp_path_factory, corpus) -> Path:
    return run(tmp_path_factory.mktemp("measured"), corpus, "measure")


@pytest.fixture(scope="module")
def corrected(tmp_path_factory, corpus) -> Path:
    return run(tmp_path_factory.mktemp("corrected"), corpus)


def test_the_late_speaker_is_shifted_in_all_splits(corpus, measured, corrected):
    before, after = audio_of(measured), audio_of(corrected)
    shift = json.loads((corrected / "train/report.json").read_text())["offsets"]["speakers"]["s2"]["corrected"]
    assert shift == pytest.approx(LATE, abs=0.8)
    for utterances in corpus.parts.values():
        for u in utterances:
            samples = round(shift * 960) if u.speaker == "s2" else 0
            np.testing.assert_allclose(after[u.id], delayed(before[u.id], -samples), atol=1e-4)
    assert digests(measured)[0] != digests(corrected)[0]


def test_the_reports_have_the_offset_of_each_speaker(measured, corrected):
    for folder, shifted in ((measured, 0), (corrected, 1)):
        for split in ("train", "test"):
            found = json.loads((folder / split / "report.json").read_text())["offsets"]["speakers"]
            assert [name for name, row in found.items() if row["corrected"]] == ["s2"][:shifted]
            text = (folder / split / "report.md").read_text()
            known = [name for name, row in found.items() if row["frames"] is not None]
            assert "s2" in known and all(f"| {name} | {found[name]['clips']} | " in text for name in known)
            assert f"not shifted: {len(found) - len(known)}." in text
            assert (
                sum(line.startswith("| s") and not line.endswith("| - |") for line in text.splitlines()) == 1 + shifted
            )


def test_a_correction_can_be_undone_and_done_again_without_measuring(corrected, corpus, measured, monkeypatch):
    monkeypatch.setattr(offsets, "measure_offset", None)
    wanted, archives = digests(corrected), sorted((corrected / "train/audio").iterdir())
    run(corrected, corpus, "measure")
    assert digests(corrected) == digests(measured) and len(list((corrected / "train/audio").iterdir())) == 1
    run(corrected, corpus)
    assert digests(corrected) == wanted and sorted((corrected / "train/audio").iterdir()) == archives
    run(corrected, corpus, "none")
    assert digests(corrected) == digests(measured)
    assert "offsets" not in json.loads((corrected / "train/report.json").read_text())


def test_the_correction_depends_neither_on_jobs_nor_on_interruptions(tmp_path, corpus, corrected, monkeypatch):
    calls = []

    def interrupted(clips):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(offsets.Offset)
        return measure(clips)

    measure = offsets.measure_offset
    monkeypatch.setattr(offsets, "measure_offset", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, corpus, jobs=2)
    assert not (tmp_path / "train/utt2num_frames").exists()
    with (tmp_path / OFFSETS).open("a") as file:
        file.write('{"key": "0123')
    monkeypatch.setattr(offsets, "measure_offset", lambda clips: calls.append(0) or measure(clips))
    run(tmp_path, corpus)
    assert len(calls) == 3
    again = run(tmp_path, corpus)
    expected = audio_of(run(corrected, corpus))
    assert digests(again) == digests(corrected)
    for key, waveform in audio_of(again).items():
        np.testing.assert_array_equal(waveform, expected[key])


def test_force_measures_again(tmp_path, corpus, monkeypatch):
    calls = []
    monkeypatch.setattr(offsets, "measure_offset", lambda clips: calls.append(len(list(clips))) or Offset(CLIPS))
    run(tmp_path, corpus)
    run(tmp_path, corpus)
    run(tmp_path, corpus, force=True)
    assert calls == [CLIPS] * 6


def test_only_clear_deviations_from_the_median_are_corrected():
    delays = {
        "typical": Offset(50, -0.2, -0.3, -0.1),
        "near": Offset(50, -0.05, -0.1, 0.0),
        "late": Offset(50, 0.25, 0.15, 0.35),
        "uncertain": Offset(8, -0.9, -1.5, -0.4),
        "few": Offset(3),
        "early": Offset(50, -3.2, -3.3, -3.0),
    }
    found = Offsets(delays)
    assert found.reference == -0.2
    assert found.corrections == {"late": 0.45, "early": -3.0}
    assert Offsets(delays, corrects=False).corrections == {}
    assert Offsets({"few": Offset(3)}).reference is None and Offsets({"few": Offset(3)}).corrections == {}
    for frames, corrected in ((SMALLEST, False), (SMALLEST + 0.04, False), (SMALLEST + 0.06, True)):
        near = {**delays, "late": Offset(50, frames - 0.2, frames - 0.25, frames - 0.15)}
        assert ("late" in Offsets(near).corrections) == corrected, frames


def test_a_common_delay_is_corrected_unless_it_is_that_of_synchronous_speakers():
    lead = {name: Offset(50, -0.65, -0.7, -0.6) for name in ("a", "b", "c")}
    assert Offsets(lead).corrections == {}
    late = {name: Offset(50, 5.0, 4.9, 5.1) for name in ("a", "b", "c")}
    assert Offsets(late).corrections == {"a": 5.2, "b": 5.2, "c": 5.2}


def test_two_speakers_have_no_typical_delay():
    for frames in (0.6, 4.0):
        two = {"a": Offset(50, frames, frames - 0.1, frames + 0.1), "b": Offset(50, -0.1, -0.2, 0.0)}
        assert Offsets(two).reference == -0.2 and Offsets(two).corrections == {"a": round(frames + 0.2, 2)}
