"""Evaluation protocols: the shipped files, their fingerprints, and the fields that do not hold."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from v2skit.corpora.mini.corpus import Mini
from v2skit.errors import UserError
from v2skit.evaluation.protocol import FOLDER, Conditions, Protocol, Split, digest_of, load

SHIPPED = sorted(path.stem for path in FOLDER.glob("*.yaml"))
FINGERPRINTS = {"grid-seen4@1": "02362b26fc2c", "grid-unseen@1": "8c3f07ac75b8", "mini@1": "b13dc3c81cb0"}
"""A released protocol never changes."""


def conditions(protocol: Protocol, **changes) -> Conditions:
    """Those of a scoring in which all fields hold."""
    found = Conditions(
        split=protocol.split,
        sample_rate=protocol.sample_rate,
        metrics={name: f"{text}, package 1.0" for name, text in protocol.metrics.items()},
        recogniser=protocol.recogniser,
        normaliser=protocol.normaliser,
        speaker_reference="other clips of the talker",
    )
    return replace(found, **changes)


def keys(protocol: Protocol, found: Conditions) -> list[str]:
    return [difference.key for difference in protocol.differences(found)]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_protocol_holds_and_never_changes(name):
    protocol = load(name)
    assert protocol.name == name and "@" in name
    assert protocol.fingerprint == FINGERPRINTS[name]
    assert not protocol.differences(conditions(protocol))


def test_the_split_of_mini_is_that_of_its_corpus():
    plan = Mini(Path())._plan()
    ids = [f"{voice.partition('+')[2]}-{code}" for split, voice, code in plan if split == "test"]
    assert load("mini@1").split == Split(digest_of(ids), len(ids), unseen_talkers=False)


def test_a_digest_is_that_of_the_set():
    assert digest_of(["b", "a"]) == digest_of(["a", "b"]) != digest_of(["a", "c"])
    assert digest_of(["a", "b"]) != digest_of(["ab"])


def test_each_field_that_does_not_hold_is_named():
    protocol = load("mini@1")
    other = Split("000000000000", 39, unseen_talkers=None)
    assert keys(protocol, conditions(protocol, split=other)) == ["split.clips", "split.count", "split.unseen_talkers"]
    assert keys(protocol, conditions(protocol, sample_rate=16000)) == ["sample_rate"]
    assert keys(protocol, conditions(protocol, recogniser=None)) == ["recogniser"]
    for recogniser in (protocol.recogniser.replace("5.1.1", "5.0.0"), f"{protocol.recogniser}, pronunciations ..."):
        assert keys(protocol, conditions(protocol, recogniser=recogniser)) == ["recogniser"]
    assert not keys(replace(protocol, recogniser=None), conditions(protocol))
    assert keys(protocol, conditions(protocol, normaliser="none")) == ["normaliser"]
    assert keys(protocol, conditions(protocol, speaker_reference="not stated")) == ["speaker_reference"]
    assert keys(protocol, conditions(protocol, trimming="silence")) == ["trimming"]
    metrics = {**conditions(protocol).metrics, "pesq_wb": "PESQ P.862, narrow band", "more": "of a plug-in"}
    assert keys(protocol, conditions(protocol, metrics=metrics)) == ["metrics.pesq_wb"]
    del metrics["stoi"]
    assert keys(protocol, conditions(protocol, metrics=metrics)) == ["metrics.pesq_wb", "metrics.stoi"]


def test_the_error_is_a_sentence_with_the_fields():
    protocol = load("mini@1")
    with pytest.raises(UserError, match=r"protocol mini@1 does not hold: recogniser: .*; sample_rate: .*; change") as e:
        protocol.check(conditions(protocol, sample_rate=16000, recogniser=None))
    assert [d.key for d in e.value.fields["differences"]] == ["recogniser", "sample_rate"]
    protocol.check(conditions(protocol, split=Split("0", 1, None)), split=False)
    protocol.check(conditions(protocol, split=None), split=False)


def test_aligned_scores_must_exist_where_a_protocol_compares_them():
    protocol = replace(load("mini@1"), alignment="lag")
    assert keys(protocol, conditions(protocol)) == ["alignment"]
    assert not keys(protocol, conditions(protocol, alignments=["none", "lag"]))


def test_a_protocol_of_a_file_has_its_name_and_every_field_in_its_fingerprint(tmp_path):
    tree = yaml.safe_load((FOLDER / "mini@1.yaml").read_text())
    path = tmp_path / "ours@2.yaml"
    path.write_text(yaml.safe_dump(tree))
    assert load(str(path)).name == "ours@2" and load(str(path)).fingerprint == load("mini@1").fingerprint
    path.write_text(yaml.safe_dump({**tree, "sample_rate": 16000}))
    assert load(str(path)).fingerprint != load("mini@1").fingerprint


def test_a_protocol_that_is_not_there_or_wrong_is_named(tmp_path):
    with pytest.raises(UserError, match="no protocol 'mini@2', shipped or as a file; did you mean 'mini@1'"):
        load("mini@2")
    with pytest.raises(UserError, match="can't be read"):
        load(str(tmp_path))
    path = tmp_path / "bad@1.yaml"
    for text, message in (("[]", "keys and values"), ("sample_rat: 1", "did you mean 'sample_rate'"), ("{", "YAML")):
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            load(str(path))
