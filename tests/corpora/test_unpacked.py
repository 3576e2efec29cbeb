"""Corpora in formats of other toolkits, and data directories exported to them: there and back."""

import gzip
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import make_data, stages
from tests.media_files import every, make_video
from v2skit.cli.main import main
from v2skit.corpora.lhotse import Lhotse
from v2skit.corpora.unpacked import TABLE
from v2skit.corpora.webdataset import WebDataset
from v2skit.data.data_dir import read_manifest, read_settings, write_manifest
from v2skit.errors import UserError
from v2skit.media.audio import read_audio
from v2skit.media.crops import read_crops
from v2skit.testing import check_corpus

RATE = 24000


def exported(folder: Path, kind: str, size: int = 4, video: bool = True) -> tuple[list, Path]:
    """A data directory of six utterances and its export."""
    make_data(folder / "data/original", 6, video)
    out = folder / f"out-{kind}"
    assert main(["data", "export", str(folder / "data/original"), "--out", str(out), "--format", kind,
                 "--shard-size", str(size)]) == 0  # fmt: skip
    return read_manifest(folder / "data/original"), out


@pytest.mark.parametrize("kind", ["lhotse", "shar", "webdataset"])
def test_an_exported_directory_is_imported_as_it_was(kind, tmp_path, tiny):
    """Audio, text and speakers, by stages 0 and 1; Lhotse's cuts have the mouth crops too."""
    if kind != "webdataset":
        pytest.importorskip("lhotse", reason="the extra 'lhotse' is not installed")
    original, out = exported(tmp_path, kind)
    source = {"lhotse": "cuts.jsonl.gz", "shar": ".", "webdataset": "."}[kind]
    component = "webdataset" if kind == "webdataset" else "lhotse"
    corpus = WebDataset if kind == "webdataset" else Lhotse
    check_corpus(lambda: corpus(tmp_path, {"audio": str(out / source)}))
    sets = (f"corpus={{type: {component}, splits: {{audio: {out / source}}}}}", "audio_corpus=null")
    sets += ("data={pretrain: [audio], train: audio, valid: audio, test: audio}",)
    assert stages(tmp_path, tiny, "obtain", "prepare", sets=sets) == 0
    imported = read_manifest(tmp_path / "data/audio")
    assert [(u.id, u.speaker, u.text, u.frames) for u in imported] == [
        (u.id, u.speaker, u.text, u.frames) for u in sorted(original, key=lambda u: u.id)
    ]
    for a, b in zip(sorted(original, key=lambda u: u.id), imported, strict=True):
        np.testing.assert_array_equal(read_audio(a.audio, RATE), read_audio(b.audio, RATE))


@pytest.mark.parametrize("kind", ["lhotse", "shar"])
def test_cuts_have_the_mouth_crops(kind, tmp_path):
    lhotse = pytest.importorskip("lhotse", reason="the extra 'lhotse' is not installed")
    original, out = exported(tmp_path, kind)
    cuts = lhotse.CutSet.from_shar(in_dir=out) if kind == "shar" else lhotse.CutSet.from_file(out / "cuts.jsonl.gz")
    found = {cut.id: cut for cut in cuts}
    assert found.keys() == {u.id for u in original}
    for u in original:
        cut = found[u.id]
        np.testing.assert_array_equal(cut.load_mouth_crops(), read_crops(u.video))
        np.testing.assert_array_equal(cut.load_audio()[0], read_audio(u.audio, RATE))
        assert cut.mouth_crops.frame_shift == 0.04 and cut.supervisions[0].speaker == u.speaker


def test_shards_have_the_size_asked_for(tmp_path):
    original, out = exported(tmp_path, "webdataset", size=4)
    sizes = {}
    for path in sorted(out.iterdir()):
        with tarfile.open(path) as tar:
            sizes[path.name] = len(tar.getnames())
    assert sizes == {"000000.tar": 12, "000001.tar": 6}
    with tarfile.open(out / "000000.tar") as tar:
        content = tar.extractfile(f"{original[0].id}.crops.mp4").read()
    assert content == original[0].video.read_bytes()


def test_an_export_replaces_nothing(tmp_path, capsys):
    _, out = exported(tmp_path, "webdataset")
    before = (out / "000000.tar").read_bytes()
    command = ["data", "export", str(tmp_path / "data/original"), "--out", str(out), "--format", "webdataset"]
    assert main(command) == 1 and "is not an empty folder; name a new one" in capsys.readouterr().err
    assert (out / "000000.tar").read_bytes() == before
    assert main([*command[:-3], str(tmp_path / "new"), *command[-2:], "--shard-size", "0"]) == 1
    assert "shard size 0" in capsys.readouterr().err and not (tmp_path / "new").exists()


def tar_file(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def tone(rate: int = RATE) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, 0.1 * np.sin(np.arange(rate) / 20), rate, format="FLAC")
    return content.getvalue()


def test_videos_and_texts_of_a_webdataset(tmp_path):
    video = make_video(tmp_path / "x.mp4", every(25, 0.5), audio_seconds=0.5)
    files = {"a/s1_1.mp4": Path(video or tmp_path / "x.mp4").read_bytes(), "a/s1_1.txt": b"Hello, you!"}
    files |= {"a/s2.1.mp4": files["a/s1_1.mp4"], "b/s3_2.MP4": files["a/s1_1.mp4"], "b/s3_2.wav": tone()}
    files |= {"b/s3_2.json": json.dumps({"speaker": "Ann Lee", "text": "it is"}).encode(), "b/s3_2.cls": b"1"}
    for number in (8, 9, 10):
        tar_file(tmp_path / f"train-{number:02}.tar", {n.replace("/", f"/{number}"): c for n, c in files.items()})
    corpus = WebDataset(tmp_path, {"train": "train-{08..10}.tar"})
    with pytest.raises(UserError, match=r"train-11.tar is missing; give a tar file"):
        WebDataset(tmp_path, {"train": "train-{08..11}.tar"}).obtain()
    with pytest.raises(UserError, match="has neither audio nor video, only .1.mp4"):
        corpus.obtain()  # a key ends at the first dot
    for path in tmp_path.glob("train-*.tar"):
        number = path.stem[-2:]
        kept = {n.replace("/", f"/{number}"): c for n, c in files.items() if "s2.1" not in n}
        tar_file(path, kept)
    check_corpus(lambda: WebDataset(tmp_path, {"train": "train-{08..10}.tar"}))
    found = corpus.splits()["train"]
    assert len(found) == 6 and all(u.video.is_file() and u.audio.is_file() for u in found)
    first, second = found[:2]
    assert (first.speaker, first.text, first.audio) == ("08s1", "HELLO YOU", first.video)
    assert (second.speaker, second.text, second.audio.suffix) == ("Ann_Lee", "IT IS", ".wav")


def test_names_in_a_tar_file_lead_nowhere(tmp_path):
    tar_file(tmp_path / "a.tar", {"../../x-1.flac": tone(), "/etc/y-1.flac": tone()})
    (tmp_path / "recipe").mkdir()
    corpus = WebDataset(tmp_path / "recipe", {"audio": "../a.tar"})
    corpus.obtain()
    inside = (tmp_path / "recipe/unpacked/audio").resolve()
    assert all(u.audio.resolve().parent == inside and "/" not in u.id for u in corpus.splits()["audio"])
    assert {p.name for p in tmp_path.iterdir()} == {"a.tar", "recipe"}


def test_sources_that_changed_are_read_again(tmp_path):
    tar_file(tmp_path / "a.tar", {"s-1.flac": tone()})
    corpus = WebDataset(tmp_path, {"audio": "a.tar"})
    with pytest.raises(UserError, match="stage 0 writes it"):
        corpus.splits()
    corpus.obtain()
    first = (tmp_path / "unpacked/audio/s-1.flac").stat().st_mtime_ns
    corpus.obtain()
    assert (tmp_path / "unpacked/audio/s-1.flac").stat().st_mtime_ns == first
    tar_file(tmp_path / "a.tar", {"s-1.flac": tone(), "s-2.flac": tone()})
    assert "audio 2 (audio only)" in corpus.obtain()


def test_files_of_other_sources_are_not_taken_for_those_of_the_table(tmp_path):
    tar_file(tmp_path / "a.tar", {"s-1.flac": tone()})
    tar_file(tmp_path / "b.tar", {"s-1.flac": tone(8000), "x.txt": b""})
    WebDataset(tmp_path, {"audio": "a.tar"}).obtain()
    with pytest.raises(UserError, match="'x' has neither"):
        WebDataset(tmp_path, {"audio": "b.tar"}).obtain()
    corpus = WebDataset(tmp_path, {"audio": "a.tar"})
    corpus.obtain()
    assert corpus.splits()["audio"][0].audio.read_bytes() == tone()


def test_files_of_others_are_not_overwritten(tmp_path):
    (tmp_path / "shards/audio").mkdir(parents=True)
    (tmp_path / "shards/audio/s-1.flac").write_bytes(b"precious")
    tar_file(tmp_path / "shards/audio.tar", {"s-1.flac": tone()})
    corpus = WebDataset(tmp_path, {"audio": "shards/audio.tar"}, corpus_dir="shards")
    with pytest.raises(UserError, match="shards/audio has files that stage 0 did not write .*; set corpus_dir"):
        corpus.obtain()
    assert (tmp_path / "shards/audio/s-1.flac").read_bytes() == b"precious"


def test_what_an_interruption_leaves_is_replaced_and_not_read(tmp_path, monkeypatch):
    tar_file(tmp_path / "a.tar", {"s-1.flac": tone(), "s-2.flac": tone()})
    corpus, read = WebDataset(tmp_path, {"audio": "a.tar"}), WebDataset.read

    def interrupted(self, source, files, folder):
        yield next(read(self, source, files, folder))
        raise KeyboardInterrupt

    monkeypatch.setattr(WebDataset, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        corpus.obtain()
    with pytest.raises(UserError, match="does not exist or is incomplete; stage 0 writes it"):
        corpus.splits()
    monkeypatch.undo()
    assert "audio 2 (audio only)" in corpus.obtain()


def test_a_folder_that_cannot_be_written_is_no_damaged_shard(tmp_path):
    tar_file(tmp_path / "a.tar", {"s-1.flac": tone()})
    (tmp_path / "unpacked/audio/s-1.flac").mkdir(parents=True)
    (tmp_path / "unpacked/audio" / TABLE).touch()
    with pytest.raises(OSError, match="s-1.flac"):
        WebDataset(tmp_path, {"audio": "a.tar"}).obtain()


def test_ids_that_a_webdataset_cannot_tell_apart_are_refused(tmp_path, capsys):
    first, second, *_ = make_data(tmp_path / "data", 3, video=False)
    renamed = [replace(first, id="s-1.a"), replace(second, id="s-1_a")]
    write_manifest(tmp_path / "data", renamed, read_settings(tmp_path / "data"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    command = ["data", "export", str(tmp_path / "data"), "--out", str(tmp_path / "link"), "--format", "webdataset"]
    assert main(command) == 1 and "'s-1.a' and 's-1_a' have one name" in capsys.readouterr().err
    assert not any((tmp_path / "empty").iterdir())
    write_manifest(tmp_path / "data", renamed[:1], read_settings(tmp_path / "data"))
    assert main(command) == 0 and [p.name for p in (tmp_path / "empty").iterdir()] == ["000000.tar"]


@pytest.mark.parametrize(
    "files, message",
    [
        ({"s-1.flac": b"", "s-1.txt": b"\xff"}, "s-1.txt is not in UTF-8"),
        ({"s-1.flac": b"", "s-1.json": b"{"}, "s-1.json is no JSON"),
        ({"s-1.flac": b"", "x.txt": b"hi"}, "'x' has neither audio nor video"),
        ({"s-1.flac": b"", "s-2.flac": b"", "s-1.wav": b""}, "'s-1' is there twice"),
        ({"s-1.flac": b"", "s-1.FLAC": b""}, "'s-1' has two files of one suffix"),
        ({}, "has no utterances"),
    ],
)
def test_shards_that_cannot_be_used_are_named(files, message, tmp_path):
    tar_file(tmp_path / "a.tar", files)
    with pytest.raises(UserError, match=message):
        WebDataset(tmp_path, {"audio": "a.tar"}).obtain()
    (tmp_path / "b.tar").write_bytes(b"no tar file" * 100)
    with pytest.raises(UserError, match="is damaged or no tar file"):
        WebDataset(tmp_path, {"audio": "b.tar"}).obtain()


def manifest(path: Path, **changes) -> Path:
    """A manifest with a cut of a file."""
    path.parent.mkdir(exist_ok=True)
    (path.parent / "a.flac").write_bytes(tone())
    recording = {"id": "r", "sources": [{"type": "file", "channels": [0], "source": "a.flac"}], "sampling_rate": RATE,
                 "num_samples": RATE, "duration": 1.0, "channel_ids": [0]}  # fmt: skip
    recording |= changes.pop("recording", {})
    said = {"id": "r", "recording_id": "r", "start": 0, "duration": 1.0, "text": "Hi.", "speaker": "s1"}
    cut = {"id": "c1", "start": 0.25, "duration": 0.5, "channel": 0, "supervisions": [said], "recording": recording,
           "type": "MonoCut"} | changes  # fmt: skip
    path.write_bytes(gzip.compress(json.dumps(cut).encode()))
    return path


def test_a_cut_is_a_part_of_its_recording(tmp_path):
    pytest.importorskip("lhotse", reason="the extra 'lhotse' is not installed")
    manifest(tmp_path / "cuts.jsonl.gz")
    corpus = Lhotse(tmp_path, {"audio": "cuts.jsonl.gz"})
    corpus.obtain()
    (found,) = corpus.splits()["audio"]
    assert (found.id, found.speaker, found.text, found.start, found.end) == ("s1-c1", "s1", "HI", 0.25, 0.75)
    assert found.audio == tmp_path / "a.flac"


def test_a_recording_with_a_video_is_audio_visual(tmp_path):
    pytest.importorskip("lhotse", reason="the extra 'lhotse' is not installed")
    make_video(tmp_path / "v.mp4", every(25, 1.0), audio_seconds=1.0)
    about = {"fps": 25.0, "num_frames": 25, "height": 96, "width": 96}
    recording = {"sources": [{"type": "file", "channels": [0], "source": "v.mp4", "video": about}]}
    manifest(tmp_path / "cuts.jsonl.gz", recording=recording, start=0, duration=1.0)
    corpus = Lhotse(tmp_path, {"train": "cuts.jsonl.gz"})
    corpus.obtain()
    (found,) = corpus.splits()["train"]
    assert found.video == found.audio == tmp_path / "v.mp4" and found.end is None
    manifest(tmp_path / "cuts.jsonl.gz", recording=recording)
    with pytest.raises(UserError, match="'c1' is a part of its video; save it as a video file"):
        corpus.obtain()


def test_every_shard_of_cuts_of_files_is_read(tmp_path):
    pytest.importorskip("lhotse", reason="the extra 'lhotse' is not installed")
    for number in range(2):
        manifest(tmp_path / f"shar/cuts.00000{number}.jsonl.gz", id=f"c{number}")
    corpus = Lhotse(tmp_path, {"audio": "shar"})
    corpus.obtain()
    assert [u.id for u in corpus.splits()["audio"]] == ["s1-c0", "s1-c1"]


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"recording": {"sources": [{"type": "command", "channels": [0], "source": "touch run"}]}},
            "of type 'command'",
        ),
        ({"recording": {"sources": [{"type": "url", "channels": [0], "source": "http://x/a.wav"}]}}, "of type 'url'"),
        ({"recording": {"sources": [{"type": "file", "channels": [0], "source": "b.wav"}]}}, "b.wav, which is no file"),
        ({"recording": {"transforms": [{"name": "Speed", "kwargs": {"factor": 2.0}}]}}, "changes its recording"),
        ({"recording": {"channel_ids": [0, 1]}}, "is one of 2 channels"),
        (
            {"recording": {"sources": [{"type": "file", "channels": [c], "source": "a.flac"} for c in (0, 1)]}},
            "several",
        ),
        ({"type": "PaddingCut"}, "can't be read as cuts of Lhotse"),
        ({"recording": None}, "can't be read as cuts"),
    ],
)
def test_cuts_that_cannot_be_used_are_named(changes, message, tmp_path, monkeypatch):
    pytest.importorskip("lhotse", reason="the extra 'lhotse' is not installed")
    monkeypatch.chdir(tmp_path)
    path = manifest(tmp_path / "cuts.jsonl.gz", **{k: v for k, v in changes.items() if v is not None})
    if changes.get("recording", 1) is None:
        path.write_bytes(gzip.compress(b'{"id": 3}'))
    with pytest.raises(UserError, match=message):
        Lhotse(tmp_path, {"audio": "cuts.jsonl.gz"}).obtain()
    assert not (tmp_path / "run").exists()


def test_sources_that_are_no_cuts(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "cuts.yaml").write_text("a: 1")
    for source, message in (("nowhere", "is missing"), ("empty", "it has no cuts"), ("cuts.yaml", "no manifest")):
        with pytest.raises(UserError, match=message):
            Lhotse(tmp_path, {"audio": source}).obtain()
    for splits, message in (({}, "splits is empty"), ({"../a": "x"}, "can't be the name"), ({".": "x"}, "can't be")):
        with pytest.raises(UserError, match=message):
            Lhotse(tmp_path, splits)
