"""The scores of files, as stage 6 stored them with the speech."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from v2skit.errors import UserError
from v2skit.evaluation.file_scores import CER, WER, FileScores
from v2skit.evaluation.score import SCORES
from v2skit.evaluation.wer import Edits
from v2skit.system.state_file import damaged

_KEYS = tuple(field.name for field in fields(FileScores))
_REMEDY = "stage 6 with --force makes it again"


def scored_folders(folders: Iterable[Path]) -> dict[str, Path]:
    """Name of a results row -> its folder of scored speech; of rows of the same name, the folders are the names.

    Args:
        folders: experiments, or folders of speech.

    Raises:
        UserError: one of them has no scores.
    """
    found = [path for folder in folders for path in _scored_in(folder)]
    unique = len({path.name for path in found}) == len(found)
    return {path.name if unique else str(path): path for path in found}


def read_rows(folders: Mapping[str, Path]) -> dict[str, list[FileScores]]:
    """The scores of folders of speech. Raises UserError where they are damaged."""
    return {name: list(read_files(folder / SCORES)[0].values()) for name, folder in folders.items()}


def read_files(path: Path) -> tuple[dict[str, FileScores], str | None]:
    """Id -> scores of a clip, from ``scores.jsonl``, and the fingerprint of their protocol, None where they have none.
    Raises UserError where the file is damaged."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        files = [_file_scores(row) for row in rows]
        fingerprints = {row.get("protocol") for row in rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(path, error, _REMEDY) from error
    if len(fingerprints) != 1:
        raise damaged(path, "no clips, or clips of several protocols", _REMEDY)
    return {file.id: file for file in files}, fingerprints.pop()


def talkers(rows: Mapping[str, Iterable[FileScores]], speakers: Mapping[str, str] | None = None) -> dict[str, str]:
    """Utterance id -> talker.

    Args:
        rows: of the scores.
        speakers: the same of a data directory; None: as the scores name them.

    Raises:
        UserError: the data directory lacks an utterance.
    """
    found = {file.id: file.speaker for files in rows.values() for file in files}
    if speakers is None:
        return found
    missing = next((key for key in found if key not in speakers), None)
    if missing:
        raise UserError(f"the data directory has no utterance {missing}; give that of these scores with --data")
    return {key: speakers[key] for key in found}


def _scored_in(folder: Path) -> list[Path]:
    if (folder / SCORES).is_file():
        return [folder]
    paths = sorted(path.parent for path in (folder / "synth").glob(f"*/{SCORES}"))
    if not paths:
        raise UserError(f"{folder} has no {SCORES}, and none in synth/; stage 6 writes them")
    return paths


def _file_scores(row: dict[str, Any]) -> FileScores:
    """The scores of a clip. A number that is not finite, and an error rate of a reference without words, which other
    programs may have written, are failures."""
    known = {key: row[key] for key in _KEYS if key in row}
    values = {name: float(value) for name, value in known.get("values", {}).items()}
    failures = {name: f"not finite: {value}" for name, value in values.items() if not math.isfinite(value)}
    for name, key in ((WER, "edits"), (CER, "character_edits")):
        if known.get(key):
            known[key] = Edits(**known[key])
            if not known[key].words:
                known[key], failures[name] = None, "the reference has no words"
    known["values"] = {name: value for name, value in values.items() if name not in failures}
    known["failures"] = known.get("failures", {}) | failures
    if known.get("aligned"):
        known["aligned"] = _file_scores(known["aligned"])
    # Scores of earlier versions do not name the speaker, with whose name ids begin.
    return FileScores(**{"speaker": known["id"].partition("-")[0], **known})
