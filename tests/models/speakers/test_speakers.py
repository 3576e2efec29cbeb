"""Speaker embeddings never depend on the clip itself."""

import numpy as np
import pytest
import torch

from tests.conftest import make_data
from v2skit.data.data_dir import Utterance
from v2skit.errors import UserError
from v2skit.media.ark import write_vectors
from v2skit.models.speakers import d_vector
from v2skit.models.speakers.d_vector import DVector, other_clips
from v2skit.models.speakers.table import SpeakerTable


def test_table_has_the_mean_for_unknown_speakers(tmp_path):
    table = SpeakerTable(["a", "b"], dim=3)
    reader = table.reader(tmp_path)
    rows = torch.tensor(np.stack([reader("x", name) for name in ("a", "b", "stranger")]))
    out = table(rows)
    assert torch.equal(out[:2], table.table.weight) and torch.allclose(out[2], table.table.weight.mean(0))


def test_d_vector_never_comes_from_the_clip_itself(tmp_path):
    utterances = [Utterance(f"{s}-{n}", s, 3, tmp_path) for s in "ab" for n in range(20)]
    utterances += [Utterance("a-silent", "a", 3), Utterance("c-0", "c", 3, tmp_path)]
    for key, names in other_clips(utterances, 10).items():
        assert key not in names and "a-silent" not in names
        assert {n[0] for n in names} <= {key[0]} and len(names) == (0 if key == "c-0" else 10)


def test_d_vectors_are_stored_with_their_sources(tmp_path, monkeypatch):
    made = make_data(tmp_path)
    fixed = {u.id: np.random.default_rng(n).normal(size=256) for n, u in enumerate(made)}
    monkeypatch.setattr(d_vector, "_embed", lambda utterances, rate: {u.id: fixed[u.id] for u in utterances})
    DVector(clips=1).prepare(tmp_path)
    for line in (tmp_path / d_vector.SOURCES).read_text().splitlines():
        key, source = line.split()
        vector = DVector().reader(tmp_path)(key, "anyone")
        assert source != key and np.allclose(vector, fixed[source] / np.linalg.norm(fixed[source]), atol=1e-6)
    assert len((tmp_path / "d_vector.scp").read_text().splitlines()) == 6


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A data directory with d-vectors, and the lines of their table."""
    made = make_data(tmp_path)
    monkeypatch.setattr(d_vector, "_embed", lambda utterances, rate: {u.id: np.ones(256) for u in utterances})
    DVector(clips=1).prepare(tmp_path)
    return tmp_path, made[0].id, tmp_path / "d_vector.scp"


def test_d_vectors_are_stored_as_kaldiio_stores_them(stored, monkeypatch):
    kaldiio = pytest.importorskip("kaldiio", reason="kaldiio is not installed")
    folder, _, table = stored
    rows = [(line.split()[0], DVector().reader(folder)(line.split()[0], "")) for line in table.read_text().splitlines()]
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
    table.write_text(f"{key} {place.format(ran=tmp_path / 'ran')}\n")
    with pytest.raises(UserError, match="delete .*d_vector.scp and run stage 1 again"):
        DVector().reader(folder)(key, "")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"{key} \xff\xfe"])
def test_damaged_tables_are_named(stored, content):
    folder, key, table = stored
    table.write_bytes(content.replace(b"{key}", key.encode()))
    with pytest.raises(UserError, match="d_vector.scp is damaged .*run stage 1 again"):
        DVector().reader(folder)(key, "")


def test_vectors_of_other_lengths_are_errors(stored):
    folder, key, table = stored
    write_vectors(folder / "d_vector.ark", table, [(key, np.ones(192))])
    with pytest.raises(UserError, match="has 192 values"):
        DVector().reader(folder)(key, "")


def test_d_vectors_of_resemblyzer_distinguish_speakers(tmp_path):
    pytest.importorskip("resemblyzer", reason="resemblyzer is not installed")
    made = make_data(tmp_path, count=4)
    vectors = d_vector._embed(made, 24000)
    assert all(v.shape == (256,) and abs(np.linalg.norm(v) - 1) < 1e-3 for v in vectors.values())
