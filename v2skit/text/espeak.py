"""The shared library of espeak-ng, and the phonemes it gives for text."""

from __future__ import annotations

import _ctypes
import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager

from v2skit.errors import UserError
from v2skit.system.extras import needs

SAMPLE_RATE = 22050
"""Of espeak-ng's speech, Hz; it returns this number when it starts."""

# From espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2
_UTF8, _IPA = 1, 2
_SEPARATOR = "_"
_LANGUAGE = re.compile(r"\([a-z-]+\)")  # marks words that are pronounced as those of another language
_STRESS = str.maketrans("", "", "ˈˌ")


@contextmanager
def library(extra: str, what: str, events: int = 0) -> Iterator[ctypes.CDLL]:
    """espeak-ng, started. It carries state from one call to the next, which no call resets, so that each user loads it
    afresh; this takes about 1 ms.

    Args:
        extra: the extra that installs it for this user.
        what: the user, for messages.
        events: its options for events.

    Raises:
        UserError: it is not installed, or does not start.
    """
    with needs(extra, what):
        import espeakng_loader

    loaded, data = ctypes.CDLL(str(espeakng_loader.get_library_path())), str(espeakng_loader.get_data_path())
    try:
        if loaded.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), events) != SAMPLE_RATE:
            raise UserError(f"espeak-ng can't start with the data at {data}; reinstall espeakng-loader")
        yield loaded
    finally:
        loaded.espeak_Terminate()
        _ctypes.dlclose(loaded._handle)


def phonemes(text: str, language: str, stress: bool = False) -> list[list[str]]:
    """The phonemes of a text, in IPA, by words as espeak-ng separates them.

    Args:
        text: without punctuation.
        language: a voice of espeak-ng, such as ``en-us``, ``de``, ``cmn``.
        stress: with stress marks, each at the beginning of its vowel.

    Raises:
        UserError: espeak-ng is not installed, or has no such language.
    """
    with library("text", "tokenizer 'phonemes'") as espeak:
        if espeak.espeak_SetVoiceByName(language.encode()):
            raise UserError(f"espeak-ng has no language '{language}'; give one of its voices, such as en-us, de or cmn")
        convert = espeak.espeak_TextToPhonemes
        convert.restype, convert.argtypes = (
            ctypes.c_char_p,
            [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int],
        )
        rest, clauses = ctypes.c_char_p(text.encode()), []
        while rest.value:  # it converts one clause at a time, and moves the pointer behind it
            clauses.append(convert(ctypes.byref(rest), _UTF8, ord(_SEPARATOR) << 8 | _IPA).decode())
    words = _LANGUAGE.sub("", " ".join(clauses)).translate({} if stress else _STRESS).split()
    return [[phoneme for phoneme in word.split(_SEPARATOR) if phoneme] for word in words]
