"""The sentences of GRID's grammar, and those of them that GRID has."""

import csv
import gzip
from collections import Counter

from tests.media_files import real_data
from v2skit.corpora.grid_grammar import WORDS, all_codes, unrecorded_codes


def test_every_talker_says_every_colour_letter_and_digit_once():
    """So that each of the 1000 combinations lacks 64 - 34 of the 64 commands, prepositions and adverbs."""
    codes = unrecorded_codes()
    assert len(all_codes()) == 64000 == len(set(all_codes())) and all_codes()[0] == "bbaaza"
    assert len(codes) == 30000 == len(set(codes)) and set(codes) < set(all_codes())
    assert all(letter in words for code in codes for letter, words in zip(code, WORDS, strict=True))
    assert Counter(Counter((code[1], code[3:5]) for code in codes).values()) == {30: 1000}
    assert not set(codes) & {"bbaf2n", "bbaf3s", "bbaf4p", "bbaf5a"}, "which s1 says"


def test_they_are_those_that_the_alignments_lack():
    table = real_data("grid_sentences.tsv.gz")
    with gzip.open(table, "rt", encoding="utf-8") as lines:
        recorded = {row["code"] for row in csv.DictReader(lines, delimiter="\t")}
    assert recorded == set(all_codes()) - set(unrecorded_codes())
