"""The normal form of text."""

import pytest

from v2skit.text.normalise import normalise


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("BIN BLUE AT F TWO NOW", "bin blue at f two now"),
        ("  Don’t stop,\tthe 2 'boys'! ", "don't stop the 2 boys"),
        ("well-known_thing (50%)", "well known thing 50"),
        ("ＦＵＬＬ ﬁne ½", "full fine 1 2"),  # NFKC; the fraction slash is a symbol
        ("e\u0301te\u0301 İ", "\xe9t\xe9 i\u0307"),
        ("नमस्ते दुनिया।", "नमस्ते दुनिया"),  # with combining marks
        (" -- ", ""),
        ("", ""),
    ],
)
def test_words_in_lower_case_without_punctuation(text, normal):
    assert normalise(text) == normal
    assert normalise(normal) == normal


def test_punctuation_can_be_kept():
    assert normalise("Well,  DON’T!", punctuation=True) == "well, don't!"
