"""Transcripts as token ids."""

from types import SimpleNamespace

import numpy as np
import pytest

from v2skit.errors import UserError
from v2skit.targets.tokens import Tokens
from v2skit.testing import check_target
from v2skit.text.characters import Characters

SILENCE = np.zeros(960, np.float32)


def utterances(*texts):
    return [SimpleNamespace(id=f"u{number}", text=text) for number, text in enumerate(texts)]


def test_the_tokenizer_is_learned_from_the_texts_whatever_their_case():
    target = Tokens(Characters())
    state = target.fit(iter(utterances(None, "", "...", "BIN Blue", "ab")))
    assert state == {"symbols": list(" abeilnu")}
    again = Tokens(Characters())
    again.load_state(state)
    ids = again.compute(SILENCE, "bin")
    assert ids.dtype == np.int32 and ids.tolist() == [2, 4, 6]
    assert np.array_equal(again.compute(SILENCE, "BIN!"), ids)
    check_target(again, SILENCE, 1, "bin blue")


@pytest.mark.parametrize("text", [None, "", " - "])
def test_an_untranscribed_utterance_has_no_tokens(text):
    target = Tokens(Characters())
    target.fit(utterances("a"))
    assert target.compute(SILENCE, text).shape == (0,)


def test_data_without_text_are_refused():
    with pytest.raises(UserError, match="none of the utterances has text; give a data directory a table 'text'"):
        Tokens(Characters()).fit(utterances(None, "", "?"))
