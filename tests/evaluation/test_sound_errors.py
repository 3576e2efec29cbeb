import json
from dataclasses import asdict, replace

import pytest

from tests.conftest import make_data
from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.evaluation.breakdown_text import by_time
from v2skit.evaluation.file_scores import FileScores
from v2skit.evaluation.forced_alignment import Sound
from v2skit.evaluation.sound_errors import sound_errors
from v2skit.media.audio import read_audio, write_audio

RATE = 24000


def align(waveform, rate, text):
    """Half a second at most: silence, then B, then AE."""
    return [Sound("SIL", 0.0, 0.1), Sound("B", 0.1, 0.2), Sound("AE", 0.2, 0.3)]


@pytest.fixture
def speech(tmp_path):
    """Utterances, and folders with the same speech, and with the B ten times as loud."""
    utterances = make_data(tmp_path / "data", 2, video=False)
    for u in utterances:
        waveform = read_audio(u.audio, RATE) / 20
        write_audio(u.audio, waveform, RATE)
        write_audio(tmp_path / f"same/{u.id}.wav", waveform, RATE)
        waveform[round(0.14 * RATE) : round(0.16 * RATE)] *= 10
        write_audio(tmp_path / f"loud/{u.id}.wav", waveform, RATE)
    return utterances, {name: tmp_path / name for name in ("same", "loud")}


def test_the_error_is_in_the_sound_where_the_signals_differ(speech):
    utterances, folders = speech
    found = sound_errors(utterances, folders, RATE, align)
    assert found["n"] == {"silence": 2, "bilabial": 2, "mid front vowel": 2, "B": 2, "AE": 2, "all": 4}
    same, loud = (found["rows"][name] for name in folders)
    rounding = 0.2  # dB; of 16-bit samples
    assert max(same["visemes"].values()) < rounding and max(same["phonemes"].values()) < rounding
    assert loud["phonemes"]["B"] == loud["visemes"]["bilabial"] > 3
    assert loud["phonemes"]["AE"] < rounding and loud["visemes"]["silence"] < rounding
    assert loud["visemes"]["all"] == pytest.approx(loud["phonemes"]["B"] / 2, abs=rounding)
    text = "\n".join(by_time(found, str))
    assert (
        f"| bilabial | P B M | 2 | {same['phonemes']['B']:.2f} | {loud['phonemes']['B']:.2f} |" in text
        and "* loud, largest: B" in text
    )


def test_clips_that_can_not_be_compared_are_counted(speech):
    utterances, folders = speech
    (folders["same"] / f"{utterances[0].id}.wav").unlink()
    found = sound_errors([*utterances, replace(utterances[1], id="s1-x", text=None)], folders, RATE, align)
    assert set(found["failures"]) == {utterances[0].id, "s1-x"} and found["n"]["B"] == 1
    assert "left out: 1 clips, no audio or no text" in "\n".join(by_time(found, str))
    write_audio(folders["same"] / f"{utterances[1].id}.wav", read_audio(utterances[1].audio, RATE)[:-480], RATE)
    with pytest.raises(UserError, match="no clip could be aligned"):
        sound_errors(utterances, folders, RATE, align)


def test_the_command_needs_the_data(speech, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("v2skit.evaluation.forced_alignment.ForcedAligner", lambda: align)
    utterances, folders = speech
    lines = [json.dumps(asdict(FileScores(u.id, {"estoi": 0.5}))) + "\n" for u in utterances]
    (folders["loud"] / "scores.jsonl").write_text("".join(lines))
    assert main(["breakdown", str(folders["loud"]), "--by_time"]) == 1
    assert "give their data directory with --data" in capsys.readouterr().err
    assert main(["breakdown", str(folders["loud"]), "--by_time", "--data", str(tmp_path / "data")]) == 0
    assert "## By sound, over time" in capsys.readouterr().out
