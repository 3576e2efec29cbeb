"""Lists of speech for VERSA and VTS-Eval."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import make_data
from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.evaluation.export import write_lists
from v2skit.media.audio import write_audio


@pytest.fixture
def speech(tmp_path):
    """An experiment with two rows, of which one lacks a file."""
    utterances = make_data(tmp_path / "test", 4, video=False)
    for row, present in (("pretrained", utterances), ("scratch", utterances[:3])):
        for utterance in present:
            write_audio(tmp_path / "exp/synth" / row / f"{utterance.id}.wav", np.zeros(960 * utterance.frames), 24000)
    return sorted(utterances, key=lambda u: u.id)


def table(path):
    return dict(line.split(maxsplit=1) for line in path.read_text().splitlines())


def test_lists_as_versa_reads_them(speech, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["export-scores", str(tmp_path / "exp"), str(tmp_path / "test"), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "scratch.scp: 3 files, 1 are missing" in said and "pretrained.scp: 4 files\n" in said
    assert f"--pred {out}/pretrained.scp --gt {out}/ground_truth.scp --text {out}/text --io soundfile" in said
    truth, scratch = table(out / "ground_truth.scp"), table(out / "scratch.scp")
    assert list(truth) == [u.id for u in speech] == list(table(out / "pretrained.scp")) and len(scratch) == 3
    assert table(out / "text") == dict.fromkeys(truth, "BIN BLUE AT F TWO NOW")
    for utterance in speech:
        original, copy = (soundfile.read(path) for path in (utterance.audio, truth[utterance.id]))
        assert original[1] == copy[1] == 24000 and np.abs(original[0] - copy[0]).max() < 1e-4
    assert all(Path(path).is_absolute() and Path(path).is_file() for path in (*truth.values(), *scratch.values()))


def test_lines_as_vts_eval_reads_them(speech, tmp_path):
    assert write_lists(tmp_path / "exp/synth", tmp_path / "test", tmp_path / "out", "grid")["pretrained"] == 4
    lines = [json.loads(line) for line in (tmp_path / "out/gt.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [u.id for u in speech]
    for line, utterance in zip(lines, speech, strict=True):
        assert line["dataset"] == "grid" and line["trans"] == "bin blue at f two now" and line["sr"] == 24000
        assert line["dur"] == utterance.frames / 25
        assert line["ref_wav"] != line["wav"] and Path(line["ref_wav"]).stem[:2] == utterance.speaker
        assert {path.stem for path in (tmp_path / "exp/synth/pretrained").glob("*.wav")} >= {line["id"]}


def test_speech_of_other_utterances_is_refused(speech, tmp_path):
    make_data(tmp_path / "other", 2, video=False, seed=7)
    for folder, data in ((tmp_path / "exp", "test"), (tmp_path / "exp/synth", "other")):
        with pytest.raises(
            UserError, match="has no speech of the utterances of .*after stage 5, and the data directory"
        ):
            write_lists(folder, tmp_path / data, tmp_path / "out", "test")
    assert not (tmp_path / "out").exists()
