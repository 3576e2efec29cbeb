"""English text -> the phonemes that Kokoro was trained on: IPA, with one letter for each diphthong and affricate."""

from __future__ import annotations

import re

from v2skit.text import espeak

US, BRITISH = "en-us", "en"
"""The names of the languages in espeak-ng."""

SYMBOLS = {
    symbol: first + number
    for first, symbols in {
        1: ";:,.!?", 9: "—…\"()“” \u0303ʣʥʦʨᵝꭧAI", 31: "O", 33: "Q", 35: "ST", 39: "W", 41: "Yᵊabcdef",
        50: "hijklmnopqrstuvwxyzɑɐɒæ", 75: "βɔɕç", 80: "ɖðʤə", 85: "ɚɛɜ", 90: "ɟ", 92: "ɡ", 99: "ɥ", 101: "ɨɪʝ",
        110: "ɯɰŋɳɲɴø", 118: "ɸθœ", 123: "ɹ", 125: "ɾɻ", 128: "ʁɽʂʃʈʧ", 135: "ʊʋ", 138: "ʌɣɤ", 142: "χʎ", 147: "ʒʔ",
        156: "ˈˌː", 162: "ʰ", 164: "ʲ", 169: "↓", 171: "→↗↘", 177: "ᵻ",
    }.items()
    for number, symbol in enumerate(symbols)
}  # fmt: skip
"""Phoneme, mark or punctuation -> its token in Kokoro-82M v1.0; 0 is the padding."""

_BOTH = (
    ("eɪ", "A"), ("aɪ", "I"), ("aʊ", "W"), ("ɔɪ", "Y"), ("tʃ", "ʧ"), ("dʒ", "ʤ"),
    ("əl", "ᵊl"), ("n̩", "ᵊn"), ("l̩", "ᵊl"), ("ɚ", "əɹ"), ("ɐ", "ə"), ("ʔ", "t"), ("r", "ɹ"), ("x", "k"), ("ç", "k"),
)  # fmt: skip
_OF = {
    US: (("oʊ", "O"), *_BOTH, ("ɜː", "ɜɹ"), ("ɾ", "T"), ("ː", ""), ("o", "ɔ")),
    BRITISH: (("əʊ", "Q"), ("eə", "ɛː"), ("iə", "ɪə"), *_BOTH, ("oː", "ɔː")),
}
"""Language -> replacements, in this order, in each of espeak-ng's phonemes."""

_PAUSES = ",;:.!?…—"
_PAUSE = re.compile(rf"\s*([{_PAUSES}]+)(?=\s|$)\s*")
_QUOTES = str.maketrans("", "", '"“”()[]{}')


def kokoro_phonemes(text: str, language: str, isolated: bool = False) -> str:
    """The phonemes of an English text.

    Args:
        text: a sentence with words; its commas and full stops make pauses.
        language: ``US`` or ``BRITISH``.
        isolated: pronounce each word as if it were alone: letters are spelled (``A`` is no article), and the t of
            ``at`` is no flap.

    Returns:
        symbols of :data:`SYMBOLS`; those of other languages' sounds that it lacks are left out.

    Raises:
        UserError: espeak-ng is not installed.
    """
    text = text.translate(_QUOTES).strip()
    pieces = _PAUSE.split(text if text.endswith(tuple(_PAUSES)) else f"{text}.")  # text, pause, text, pause, ...
    phrases = (_words(piece.split() if isolated else [piece], language) for piece in pieces[::2])
    return " ".join(words + pause[:1] for words, pause in zip(phrases, [*pieces[1::2], ""], strict=True)).strip()


def _words(parts: list[str], language: str) -> str:
    words = [word for part in parts for word in espeak.phonemes(part, language, stress=True)]
    return " ".join("".join(_symbols(phoneme, language) for phoneme in word).replace("ɜɹɹ", "ɜɹ") for word in words)


def _symbols(phoneme: str, language: str) -> str:
    for ipa, symbol in _OF[language]:
        phoneme = phoneme.replace(ipa, symbol)
    return "".join(symbol for symbol in phoneme if symbol in SYMBOLS)
