"""Tokenizers: decode undoes encode, the same texts give the same state, and a state is all that is stored."""

import base64
import json
import pickle
import sys

import numpy as np
import pytest

from v2skit.corpora.grid_grammar import sample_codes, sentence_from_code
from v2skit.errors import UserError
from v2skit.text.characters import Characters
from v2skit.text.phonemes import Phonemes
from v2skit.text.sentencepiece import SentencePiece

TEXTS = [sentence_from_code(code) for code in sample_codes(40, np.random.default_rng(1))]
MAKE = {
    "characters": Characters,
    "bpe": lambda: SentencePiece("bpe", 60),
    "unigram": lambda: SentencePiece("unigram", 60),
    "char": lambda: SentencePiece("char"),
    "phonemes": Phonemes,
}


@pytest.fixture(params=MAKE)
def make(request):
    pytest.importorskip("sentencepiece", reason="sentencepiece is not installed")
    pytest.importorskip("espeakng_loader", reason="espeakng-loader is not installed")
    return MAKE[request.param]


def test_decode_undoes_encode(make):
    tokenizer = make()
    tokenizer.fit(iter(TEXTS))
    for text in TEXTS:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == tokenizer.normalise(text) != ""
        assert all(0 <= number < tokenizer.size for number in ids)
    assert len({number for text in TEXTS for number in tokenizer.encode(text)}) > 10
    assert tokenizer.encode(" ... ") == [] and tokenizer.decode([]) == "" and tokenizer.normalise("?") == ""


def test_the_state_is_all_and_depends_on_the_texts_only(make):
    tokenizer, again, copy = make(), make(), make()
    state = tokenizer.fit(TEXTS)
    assert again.fit(list(TEXTS)) == state == json.loads(json.dumps(state))
    copy.load_state(json.loads(json.dumps(state)))
    for other in (copy, pickle.loads(pickle.dumps(tokenizer))):
        assert other.size == tokenizer.size and other.encode(TEXTS[0]) == tokenizer.encode(TEXTS[0])
    assert make().fit(["quick foxes jump over lazy dogs"]) != state


def test_the_state_of_another_tokenizer_is_refused(make):
    for state in ({}, {"symbols": 3}, {"model": "AAAA"}):
        with pytest.raises(UserError, match="not that of a tokenizer of this type; fit it again"):
            make().load_state(state)


def test_a_damaged_model_is_refused_on_first_use():
    pytest.importorskip("sentencepiece", reason="sentencepiece is not installed")
    tokenizer = SentencePiece()
    for model in ("AAAA", base64.b64encode(b"no model").decode(), "?"):
        tokenizer.load_state({"model": model, "size": 3})
        with pytest.raises(UserError, match="not that of a tokenizer of this type; fit it again"):
            tokenizer.encode("bin")


def test_characters_are_those_of_the_texts():
    tokenizer = Characters()
    assert tokenizer.fit(["BA A", "c!"]) == {"symbols": [" ", "a", "b", "c"]} and tokenizer.size == 4
    assert tokenizer.encode("Abz, c") == [1, 2, 0, 3]
    assert tokenizer.decode([0, 1, 0, 0, 2, 0]) == "a b"
    assert Characters(punctuation=True).fit(["c!"]) == {"symbols": ["!", "c"]}


def test_subwords_are_longer_than_characters_and_unknown_characters_are_left_out():
    pytest.importorskip("sentencepiece", reason="sentencepiece is not installed")
    tokenizer = SentencePiece("bpe", 100)
    tokenizer.fit(TEXTS)
    assert len(tokenizer.encode(TEXTS[0])) < len(TEXTS[0]) / 2
    assert tokenizer.decode(tokenizer.encode("bin $ blue ф")) == "bin blue"
    assert SentencePiece("unigram", 30).fit(TEXTS) != SentencePiece("unigram", 40).fit(TEXTS)


def test_too_few_subwords_are_refused_with_the_reason():
    pytest.importorskip("sentencepiece", reason="sentencepiece is not installed")
    with pytest.raises(UserError, match="can't learn 5 tokens .*smaller than required_chars.*give another vocab_size"):
        SentencePiece("bpe", 5).fit(TEXTS)


def test_phonemes_are_those_of_the_language():
    pytest.importorskip("espeakng_loader", reason="espeakng-loader is not installed")
    english = Phonemes()
    assert english.split("Two, blue!") == ["t", "uː", " ", "b", "l", "uː"]
    english.fit(["two blue"])
    assert english.decode(english.encode("BLUE TWO")) == "bluː tuː"
    assert Phonemes("de").normalise("zwei") != english.normalise("zwei")
    with pytest.raises(UserError, match="no language 'xx-nope'; give one of its voices"):
        Phonemes("xx-nope").encode("two")


@pytest.mark.parametrize(("module", "make"), [("sentencepiece", SentencePiece), ("espeakng_loader", Phonemes)])
def test_a_missing_package_is_named_with_its_extra_and_is_not_needed_for_synthesis(monkeypatch, module, make):
    fitted = make()
    state = fitted.fit(TEXTS)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=rf"needs a package .*{module}.*pip install 'v2skit\[text\]'"):
        make().fit(TEXTS)
    loaded = make()
    loaded.load_state(state)
    assert loaded.size == fitted.size, "synthesis needs no more than this"
