"""Transcripts as token ids."""

from types import SimpleNamespace

import numpy as np
import pytest

from v2skit.data.targets.tokens import Tokens
from v2skit.errors import UserError
from v2skit.text.characters import Characters

SILENCE = np.zeros(960, np.float32)


def utterances(*texts):
    return [SimpleNamespace(id=f"u{number}", text=text) for number, text in enumerate(texts)]


def test_the_tokenizer_is_learned_from_the_texts_whatever_their_case(tmp_path):
    target = Tokens(Characters())
    state = target.fit(iter(utterances(None, "", "...", "BIN Blue", "ab")), tmp_path)
    assert state == {"symbols": list(" abeilnu")} and not list(tmp_path.iterdir())
    again = Tokens(Characters())
    again.load_state(state)
    ids = again.compute(SILENCE, "bin")
    assert ids.dtype == np.int32 and ids.tolist() == [2, 4, 6]
    assert np.array_equal(again.compute(SILENCE, "BIN!"), ids)


@pytest.mark.parametrize("text", [None, "", " - "])
def test_an_untranscribed_utterance_has_no_tokens(text, tmp_path):
    target = Tokens(Characters())
    target.fit(utterances("a"), tmp_path)
    assert target.compute(SILENCE, text).shape == (0,)


def test_data_without_text_are_refused(tmp_path):
    with pytest.raises(UserError, match="no utterance of the training data has text; give .* a table 'text'"):
        Tokens(Characters()).fit(utterances(None, "", "?"), tmp_path)
