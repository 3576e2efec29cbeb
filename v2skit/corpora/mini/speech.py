"""Speech synthesis by espeak-ng: a waveform and the start times of its phonemes."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from v2skit.errors import UserError
from v2skit.system.extras import needs
from v2skit.text import espeak

VOICES = ("en-us+m6", "en-us+f1", "en-us+adam", "en-us+f5", "en-us+m5", "en-us+f3", "en-us+m1", "en-us+f2")
"""Male and female alternate. American, because then Z rhymes with the Z of pocketsphinx's dictionary."""

SAMPLE_RATE = 24000
SPELLING = {"A": "eigh"}
"""The letter A would be read as the article."""

# From espeak-ng's speak_lib.h.
_PHONEME_EVENTS, _PHONEMES_IN_IPA = 1, 2
_PARAMETER_RATE = 1
_EVENT_LIST_END, _EVENT_PHONEME = 0, 7
_CHARACTERS, _UTF8 = 1, 1


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("phoneme", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)  # (samples, their number, events until an _EVENT_LIST_END) -> 0 to continue


@dataclass(frozen=True)
class Speech:
    """Synthesised speech.

    Args:
        waveform: (N,) float64 in [-1, 1], at ``SAMPLE_RATE``.
        phonemes: (start in seconds, IPA) in order of time; an empty name is a pause.
    """

    waveform: np.ndarray
    phonemes: list[tuple[float, str]]


def speak(sentence: str, voice: str, words_per_minute: int) -> Speech:
    """Synthesise one sentence; the samples are a function of the arguments: the state that espeak-ng carries (phases,
    flutter, noise) ends with the sentence.

    Args:
        sentence: words in upper case.
        voice: an espeak-ng voice, with its variant after a ``+``.
        words_per_minute: speaking rate, 80 to 450.

    Raises:
        UserError: espeak-ng does not start or does not know the voice.
    """
    with needs("mini", "the mini corpus"):
        import_module("scipy.signal")  # first used after espeak-ng has synthesised

    with espeak.library("mini", "the mini corpus", _PHONEME_EVENTS | _PHONEMES_IN_IPA) as library:
        return _speak(library, sentence, voice, words_per_minute)


def _speak(library: ctypes.CDLL, sentence: str, voice: str, words_per_minute: int) -> Speech:
    pieces: list[np.ndarray] = []
    phonemes: list[tuple[float, str]] = []

    def collect(samples: ctypes._Pointer, count: int, events: ctypes._Pointer) -> int:
        if samples and count:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _EVENT_LIST_END:
            if events[index].type == _EVENT_PHONEME:
                phonemes.append((events[index].sample / espeak.SAMPLE_RATE, events[index].id.phoneme.decode("utf-8")))
            index += 1
        return 0

    library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # the breath of some voices is seeded with the time of day
    callback = _Callback(collect)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()):
        raise UserError(f"espeak-ng has no voice '{voice}'; known to work: {', '.join(VOICES)}")
    library.espeak_SetParameter(_PARAMETER_RATE, words_per_minute, 0)
    text = " ".join(SPELLING.get(word, word.lower()) for word in sentence.split()).encode()
    library.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, _CHARACTERS, 0, _UTF8, None, None)
    if not pieces:
        raise UserError(f"espeak-ng synthesised no samples for '{sentence}'; reinstall espeakng-loader")
    from scipy.signal import resample_poly

    waveform = resample_poly(np.concatenate(pieces) / 32768.0, SAMPLE_RATE // 150, espeak.SAMPLE_RATE // 150)
    return Speech(waveform, phonemes)
