from itertools import pairwise

import numpy as np
import pytest

from v2skit.errors import UserError
from v2skit.evaluation.forced_alignment import ForcedAligner

SENTENCE = "PLACE RED AT A NOW"


@pytest.fixture(scope="module")
def aligner():
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed")
    return ForcedAligner()


@pytest.fixture(scope="module")
def speech():
    pytest.importorskip("espeakng_loader", reason="espeakng-loader is not installed")
    from v2skit.corpora.mini.speech import SAMPLE_RATE, VOICES, speak

    sound = speak(SENTENCE, VOICES[0], 130).waveform
    return np.concatenate([np.zeros(SAMPLE_RATE), sound]), SAMPLE_RATE


def test_sounds_are_in_order_where_they_are_said(aligner, speech):
    waveform, rate = speech
    sounds = aligner(waveform + 1e-4 * np.random.default_rng(0).standard_normal(len(waveform)), rate, SENTENCE)
    said = [sound for sound in sounds if sound.phoneme != "SIL"]
    names = [sound.phoneme for sound in said]
    assert (
        names[:4] == ["P", "L", "EY", "S"] and names[-2:] == ["N", "AW"] and ("EY" in names[-3:] or "AH" in names[-3:])
    )
    assert 0.9 < said[0].start < 1.2 and said[-1].end <= len(waveform) / rate
    assert all(one.end == other.start for one, other in pairwise(sounds))


def test_words_are_those_of_the_text_where_their_sounds_are(aligner, speech):
    waveform, rate = speech
    noisy = waveform + 1e-4 * np.random.default_rng(0).standard_normal(len(waveform))
    words = aligner.words(noisy, rate, "Place red  at A now")
    assert [word.text for word in words] == ["Place", "red", "at", "A", "now"]
    sounds = [sound for sound in aligner(noisy, rate, SENTENCE) if sound.phoneme != "SIL"]
    assert (words[0].start, words[0].end) == (sounds[0].start, sounds[3].end)
    assert words[-1].start == sounds[-2].start
    assert all(one.end <= other.start for one, other in pairwise(words))


def test_what_can_not_be_aligned_is_named(aligner, speech):
    with pytest.raises(UserError, match="not in the dictionary"):
        aligner(*speech, "BIN XQZZV")
    for waveform, text in ((np.zeros(24000), SENTENCE), (np.zeros(0), SENTENCE), (speech[0], " ")):
        with pytest.raises(UserError, match="silence, or no text"):
            aligner(waveform, 24000, text)
