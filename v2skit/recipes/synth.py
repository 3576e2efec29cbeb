"""Stage 5: the test set is synthesised for every row of the results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from v2skit.config.load import to_tree
from v2skit.models.places import digest_in
from v2skit.recipes.data import digest
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.subsets import check_source, check_test_data
from v2skit.synthesis.directory import speech_folder


@dataclass(frozen=True)
class ResultsRow:
    """A row of the results.

    Args:
        made_from: the checkpoints and the vocoder of its speech, for the record. Raises UserError where one is missing.
        synthesise: writes its speech into a folder; files that are there already are skipped.
        uses_reference_audio: the input is the test set's own audio, so clips without audio are not in it.
        reads_lips: it is synthesised by a V2A model, whose heads also read the test set where they decode text.
        note: what readers of its scores should know.
    """

    made_from: Callable[[], dict]
    synthesise: Callable[[Path], None]
    uses_reference_audio: bool = False
    reads_lips: bool = False
    note: str = ""


def synth(recipe: Recipe, rows: dict[str, ResultsRow]) -> None:
    """Synthesise the test set into ``synth/<row>/``. Only the rows of an upper bound read its audio."""
    for name, row in rows.items():
        out = folder(recipe, name)
        with speech_folder(out, made_from(recipe, row), recipe.force):
            row.synthesise(out)
    print(f"speech: {recipe.exp / 'synth'}/")


def folder(recipe: Recipe, row: str) -> Path:
    """The folder of a row's speech."""
    return recipe.exp / "synth" / row


def made_from(recipe: Recipe, row: ResultsRow) -> dict:
    """What a row's speech is made from. Raises UserError where a part of that is missing, or the test set is a share of
    what has other content since, or its audio is shifted."""
    check_source(recipe.test)
    check_test_data(recipe.test)
    tree = to_tree(recipe.config)
    return {**row.made_from(), "clock": tree["clock"], "mel": tree["mel"], "data": digest(recipe.test)}


def checkpoint_source(place: Path) -> dict:
    """A checkpoint or a pack, for the record of what speech was made from."""
    return {"checkpoint": place.name, "digest": digest_in(place)}
