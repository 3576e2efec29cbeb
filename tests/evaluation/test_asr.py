"""PocketSphinx understands the GRID grammar, from espeak-ng and from a person, and repeats itself."""

import pickle

import numpy as np
import pytest

from tests.evaluation.signals import RATE, babble
from tests.media_files import real_data
from v2skit.corpora.grid_grammar import jsgf, sentence_from_code
from v2skit.errors import UserError
from v2skit.evaluation.wer import count_edits
from v2skit.registry.plugins import registry

SENTENCES = ("BIN BLUE AT F TWO NOW", "PLACE RED WITH S FIVE PLEASE", "SET WHITE IN R NINE SOON")


def recogniser(grammar):
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed")
    return registry().entry("asr", "pocketsphinx").load()(grammar=grammar)


@pytest.fixture(scope="module")
def asr():
    return recogniser(jsgf())


@pytest.fixture(scope="module")
def utterances():
    pytest.importorskip("espeakng_loader", reason="espeakng-loader is not installed")
    from v2skit.corpora.mini.speech import SAMPLE_RATE, VOICES, speak

    assert SAMPLE_RATE == RATE
    noise = 1.5e-4 * np.random.default_rng(0).standard_normal(10 * RATE)
    sounds = [speak(sentence, VOICES[0], 150).waveform for sentence in SENTENCES]
    return [sound + noise[: len(sound)] for sound in sounds]


def test_a_grid_sentence_is_recognised(asr, utterances):
    assert [" ".join(asr(sound, RATE)) for sound in utterances] == list(SENTENCES)


def test_words_do_not_depend_on_order_or_level(asr, utterances):
    first = asr(utterances[0], RATE)
    asr(babble(3.0), RATE)
    assert asr(utterances[0], RATE) == first
    assert asr(3e-5 * utterances[0], RATE) == asr(utterances[0].astype(np.float32), RATE) == first


def test_a_copy_in_another_process_recognises_the_same(asr, utterances):
    again = pickle.loads(pickle.dumps(asr))
    assert again.protocol == asr.protocol and "PocketSphinx" in asr.protocol and "grammar" in asr.protocol
    assert again(utterances[1], RATE) == asr(utterances[1], RATE)


def test_silence_and_no_sound_at_all_have_no_words(asr):
    assert asr(np.zeros(RATE, np.float32), RATE) == asr(np.zeros(0, np.float32), RATE) == []


def test_samples_that_are_not_finite_are_refused(asr):
    with pytest.raises(UserError, match="not finite"):
        asr(np.full(RATE, np.nan), RATE)


def words_grammar(*words):
    return f"#JSGF V1.0;\ngrammar lrw;\npublic <word> = {' | '.join(words)};\n"


def test_a_word_of_a_closed_list_is_recognised(utterances):
    from v2skit.corpora.mini.speech import SAMPLE_RATE, VOICES, speak

    asr = recogniser(words_grammar("about", "business", "government", "weather", "syrian"))
    assert [asr(speak(word, VOICES[0], 150).waveform, SAMPLE_RATE) for word in ("BUSINESS", "WEATHER")] == [
        ["BUSINESS"],
        ["WEATHER"],
    ]


def test_words_without_a_pronunciation_are_named_and_can_be_given_one():
    with pytest.raises(UserError, match="lacks brexiteer, xqzzv: give scoring.asr.pronunciations"):
        recogniser(words_grammar("about", "xqzzv", "brexiteer"))
    kind = type(recogniser(None))
    asr = kind(words_grammar("about", "xqzzv"), pronunciations={"XQZZV": "k w ih z"})
    assert "XQZZV" in asr.protocol and pickle.loads(pickle.dumps(asr)).protocol == asr.protocol
    with pytest.raises(UserError, match="'k w QQ' of 'xqzzv' can't be used; give phones"):
        kind(words_grammar("about"), pronunciations={"xqzzv": "k w QQ"})


@pytest.mark.parametrize("grammar", ["this is no grammar", jsgf().replace("blue", "xqzzv")])
def test_a_grammar_that_can_not_be_used_is_refused(grammar):
    with pytest.raises(UserError, match="grammar can't be used.*dictionary"):
        recogniser(grammar)


def test_without_a_grammar_the_vocabulary_is_open(utterances):
    assert "n-gram" in recogniser(None).protocol
    assert len(recogniser(None)(utterances[0], RATE)) >= 3


def test_a_person_is_understood(asr):
    from v2skit.media.audio_stream import decode_audio

    edits = []
    for path in sorted(real_data("grid/s1").glob("*.mpg"))[::80]:
        words = sentence_from_code(path.stem).split()
        edits.append(count_edits(words, asr(decode_audio(path, RATE), RATE)))
    assert len(edits) >= 8
    assert sum(e.errors for e in edits) < 0.2 * sum(e.words for e in edits)
