"""Records of what an output was made from: flat, read back as written, and compared key by key."""

import json
import pickle

import pytest

from v2skit.errors import UserError
from v2skit.system.provenance import Difference, Provenance, worded

MADE = {"seed": 1, "networks": {"encoder": {"type": "conformer", "dim": 256}}, "betas": (0.9, 0.98), "init": None}


def test_a_record_is_flat_and_reads_as_written(tmp_path):
    made = Provenance(MADE)
    assert made.values["networks.encoder.dim"] == 256 and made.values["betas"] == [0.9, 0.98]
    with pytest.raises(TypeError):
        made.values["seed"] = 2
    made.write(tmp_path / "record.json")
    (tmp_path / "nested.json").write_text(json.dumps(MADE))  # as earlier versions wrote it
    for name in ("record.json", "nested.json"):
        assert Provenance.read(tmp_path / name).values == made.values
    assert made.part("networks").values == {"encoder.type": "conformer", "encoder.dim": 256}
    assert Provenance.read(tmp_path / "absent.json") is None


@pytest.mark.parametrize("content", ["{", "[]", "\udcff"])
def test_a_damaged_record_is_named(tmp_path, content):
    (tmp_path / "record.json").write_text(content, errors="surrogateescape")
    with pytest.raises(UserError, match=r"record.json .*--force"):
        Provenance.read(tmp_path / "record.json")


def test_differences_are_named_by_key():
    now = Provenance({"seed": 2, "networks": {"encoder": {"type": "conformer", "dim": 128}}, "betas": [0.9, 0.98]})
    found = Provenance(MADE).diff(now)  # null and absent are the same
    assert found == [Difference("networks.encoder.dim", 256, 128), Difference("seed", 1, 2)]
    assert Provenance(MADE).diff(now, only=["seed", "networks.enc"]) == [Difference("seed", 1, 2)]
    assert Provenance(MADE).diff(now, only=["networks", "betas"]) == [Difference("networks.encoder.dim", 256, 128)]
    assert not Provenance(MADE).diff(now, only=[]) and not now.diff(now)


def test_a_difference_has_one_wording_and_goes_with_errors():
    found = Provenance({"seed": 1, "data": "0123456789ab"}).diff(Provenance({"seed": 2, "data": "ba9876543210"}))
    assert worded(found) == "data: other content now; seed: 1 there, 2 now"
    assert pickle.loads(pickle.dumps(UserError("differs", differences=found))).fields == {"differences": found}
