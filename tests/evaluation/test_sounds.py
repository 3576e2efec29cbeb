"""Confusions of sounds, and which of them look alike."""

import pytest

from v2skit.evaluation.breakdown_text import sections
from v2skit.evaluation.pronunciations import pronunciations
from v2skit.evaluation.sounds import sound_breakdown
from v2skit.evaluation.visemes import VISEME_OF, VISEMES, VOWELS

DICTIONARY = {
    "BAT": [("B", "AE", "T")],
    "PAT": [("P", "AE", "T")],
    "MAD": [("M", "AE", "D")],
    "SAT": [("S", "AE", "T")],
    "AT": [("AE", "T")],
}


def pronounce(words):
    return {word: DICTIONARY[word] for word in words if word in DICTIONARY}


def test_every_phoneme_has_one_class():
    assert len(VISEME_OF) == sum(map(len, VISEMES.values())) == 39
    assert len(VOWELS) == 15 and set(VISEME_OF) > VOWELS


def test_errors_that_lips_can_not_show_are_apart_from_others():
    pairs = [("BAT", "PAT"), ("BAT", "SAT"), ("BAT", "BAT"), ("BAT", "AT"), ("MAD", None), ("UNKNOWN", "BAT")]
    found = sound_breakdown({"pretrained": [pairs]}, pronounce)
    assert found["unknown_words"] == pytest.approx(16.67)
    row = found["rows"]["pretrained"]
    assert row["visemes"] == {
        "bilabial": {"n": 5, "phonemes": 20.0, "visemes": 40.0, "deleted": 40.0},
        "alveolar stop": {"n": 5, "phonemes": 80.0, "visemes": 80.0, "deleted": 20.0},
        "mid front vowel": {"n": 5, "phonemes": 80.0, "visemes": 80.0, "deleted": 20.0},
        "all": {"n": 15, "phonemes": 60.0, "visemes": 66.67, "deleted": 26.67},
    }
    assert sorted(row["confusions"]) == [("B", "P", 1, True), ("B", "S", 1, False)]
    talkers = {"talkers": {"pretrained": {}}, "sounds": found}
    text = "\n".join(sections(talkers, str, str))
    assert "| bilabial | P B M | 5 | 20 / 40 |" in text and "B as P 1 (alike)" in text and "left out: 16.7 %" in text


def test_another_language_or_no_dictionary_gives_nothing():
    assert sound_breakdown({"r": [[("GUTEN", "GUTEN"), ("TAG", "BAT")]]}, pronounce) is None
    assert sound_breakdown({"r": [[("BAT", "BAT")]]}, lambda words: None) is None


def test_pronunciations_are_those_of_the_dictionary():
    pytest.importorskip("pocketsphinx", reason="the dictionary comes with pocketsphinx")
    assert pronunciations(["BIN", "xqzt"]) == {"BIN": [("B", "IH", "N")]}
    assert pronunciations(["A", "BIN"])["A"][0] == ("AH",)
    assert pronunciations(["A", "B"])["A"][0] == ("EY",)  # a letter, where there are others
    assert set(VISEME_OF) >= {phone for phones in pronunciations(["PLEASE"])["PLEASE"] for phone in phones}
