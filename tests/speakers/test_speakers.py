"""Who speaks is told without the clip itself."""

import kaldiio
import numpy as np
import pytest
import torch

from tests.conftest import make_data
from v2skit.data.manifest import Utterance
from v2skit.speakers import d_vector
from v2skit.speakers.d_vector import DVector, other_clips
from v2skit.speakers.table import SpeakerTable


def test_table_gives_strangers_the_mean(tmp_path):
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
    assert len(kaldiio.load_scp(str(tmp_path / "d_vector.scp"))) == 6


def test_resemblyzer_tells_speakers_apart(tmp_path):
    pytest.importorskip("resemblyzer", reason="resemblyzer is not installed")
    made = make_data(tmp_path, count=4)
    vectors = d_vector._embed(made, 24000)
    assert all(v.shape == (256,) and abs(np.linalg.norm(v) - 1) < 1e-3 for v in vectors.values())
