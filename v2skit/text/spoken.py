"""English text as it is said: words alone, with numbers spelled out."""

from __future__ import annotations

import re

from v2skit.text.normalise import capitals

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = ("", "", *"twenty thirty forty fifty sixty seventy eighty ninety".split())
_PARTS = re.compile(r"\d+|\D+")


def spoken_words(text: str) -> list[str]:
    """Words in upper case, without punctuation, as transcripts of corpora have them: ``"Bin blue at F2, now."`` ->
    ``["BIN", "BLUE", "AT", "F", "TWO", "NOW"]``.

    Whole numbers up to 999,999 are spelled out; longer ones, and those that begin with 0, digit by digit.
    """
    without_separators = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    words: list[str] = []
    for part in (part for word in capitals(without_separators).split() for part in _PARTS.findall(word)):
        words += map(str.upper, _number(part)) if part.isdecimal() else [part.strip("'")]
    return [word for word in words if word]


def _number(digits: str) -> list[str]:
    value = int(digits)
    if len(digits) > 6 or (digits[0] == "0" and len(digits) > 1):
        return [_ONES[int(digit)] for digit in digits]
    if value < 20:
        return [_ONES[value]]
    if value < 100:
        return [_TENS[value // 10], *(_number(str(value % 10)) if value % 10 else ())]
    size, name = (100, "hundred") if value < 1000 else (1000, "thousand")
    return [*_number(str(value // size)), name, *(_number(str(value % size)) if value % size else ())]
