"""Stage 6: scores of ground truth and of every row that was spoken."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from v2skit.config.load import to_tree
from v2skit.data.data_dir import Utterance, read_manifest
from v2skit.errors import UserError
from v2skit.media.ark import exists
from v2skit.media.audio import read_audio
from v2skit.recipes.recipe import Recipe, Row, digest
from v2skit.system.atomic import write_text
from v2skit.system.extras import needs


def score(
    recipe: Recipe,
    rows: dict[str, Row],
    pairs: tuple[tuple[str, str], ...],
) -> None:
    """Score every row, and the paired differences between some.

    Args:
        recipe: whose test set it is.
        rows: by name.
        pairs: of rows whose difference is reported.

    Raises:
        UserError: speech is missing, or was made from something else than now.
    """
    with needs("evaluate", "scoring"):
        from v2skit.evaluation.plots import spectrogram_picture
    from v2skit.evaluation.report import write_results
    from v2skit.evaluation.score import score as score_files

    config, directory = recipe.config, recipe.test
    utterances = read_manifest(directory)
    folders = {row: recipe.exp / "synth" / row for row in rows}
    sources = {name: _speech_source(recipe, folders[name], row, utterances) for name, row in rows.items()}
    made_from = {"speech": sources, "scoring": to_tree(config.scoring), "seed": config.seed, "data": digest(directory)}
    record, results = recipe.exp / "scored.json", recipe.exp / "results.md"
    if (
        recipe.force
        or not (record.exists() and results.exists())
        or json.loads(record.read_text(encoding="utf-8")) != made_from
    ):
        metrics, asr = recipe.build_scorers()
        scores = {
            row: score_files(utterances, folder, metrics, asr, config.clock.sample_rate, config.scoring.jobs)
            for row, folder in {"ground_truth": None, **folders}.items()
        }
        write_results(scores, recipe.exp, pairs, bootstrap=config.scoring.bootstrap, seed=config.seed)
        sounds = _sounds(recipe, next((u for u in utterances if u.audio), None), scores)
        if sounds:
            spectrogram_picture(recipe.exp / "spectrograms.png", sounds, config.clock, config.mel)
        write_text(record, json.dumps(made_from))
    print(results.read_text(encoding="utf-8"))
    print(f"results: {recipe.exp}/results.json, results.md and spectrograms.png")


def _sounds(recipe: Recipe, utterance: Utterance | None, rows: Iterable[str]) -> dict[str, np.ndarray]:
    """One test clip, as every row of the results has it: row -> waveform (N,)."""
    if utterance is None:
        return {}
    rate = recipe.config.clock.sample_rate
    files = {row: recipe.exp / "synth" / row / f"{utterance.id}.wav" for row in rows}
    if utterance.audio is not None:
        files["ground_truth"] = utterance.audio
    return {row.replace("_", " "): read_audio(path, rate) for row, path in files.items() if exists(path)}


def _speech_source(recipe: Recipe, folder: Path, row: Row, utterances: list[Utterance]) -> dict:
    """What a row's speech was made from. Raises UserError where it is not whole, or not made from what is there now."""
    record = folder / "source.json"
    wanted = [u.id for u in utterances if u.audio or not row.hears]
    if not record.exists() or any(not (folder / f"{name}.wav").exists() for name in wanted):
        raise UserError(f"{folder} has no speech to score, or not all of it; stage 5 makes it")
    made, now = json.loads(record.read_text(encoding="utf-8")), recipe.made_of(row)
    if made != now:
        differs = sorted(key for key in {*made, *now} if made.get(key) != now.get(key))
        raise UserError(f"{folder} was not made from what is there now (other {', '.join(differs)}); run stage 5 again")
    return made
