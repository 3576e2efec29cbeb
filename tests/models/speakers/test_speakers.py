"""Speaker embeddings never depend on the clip itself."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch

from tests.conftest import make_data
from v2skit.config.features import Clock
from v2skit.config.load import check_config, load_config, to_tree
from v2skit.config.schema import Augmentation
from v2skit.data.data_dir import Utterance, write_manifest
from v2skit.data.dataset import SpeechDataset
from v2skit.data.sampler import Key
from v2skit.errors import UserError
from v2skit.media.ark import write_vectors
from v2skit.media.audio import write_audio
from v2skit.models.speakers import d_vector
from v2skit.models.speakers.d_vector import DVector
from v2skit.models.speakers.table import SpeakerTable
from v2skit.registry.build import build
from v2skit.testing import check_speaker


def test_table_has_the_mean_for_unknown_speakers(tmp_path):
    table = SpeakerTable(["a", "b"], dim=3)
    reader = table.reader(tmp_path)
    rows = torch.tensor(np.stack([reader("x", name) for name in ("a", "b", "stranger")]))
    out = table(rows)
    assert torch.equal(out[:2], table.table.weight) and torch.allclose(out[2], table.table.weight.mean(0))


def one_hot(number: int) -> np.ndarray:
    return np.eye(256, dtype=np.float32)[number]


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """A function that prepares a directory of clips with sound; the d-vector of clip n is the n-th unit vector."""

    def prepare(speakers: dict[str, int], **options) -> dict[str, str]:
        ids = {f"{s}-{n}": s for s, count in speakers.items() for n in range(count)}
        utterances = [Utterance(key, s, 3, tmp_path / "a.flac") for key, s in ids.items()]
        utterances.append(Utterance("bsilent-0", "b silent", 3))
        settings = {"clock": dataclasses.asdict(Clock())}
        write_manifest(tmp_path, utterances, settings)
        (tmp_path / "a.flac").write_bytes(b"x")
        numbers = {key: number for number, key in enumerate(ids)}
        monkeypatch.setattr(
            d_vector, "_embed", lambda clips, rate: ((u.id, one_hot(numbers[u.id])) for u in clips if u.audio)
        )
        DVector(**options).prepare(tmp_path)
        return ids

    return prepare


def sources(vector: np.ndarray, ids: dict[str, str]) -> list[str]:
    """The clips whose unit vectors were averaged."""
    assert np.linalg.norm(vector) == pytest.approx(1) or not vector.any()
    return [list(ids)[number] for number in np.flatnonzero(vector)]


def test_d_vectors_never_come_from_the_clip_itself(prepared, tmp_path):
    ids = prepared({"a": 30, "b": 5, "c": 1})
    reader, drawn = DVector().reader(tmp_path), set()
    for number, (key, speaker) in enumerate(ids.items()):
        found = sources(reader(key, speaker), ids)
        assert len(found) == {"a": 10, "b": 4, "c": 0}[speaker]
        for epoch in range(20):
            clips = sources(reader.draw(key, speaker, np.random.default_rng([number, epoch])), ids)
            assert len(clips) in ((0,) if speaker == "c" else (1, 2))
            drawn.add(tuple(clips))
            found += clips
        assert key not in found and {ids[name] for name in found} <= {speaker}
    assert {len(clips) for clips in drawn} == {0, 1, 2} and len(drawn) > 200
    assert not reader("bsilent-0", "b silent").any()


def test_only_the_clips_of_the_pool_are_embedded(prepared, tmp_path):
    ids = prepared({"a": 30}, pool=3)
    reader = DVector(clips=9).reader(tmp_path)
    pool = {name for key in ids for name in sources(reader(key, "a"), ids)}
    assert len(pool) == 3 and {len(sources(reader(key, "a"), ids)) for key in ids} == {2, 3}


def test_the_voice_of_a_speaker_is_the_mean_of_many_clips(prepared, tmp_path):
    ids = prepared({"a": 30, "b": 2})
    voices = DVector().voices_of(tmp_path)
    assert {name: len(sources(vector, ids)) for name, vector in voices.items()} == {"a": 20, "b": 2}


def test_d_vectors_keep_the_contract(prepared, tmp_path):
    ids = prepared({"a": 3, "b": 1})
    check_speaker(DVector(), tmp_path, list(ids.items()))
    check_speaker(DVector(dropout=0.0), tmp_path, list(ids.items()))


def test_training_examples_draw_anew_in_each_epoch(tmp_path, monkeypatch):
    made = make_data(tmp_path, count=12)
    numbers = {u.id: n for n, u in enumerate(made)}
    monkeypatch.setattr(d_vector, "_embed", lambda clips, rate: ((u.id, one_hot(numbers[u.id])) for u in clips))
    DVector().prepare(tmp_path)

    def vectors(training: bool, seed: int = 1) -> list[np.ndarray]:
        reader = pickle.loads(pickle.dumps(DVector().reader(tmp_path)))
        data = SpeechDataset(
            [tmp_path], [reader], Clock(), False, Augmentation(), training, seed=seed
        )  # fmt: skip
        return [data[Key(epoch, 3, (epoch, 0))].speaker for epoch in range(9)]

    first = vectors(True)
    assert np.array_equal(first, vectors(True)) and not np.array_equal(first, vectors(True, seed=2))
    assert len(np.unique(first, axis=0)) > 4
    assert len(np.unique(vectors(False), axis=0)) == 1


def test_the_unknown_voice_replaces_whole_embeddings():
    torch.manual_seed(0)
    module = DVector(dropout=0.25, scale=16.0)
    with torch.no_grad():
        module.unknown.fill_(7.0)
    known = torch.nn.functional.normalize(torch.rand(4000, 256), dim=1)
    batch = torch.cat([known, torch.zeros(1, 256)])
    trained, synthesised = module(batch), module.eval()(batch)
    dropped = (trained == 7.0).all(dim=1)
    assert dropped[-1] and 0.2 < dropped[:-1].float().mean() < 0.3
    assert torch.equal(trained[:-1][~dropped[:-1]], 16 * known[~dropped[:-1]])
    assert torch.equal(synthesised[:-1], 16 * known) and (synthesised[-1] == 7.0).all()
    assert not module.voice(None).any() and module.default_voice == "unknown voice"


def test_d_vectors_of_earlier_checkpoints_are_as_they_were(tiny):
    tree = to_tree(load_config(tiny, ["networks.speaker={type: d_vector}"]))
    stored = {**tree, "networks": {**tree["networks"], "speaker": {"type": "d_vector", "clips": 10}}}
    speaker = build("speaker", check_config(stored).networks.speaker, speakers=[])
    vectors = torch.rand(3, 256) * torch.tensor([[1.0], [1.0], [0.0]])
    assert not speaker.state_dict() and torch.equal(speaker.train()(vectors), vectors)
    assert speaker.default_voice is None
    with pytest.raises(UserError, match="needs a voice: --voice FILE"):
        speaker.voice(None)


def test_d_vectors_of_earlier_versions_are_computed_again(prepared, tmp_path, capsys):
    ids = prepared({"a": 3})
    (tmp_path / "d_vector_sources").write_text("a-0 a-1 a-2\n")
    (tmp_path / "d_vector_clips").unlink()
    with pytest.raises(UserError, match="are of an earlier version; stage 1 of its recipe computes them again"):
        DVector().reader(tmp_path)
    DVector().prepare(tmp_path)
    assert "of an earlier version, and computed again" in capsys.readouterr().out
    assert len(sources(DVector().reader(tmp_path)("a-0", "a"), ids)) == 2
    (tmp_path / "d_vector_clips").unlink()
    with pytest.raises(UserError, match="has no d-vectors; stage 1"):
        DVector().reader(tmp_path)


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A data directory with d-vectors, the id of a clip of s0, and the table of the d-vectors."""
    made = make_data(tmp_path)
    monkeypatch.setattr(d_vector, "_embed", lambda clips, rate: ((u.id, one_hot(7)) for u in clips))
    DVector().prepare(tmp_path)
    return tmp_path, made[0].id, tmp_path / "d_vector.scp"


def test_d_vectors_are_stored_as_kaldiio_stores_them(stored, monkeypatch):
    kaldiio = pytest.importorskip("kaldiio", reason="kaldiio is not installed")
    folder, _, table = stored
    rows = [(line.split()[0], one_hot(7)) for line in table.read_text().splitlines()]
    files = table.read_bytes(), (folder / "d_vector.ark").read_bytes()
    for (key, vector), (name, theirs) in zip(rows, sorted(kaldiio.load_scp(str(table)).items()), strict=True):
        assert key == name and np.array_equal(vector, theirs)
    with kaldiio.WriteHelper(f"ark,scp:{folder}/d_vector.ark,{table}") as writer:
        for key, vector in rows:
            writer(key, vector)
    assert files == (table.read_bytes(), (folder / "d_vector.ark").read_bytes())


@pytest.mark.parametrize(
    "place",
    [
        "touch {ran} |",
        "| touch {ran}",
        "d_vector.ark:0; touch {ran} |",
        "../other.ark",
        "d_vector.ark:-5",
        "d_vector.ark:99999999",
        "d_vector.ark:" + "9" * 5000,
        "d_vector.ark:5[0:3]",
        "a:/../../x.ark:12x",
    ],
)
def test_no_text_of_the_table_is_run_or_leads_elsewhere(stored, place, tmp_path):
    folder, key, table = stored
    lines = table.read_text().splitlines()
    table.write_text("".join(f"{line.split()[0]} {place.format(ran=tmp_path / 'ran')}\n" for line in lines))
    with pytest.raises(UserError, match="delete .*d_vector.scp and run stage 1 again"):
        DVector().reader(folder)(key, "s0")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"{key} \xff\xfe"])
@pytest.mark.parametrize("name", ["d_vector.scp", "d_vector_clips"])
def test_damaged_tables_are_named(stored, name, content):
    folder, key, table = stored
    keys = [b"s0"] if name == "d_vector_clips" else [line.split()[0] for line in table.read_bytes().splitlines()]
    (folder / name).write_bytes(b"\n".join(content.replace(b"{key}", key) for key in keys).strip(b"\n"))
    with pytest.raises(UserError, match=f"{name} is damaged .*run stage 1 again"):
        DVector().reader(folder)(key, "s0")


def test_speakers_and_clips_without_d_vectors_are_named(stored):
    folder, key, table = stored
    with pytest.raises(UserError, match="has no d-vectors of speaker 'stranger'; stage 1"):
        DVector().reader(folder)(key, "stranger")
    table.write_text("s9-0 d_vector.ark:5\n")
    with pytest.raises(UserError, match="has no d-vector of 's0-.*run stage 1 again"):
        DVector().reader(folder)(key, "s0")


def test_vectors_of_other_lengths_are_errors(stored):
    folder, key, table = stored
    keys = [line.split()[0] for line in table.read_text().splitlines()]
    write_vectors(folder / "d_vector.ark", table, [(name, np.ones(192)) for name in keys])
    with pytest.raises(UserError, match="has 192 values"):
        DVector().reader(folder)(key, "s0")


def test_d_vectors_of_resemblyzer_distinguish_speakers(tmp_path):
    pytest.importorskip("resemblyzer", reason="resemblyzer is not installed")
    made = make_data(tmp_path, count=4)
    write_audio(made[3].audio, np.zeros(24000, np.float32), 24000)
    vectors = dict(d_vector._embed(made, 24000))
    assert all(v.shape == (256,) and abs(np.linalg.norm(v) - 1) < 1e-3 for v in vectors.values())
    assert list(vectors) == [u.id for u in made[:3]]  # the last has no voice
    DVector().prepare(tmp_path)
    assert made[3].id not in (tmp_path / "d_vector_clips").read_text()
