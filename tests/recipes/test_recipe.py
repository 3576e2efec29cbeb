"""A recipe's parts, as its config names them."""

import pytest
import torch

from v2skit.config.load import load_config
from v2skit.errors import UserError
from v2skit.recipes.recipe import Recipe


def test_messages_of_an_audio_corpus_name_its_key(tiny, tmp_path):
    config = load_config(tiny, ["audio_corpus={type: librispeech}"])
    corpora = Recipe(config, tmp_path, tmp_path / "exp", force=False, device=torch.device("cpu")).build_corpora()
    with pytest.raises(UserError, match="--set audio_corpus.corpus_dir=DIR") as error:
        corpora[1].obtain()
    assert error.value.fields == {"key": "audio_corpus"}
