"""What the neural voices say: sentences of the GRID grammar or of a file, and who says which of them in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from v2skit.corpora.grid_grammar import sentence_from_code, unrecorded_codes
from v2skit.corpora.transcript import words
from v2skit.errors import UserError

MAX_CHARACTERS = 400
"""Of a sentence, about half a minute; Kokoro's context of 509 phonemes is hardly longer."""


@dataclass(frozen=True)
class Sentence:
    """A sentence to synthesise.

    Args:
        name: unique among the sentences, part of the utterance's id.
        text: with punctuation, where the source has it.
        isolated: pronounce each word as if it were alone.
    """

    name: str
    text: str
    isolated: bool = False


def grid_sentences() -> list[Sentence]:
    """The 30,000 sentences of the GRID grammar that no talker of GRID says, by code."""
    return [Sentence(code, sentence_from_code(code), isolated=True) for code in unrecorded_codes()]


def file_sentences(path: Path) -> list[Sentence]:
    """The lines of a UTF-8 text file that are not blank, by line number.

    Raises:
        UserError: it can't be read, or a line has no words or is too long.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} can't be read ({error}); give a UTF-8 text file with a sentence a line") from error
    sentences = []
    for number, line in enumerate((" ".join(line.split()) for line in lines), 1):
        if not line:
            continue
        if words(line) is None:
            raise UserError(f"{path}:{number} has no words; delete that line")
        if len(line) > MAX_CHARACTERS:
            raise UserError(f"{path}:{number} has {len(line)} characters; divide it into lines of {MAX_CHARACTERS}")
        sentences.append(Sentence(f"{number:06d}", line))
    if not sentences:
        raise UserError(f"{path} is empty; give a text file with a sentence a line")
    return sentences


def plan(sentences: Sequence[Sentence], voices: Sequence[str], seed: int) -> Iterator[tuple[str, Sentence]]:
    """Voices and sentences, in an order of which every beginning is balanced: voices alternate, and a sentence is
    repeated, in another voice, only after all sentences."""
    order = np.random.default_rng(seed).permutation(len(sentences))
    for repetition in range(len(voices)):
        for place, index in enumerate(order):
            yield voices[(place + repetition) % len(voices)], sentences[index]
