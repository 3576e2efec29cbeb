"""Files that can't be read and folders that can't be written: one sentence with the remedy, and nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cases.rights import only_permitted
from tests.cases.test_hostile_outputs import content
from tests.conftest import stages
from tests.media_files import make_video
from v2skit.cli.main import main
from v2skit.models import checkpoint

REMEDY = re.compile(r"permission|another folder|-o gives|name a file in another folder|move")


@contextmanager
def without(rights: str, path: Path) -> Iterator[None]:
    """A file or folder without rights, "r" or "w"."""
    before = path.stat().st_mode
    path.chmod(0o000 if rights == "r" else 0o555 if path.is_dir() else 0o444)
    try:
        with only_permitted():
            yield
    finally:
        path.chmod(before)


def sentence(capsys) -> str:
    """The error that was printed: one line, or one with a line for each file."""
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    (line,) = [line for line in printed.splitlines() if "error:" in line or "can't" in line or "ermission" in line][-1:]
    return line


@pytest.fixture
def videos(tmp_path) -> Path:
    for name in "ab":
        make_video(tmp_path / f"videos/{name}.mp4", [n / 25 for n in range(6)], (96, 96))
    return tmp_path / "videos"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


SYNTH = [  # what has no rights, and which
    ("r", "videos"),
    ("r", "videos/a.mp4"),
    ("w", "videos"),
    ("w", "videos/speech"),
    ("r", "videos/speech"),
    ("r", "model"),
    ("r", "model/checkpoint-00000001"),
    ("r", "model/checkpoint-00000001/meta.json"),
    ("r", "model/checkpoint-00000001/model.safetensors"),
]


@pytest.mark.parametrize(("rights", "name"), SYNTH)
def test_synth(run, videos, tmp_path, capsys, rights, name):
    if "speech" in name:
        (videos / "speech").mkdir()
    path = Path(str(run) + name.removeprefix("model")) if name.startswith("model") else tmp_path / name
    before = content(tmp_path)
    with without(rights, path):
        assert main(["synth", str(videos), "--model", str(run), "--device", "cpu"]) == 1
    error = sentence(capsys)
    assert REMEDY.search(error), error
    if name == "videos/a.mp4":
        assert (videos / "speech/b.wav").exists()
    else:
        assert content(tmp_path) == before


@pytest.mark.parametrize("rights", "rw")
def test_pack(run, tmp_path, capsys, rights):
    out = tmp_path / "out"
    out.mkdir()
    with without(rights, run if rights == "r" else out):
        assert main(["pack", str(run), "-o", str(out / "model.v2s")]) == 1
    error = sentence(capsys)
    assert REMEDY.search(error) and content(out) == {}, error


PREPARE = [
    ("w", "."),
    ("w", "data"),
    ("w", "data/train"),
    ("r", "data"),
    ("r", "data/train"),
    ("r", "corpus"),
    ("r", "corpus/videos"),
    ("r", "corpus/videos/a.mp4"),
]


@pytest.mark.parametrize(("rights", "name"), PREPARE)
def test_prepare(tiny, tmp_path, capsys, rights, name):
    for clip in "abc":
        make_video(tmp_path / f"corpus/videos/{clip}.mp4", [n / 25 for n in range(6)], (96, 96), audio_seconds=0.24)
    corpus = f"corpus={{type: custom, corpus_dir: {tmp_path / 'corpus'}}}"
    sets = (corpus, "tracker={type: none}", "prepare.jobs=1", "prepare.offset=none")
    if name.startswith("data"):
        (tmp_path / name).mkdir(parents=True)
    with without(rights, tmp_path / name):
        assert stages(tmp_path, tiny, "prepare", sets=sets) == 1
    error = sentence(capsys)
    assert REMEDY.search(error), error
    assert stages(tmp_path, tiny, "prepare", sets=sets) == 0
    assert len((tmp_path / "data/train/utt2num_frames").read_text().splitlines()) == 1


TRAINING = [
    ("w", "."),
    ("w", "exp"),
    ("w", "exp/tiny"),
    ("r", "exp"),
    ("r", "tiny.yaml"),
    ("r", "data"),
    ("r", "data/audio"),
    ("r", "data/audio/utt2num_frames"),
    ("r", "data/audio/settings.json"),
    ("r", "data/audio/audio"),
    ("r", "data/valid/audio"),
]


@pytest.mark.parametrize(("rights", "name"), TRAINING)
def test_pretrain(recipe_folder, tiny, capsys, rights, name):
    if name.startswith("exp"):
        (recipe_folder / name).mkdir(parents=True)
    before = content(recipe_folder)
    with without(rights, recipe_folder / name):
        assert stages(recipe_folder, tiny, "pretrain") == 1
    error = sentence(capsys)
    assert REMEDY.search(error) and before.items() <= content(recipe_folder).items(), error
    assert stages(recipe_folder, tiny, "pretrain") == 0


def test_data_that_can_not_be_written_are_read(recipe_folder, tiny):
    for name in ("train", "audio"):
        (recipe_folder / "data" / name).chmod(0o555)
    with only_permitted():
        assert stages(recipe_folder, tiny, "pretrain") == 0


def test_later_stages(mel_run, tiny, recipe_folder, capsys):
    """One training for all of them, since it takes the longest."""

    def refused(stage: str, *cases: tuple[str, str], force: bool = False) -> None:
        for rights, name in cases:
            before = content(recipe_folder)
            with without(rights, recipe_folder / name):
                more = ("--force",) if force else ()
                assert stages(recipe_folder, tiny, stage, sets=("scratch=false",), more=more) == 1, (stage, name)
            error = sentence(capsys)
            assert REMEDY.search(error), (stage, name, error)
            assert before.items() <= content(recipe_folder).items(), (stage, name)

    newest = str((checkpoint.latest(mel_run) / checkpoint.META).relative_to(recipe_folder))
    weights = str((checkpoint.latest(mel_run) / checkpoint.WEIGHTS).relative_to(recipe_folder))
    refused("finetune", ("r", newest), ("r", "exp/tiny/finetune/config.yaml"), ("r", "exp/tiny/finetune"))
    refused("finetune", ("r", "data/train/video"), ("r", "data/train/audio"), force=True)
    refused("synth", ("w", "exp/tiny"), ("r", newest), ("r", weights), ("r", "data/test/video"), ("r", "data/test"))
    assert stages(recipe_folder, tiny, "synth", sets=("scratch=false",)) == 0
    out = "exp/tiny/synth/pretrained"
    refused("score", ("w", "exp/tiny"), ("r", out), ("r", "data/test/audio"), ("r", "exp/tiny/synth"))
    assert stages(recipe_folder, tiny, "score", sets=("scratch=false",)) == 0
    refused("score", ("r", f"{out}/source.json"), ("r", "exp/tiny/scored.json"), ("r", "exp/tiny/results.json"))
