"""Transcripts as corpora distribute them."""

import pytest

from v2skit.corpora.transcript import words
from v2skit.text.normalise import normalise
from v2skit.text.spoken import spoken_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Żółć – „Grüße“, it’s_so", "ŻÓŁĆ GRÜSSE IT'S SO"),
        ("Don't stop, he said: 'no'.", "DON'T STOP HE SAID NO"),
        (" -- ", None),
        ("नमस्ते, दुनिया!", "नमस्ते दुनिया"),
        ("தமிழ் மொழி", "தமிழ் மொழி"),
        ("שָׁלוֹם", "שָׁלוֹם"),
        ("cafe\u0301 cre\u0300me", "CAFÉ CRÈME"),
        ("πρωΐ, ταΐζω", "ΠΡΩΪ́ ΤΑΪ́ΖΩ"),
        ("می\u200cخواهم co\u00adop", "میخواهم COOP"),
        ("ก\u200bข", "ก ข"),
        ("I ❤️ you ´ ¨", "I YOU"),
        ("❤️", None),
    ],
)
def test_words_are_upper_case_without_punctuation(text, expected):
    assert words(text) == expected
    assert expected is None or (words(expected) == expected and spoken_words(text) == expected.split())
    assert expected is None or normalise(expected) == normalise(text) or "ß" in text
