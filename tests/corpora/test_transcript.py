"""Transcripts as corpora distribute them."""

import pytest

from v2skit.corpora.transcript import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Żółć – „Grüße“, it’s_so", "ŻÓŁĆ GRÜSSE IT'S SO"),
        ("Don't stop, he said: 'no'.", "DON'T STOP HE SAID NO"),
        (" -- ", None),
    ],
)
def test_words_are_upper_case_without_punctuation(text, expected):
    assert words(text) == expected
