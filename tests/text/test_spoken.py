"""English text as it is said."""

import pytest

from v2skit.text.spoken import spoken_words


@pytest.mark.parametrize(
    "text, words",
    [
        ("Bin blue at F2, now.", "BIN BLUE AT F TWO NOW"),
        (" Set white in R9 soon!", "SET WHITE IN R NINE SOON"),
        ("It's 10 o'clock -- 'tis late", "IT'S TEN O'CLOCK TIS LATE"),
        ("1,234 people; 90210", "ONE THOUSAND TWO HUNDRED THIRTY FOUR PEOPLE NINETY THOUSAND TWO HUNDRED TEN"),
        ("100, 007 and 1000000", "ONE HUNDRED ZERO ZERO SEVEN AND ONE ZERO ZERO ZERO ZERO ZERO ZERO"),
        ("... ?", ""),
    ],
)
def test_words_and_numbers(text, words):
    assert spoken_words(text) == words.split()
