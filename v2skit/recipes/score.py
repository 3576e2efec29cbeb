"""Stage 6: scores of the ground truth and of every row's speech."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from v2skit.config.load import identity
from v2skit.data.data_dir import Utterance, read_manifest
from v2skit.errors import UserError
from v2skit.media.audio import read_audio
from v2skit.recipes import synth
from v2skit.recipes.conditions import conditions, protocol_of
from v2skit.recipes.data import digest
from v2skit.recipes.lip_reading import lip_readings
from v2skit.recipes.recipe import Recipe
from v2skit.registry import plugins
from v2skit.registry.events import report_sections
from v2skit.synthesis.directory import SPEECH_RECORD
from v2skit.system.atomic import write_text
from v2skit.system.checksum import short_digest
from v2skit.system.extras import needs
from v2skit.system.provenance import Provenance, worded
from v2skit.system.text_file import read_text

LACKING = "no speech to score, or not all of it; stage 5 makes it"
MOST_UNKNOWN = 0.5
"""Share of the transcripts' words that a recogniser may lack without a note."""
CACHE = "score_cache"
"""Folder of an experiment with results by content, see :mod:`v2skit.evaluation.score_cache`."""


def score(
    recipe: Recipe, rows: dict[str, synth.ResultsRow], pairs: tuple[tuple[str, str], ...], model: Path | None = None
) -> None:
    """Score every row, and the paired differences between some.

    Args:
        recipe: whose test set it is.
        rows: by name.
        pairs: of rows whose difference is reported.
        model: that is evaluated; None: that of the recipe.

    Raises:
        UserError: a row's speech was made from other inputs than now, or fields of the protocol do not hold; or, after
            all other rows have been scored, a row has no speech, or not all of it.
    """
    with needs("evaluate", "scoring"):
        from v2skit.evaluation.pages import report
        from v2skit.evaluation.plots import spectrogram_picture
    from v2skit.evaluation.markdown import to_markdown
    from v2skit.evaluation.protocol import stated
    from v2skit.evaluation.report import write_results
    from v2skit.evaluation.score import score as score_files
    from v2skit.evaluation.systems import read_results

    config, exp = recipe.config, recipe.exp
    utterances = read_manifest(recipe.test)
    protocol = protocol_of(recipe)
    fingerprint = protocol.fingerprint if protocol else None
    made = {name: _check_speech(recipe, name, row, utterances) for name, row in rows.items()}
    lacking = {name: f"{synth.folder(recipe, name)} has {LACKING}" for name, found in made.items() if found is None}
    if lacking and len(lacking) == len(rows):
        raise UserError("; ".join(lacking.values()))
    main_row = list(rows)[-1]
    rows = {name: row for name, row in rows.items() if name not in lacking}
    now = Provenance({
        "speech": {name: dict(found.values) for name, found in made.items() if found is not None},
        "scoring": identity(config.scoring),
        "closed_grammar": config.corpus.args.get("closed_grammar"),
        "grammar": short_digest(recipe.build_corpora()[0].grammar()) if config.scoring.asr else None,
        "protocol": fingerprint,
        "seed": config.seed,
        "data": digest(recipe.test),
        "texts": short_digest([(u.id, u.text) for u in utterances]),  # which the digest of the data does not cover
    })  # fmt: skip
    record, results = exp / "scored.json", exp / "results.md"
    before = None if recipe.force else Provenance.read(record)
    again = before is None or not (results.exists() and (exp / "results.json").exists()) or bool(before.diff(now))
    if again:
        settings = config.scoring
        metrics, asr, left_out = recipe.build_scorers()
        for reason in left_out.values():
            print(f"note: {reason}")
        has_text = any(utterance.text for utterance in utterances)
        recogniser = asr if has_text else None
        found = conditions(recipe, metrics, recogniser, utterances, model)
        if protocol:
            protocol.check(found)
        for former in (record, exp / "results.json"):  # neither may stand for other scores
            former.unlink(missing_ok=True)
        folders = {"ground_truth": None, **{name: synth.folder(recipe, name) for name in rows}}
        if recipe.force:
            shutil.rmtree(exp / CACHE, ignore_errors=True)
        videos = videos_of(recipe) if any(getattr(m, "needs_video", False) for m in metrics.values()) else {}
        options = config.clock.sample_rate, settings.jobs, settings.aligned
        scores = {
            row: score_files(
                utterances, folder, metrics, recogniser, *options, fingerprint, exp / CACHE / f"{row}.jsonl", videos
            )
            for row, folder in folders.items()
        }
        readings = lip_readings(recipe, rows, utterances) if has_text else {}
        notes = {name: row.note for name, row in rows.items() if row.note}
        notes |= {f"{name}, left out": reason for name, reason in (left_out | lacking).items()}
        if recogniser and (unknown := _unknown_words(recogniser, utterances)):
            print(f"note: {unknown}")
            notes["error rates of words"] = unknown
        if not has_text and (asr or any(row.reads_lips for row in rows.values())):
            notes["error rates of words, left out"] = f"no clip of {recipe.test} has a transcript"
        of_all = {"main_row": main_row, **stated(protocol, found)}
        write_results(scores, exp, pairs, settings.bootstrap, config.seed, notes, readings, of_all)
        waveforms = _waveforms(recipe, next((u for u in utterances if u.audio), None), scores)
        if waveforms:
            spectrogram_picture(exp / "spectrograms.png", waveforms, config.clock, config.mel)
        # Where the packages may be installed by then, the results are made again.
        Provenance({**now.values, **({"left_out": sorted(left_out)} if left_out else {})}).write(record)
    with plugins.using(config.plugins):
        sections = report_sections(exp)
    content = read_results(exp, whole=True)
    text = "\n".join([to_markdown(content), *(f"{section}\n" for section in sections)])
    if not results.exists() or read_text(results, errors="replace") != text:
        write_text(results, text)
    print(text)
    print(f"results: {exp}/results.json, results.md and spectrograms.png")
    page = exp / report.NAME
    if again or not page.exists() or page.stat().st_mtime < (exp / "results.json").stat().st_mtime:
        report.write_report(page, [exp], report.Choice(work_dir=recipe.work_dir))
    print(f"report: {page}")
    if lacking:
        raise UserError("; ".join(lacking.values()))


def _unknown_words(asr: Any, utterances: list[Utterance]) -> str:
    """What to note of a recogniser that lacks most words of the transcripts, as for another language; "" for others."""
    words = {word for u in utterances for word in (u.text or "").upper().split()}
    lacking: list[str] = asr.unknown(sorted(words)) if hasattr(asr, "unknown") else []
    if len(lacking) <= MOST_UNKNOWN * len(words):
        return ""
    share = f"{len(lacking)} of {len(words)} words of the transcripts, such as {', '.join(lacking[:3])}"
    remedy = "choose another one, or null: scoring.asr, --asr of v2skit evaluate"
    return f"the recogniser's dictionary lacks {share}; is it of another language? {remedy}"


def videos_of(recipe: Recipe) -> dict[str, Path]:
    """Utterance id -> its video, as the corpus lists it. Raises UserError where the corpus is gone."""
    listed = recipe.build_corpora()[0].splits().get(recipe.config.data.test, [])
    return {utterance.id: utterance.video for utterance in listed if utterance.video}


def _waveforms(recipe: Recipe, utterance: Utterance | None, rows: Iterable[str]) -> dict[str, np.ndarray]:
    """One test clip: row of the results -> its waveform (N,)."""
    if utterance is None:
        return {}
    rate = recipe.config.clock.sample_rate
    files = {row: synth.folder(recipe, row) / f"{utterance.id}.wav" for row in rows}
    if utterance.audio is not None:
        files["ground_truth"] = utterance.audio
    waveforms = {}
    for row, path in files.items():
        with suppress(UserError):  # a damaged file is among the failures of the scores
            waveforms[row.replace("_", " ")] = read_audio(path, rate)
    return waveforms


def _check_speech(recipe: Recipe, name: str, row: synth.ResultsRow, utterances: list[Utterance]) -> Provenance | None:
    """The record of a row's speech, None where it is incomplete. Raises UserError where it was made from other inputs
    than now."""
    folder = synth.folder(recipe, name)
    made = Provenance.read(folder / SPEECH_RECORD)
    wanted = [u.id for u in utterances if (u.audio if row.uses_reference_audio else u.video)]
    if made is None or any(not (folder / f"{id_}.wav").exists() for id_ in wanted):
        return None
    differences = made.diff(Provenance(synth.made_from(recipe, row)))
    if differences:
        message = f"{folder} was made from other inputs than now ({worded(differences)}); run stage 5 again"
        raise UserError(message, differences=differences)
    return made
