"""Stage 1 run again: tables that were edited by hand are kept, and so is nothing that no longer suffices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.media_files import every, make_video
from v2skit.config.features import Clock, Crop
from v2skit.config.prepare import Filters, Prepare
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.data import data_dir
from v2skit.data.data_dir import read_manifest
from v2skit.errors import UserError
from v2skit.media.audio import write_audio
from v2skit.preparation import prepare as module
from v2skit.preparation.prepare import prepare
from v2skit.registry.component import Component


def run(folder: Path, utterances: list[CorpusUtterance], force: bool = False, silent_ok: bool = False, **settings):
    class Corpus:
        def splits(self) -> dict[str, list[CorpusUtterance]]:
            return {"train": utterances}

    tracker = Component("fixed", {"x": 32, "y": 24, "side": 40})
    allowed = ("train",) if silent_ok else ()
    prepare(Corpus(), tracker, Clock(), Crop(), folder, Prepare(jobs=1, **settings), allowed, force)


@pytest.fixture
def recordings(tmp_path) -> list[CorpusUtterance]:
    found = []
    for number in range(3):
        path = tmp_path / f"raw/u{number}.wav"
        path.parent.mkdir(exist_ok=True)
        write_audio(path, 0.2 * np.sin(np.arange((number + 1) * 24000) / 20), 24000)
        found.append(CorpusUtterance(path.stem, "s1", path, text="SO IT IS"))
    return found


def edit(folder: Path) -> None:
    """Correct a text, and delete an utterance from every table."""
    for name in data_dir.TABLES:
        path = folder / name
        if path.exists():
            kept = [line for line in path.read_text().splitlines() if not line.startswith("u0 ")]
            path.write_text("".join(f"{line}\n" for line in kept).replace("u1 SO IT IS", "u1 SO IT WAS"))


def texts(folder: Path) -> dict[str, str | None]:
    return {u.id: u.text for u in read_manifest(folder)}


def test_edited_tables_are_kept_until_force(tmp_path, recordings, capsys):
    run(tmp_path, recordings)
    run(tmp_path, recordings)
    assert "by hand" not in capsys.readouterr().out
    edit(tmp_path / "train")
    for _ in range(2):
        run(tmp_path, recordings)
        assert "train: its tables were edited by hand and are kept; --force prepares" in capsys.readouterr().out
        assert texts(tmp_path / "train") == {"u1": "SO IT WAS", "u2": "SO IT IS"}
    run(tmp_path, recordings, force=True)
    assert texts(tmp_path / "train") == dict.fromkeys(("u0", "u1", "u2"), "SO IT IS")


def test_edited_tables_of_other_utterances_need_a_decision(tmp_path, recordings):
    run(tmp_path, recordings)
    edit(tmp_path / "train")
    with pytest.raises(UserError, match=r"were edited by hand, and what they are written from has changed \(digest: o"):
        run(tmp_path, recordings, filters=Filters(max_seconds=2.5))
    assert texts(tmp_path / "train") == {"u1": "SO IT WAS", "u2": "SO IT IS"}
    (tmp_path / "train/utt2num_frames").unlink()  # as the message says
    run(tmp_path, recordings, filters=Filters(max_seconds=2.5))
    assert texts(tmp_path / "train") == dict.fromkeys(("u0", "u1"), "SO IT IS")


def test_too_many_exclusions_leave_edited_tables(tmp_path, recordings):
    run(tmp_path, recordings)
    edit(tmp_path / "train")
    kept = recordings[2].audio.read_bytes()
    recordings[2].audio.write_bytes(b"damaged")
    with pytest.raises(UserError, match="max_failed_share"):
        run(tmp_path, recordings)
    recordings[2].audio.write_bytes(kept)
    run(tmp_path, recordings)
    assert texts(tmp_path / "train") == {"u1": "SO IT WAS", "u2": "SO IT IS"}


def test_an_interruption_is_no_edit(tmp_path, recordings, monkeypatch, capsys):
    def interrupted(folder, *_):
        (folder / "text").write_text("u1 SO\n")
        raise KeyboardInterrupt

    run(tmp_path, recordings)
    monkeypatch.setattr(module, "write_manifest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, recordings)
    monkeypatch.undo()
    run(tmp_path, recordings)
    assert texts(tmp_path / "train") == dict.fromkeys(("u0", "u1", "u2"), "SO IT IS")
    assert "by hand" not in capsys.readouterr().out


def test_clips_kept_without_audio_are_excluded_once_audio_is_needed(tmp_path):
    clips = []
    for number in range(4):
        path = make_video(tmp_path / f"c{number}.mp4", every(25, 0.6), audio_seconds=0.6 if number else None)
        clips.append(CorpusUtterance(path.stem, "s1", path if number else None, path))
    for silent_ok, count in ((True, 4), (False, 3), (True, 4)):
        run(tmp_path / "data", clips, silent_ok=silent_ok, max_failed_share=0.5)
        assert len(read_manifest(tmp_path / "data/train")) == count
    assert json.loads((tmp_path / "data/train/report.json").read_text())["counts"]["excluded"] == 0
