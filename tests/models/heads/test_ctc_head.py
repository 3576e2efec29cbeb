"""The CTC head gives logits at its own rate, and reads the text in them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from v2skit.errors import UserError
from v2skit.models.heads.ctc import Ctc
from v2skit.testing import check_head
from v2skit.text.characters import Characters


def head(upsampling=1):
    tokenizer = Characters()
    tokenizer.fit(["ab c"])  # ids: space 0, a 1, b 2, c 3; blank 4
    torch.manual_seed(0)
    return Ctc(8, {"tokens": SimpleNamespace(tokenizer=tokenizer)}, upsampling=upsampling)


def logits(*paths):
    return torch.stack([10.0 * torch.eye(5)[list(path)] for path in paths])


def test_logits_are_those_of_the_tokens_and_the_blank_at_the_rate_of_the_head():
    mask = torch.tensor([[True, True, True], [True, False, False]])
    module, x = head(upsampling=2), torch.randn(2, 3, 8)
    found = module(x, mask)["tokens"]
    assert found.shape == (2, 6, 5) and (found[1, 2:] == 0).all() and (found[1, :2] != 0).all()
    assert torch.allclose(found[0, 2:4].flatten(), module.linear(x[0, 1]))


def test_repetitions_and_blanks_are_left_out():
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[1, 3:] = False
    found = head().decode(logits([1, 1, 4, 1, 0, 3, 3], [2, 4, 4, 1, 1, 1, 1]), mask)
    assert found == ["aa c", "b"]
    assert head().decode(logits([4] * 7, [4] * 7), mask) == ["", ""]


def test_decoding_ends_with_the_mask_at_the_rate_of_the_head():
    mask = torch.tensor([[True, True], [True, False]])
    assert head(upsampling=2).decode(logits([1, 2, 3, 4], [1, 2, 3, 3]), mask) == ["abc", "ab"]


def test_a_stream_without_tokenizer_is_refused():
    for targets in ({}, {"tokens": SimpleNamespace()}):
        with pytest.raises(UserError, match="stream 'tokens' is not a target with a tokenizer; add it"):
            Ctc(8, targets)


def test_it_keeps_the_contract_of_heads():
    for upsampling in (1, 3):
        check_head(head(upsampling), 8)


def lengths(*rows):
    tokens, frames, whole = map(np.array, zip(*rows, strict=True))
    return tokens, frames, whole


def test_utterances_that_can_not_be_trained_on_are_counted_with_the_remedy():
    fine, untranscribed, short, cut = (5, 9, 1), (0, 9, 0), (12, 5, 1), (5, 9, 0)
    assert head().check_lengths(*lengths(fine, untranscribed)) == ""
    note = head().check_lengths(*lengths(fine, untranscribed, short, cut, cut))
    assert note.startswith("of 4 utterances with tokens, 1 are trained on; 2 are cut to segments: set segment_frames")
    assert note.endswith("1 have more tokens than logits: set upsampling: 3")
    assert head(upsampling=3).check_lengths(*lengths(fine, short)) == ""
    with pytest.raises(UserError, match="0 are trained on; 1 are cut to segments: set segment_frames: null$"):
        head().check_lengths(*lengths(cut, untranscribed))


def test_utterances_that_are_cut_at_some_tempos_are_counted():
    fine, partly, short = (5, 9, 1), (5, 9, 0.5), (12, 5, 0.5)
    note = head().check_lengths(*lengths(fine, partly, short))
    assert note.startswith("of 3 utterances with tokens, 2 are trained on, 1 of them not at all tempos; 1 are cut to")
    assert note.endswith("1 have more tokens than logits: set upsampling: 3")
