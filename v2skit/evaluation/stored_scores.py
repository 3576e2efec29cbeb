"""The scores of files, as stage 6 stored them with the speech."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from v2skit.errors import UserError
from v2skit.evaluation.file_scores import FileScores
from v2skit.evaluation.score import SCORES
from v2skit.evaluation.wer import Edits

_FIELDS = {field.name for field in fields(FileScores)}


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
    return {name: _read(folder / SCORES) for name, folder in folders.items()}


def talkers(rows: Mapping[str, Iterable[FileScores]], speakers: Mapping[str, str] | None) -> dict[str, str]:
    """Utterance id -> talker.

    Args:
        rows: of the scores.
        speakers: the same of a data directory; None: the part of the id before the first hyphen.

    Raises:
        UserError: the data directory lacks an utterance.
    """
    ids = [file.id for files in rows.values() for file in files]
    if speakers is None:
        return {key: key.partition("-")[0] for key in ids}
    missing = next((key for key in ids if key not in speakers), None)
    if missing:
        raise UserError(f"the data directory has no utterance {missing}; give that of these scores with --data")
    return {key: speakers[key] for key in ids}


def _scored_in(folder: Path) -> list[Path]:
    if (folder / SCORES).is_file():
        return [folder]
    paths = sorted(path.parent for path in (folder / "synth").glob(f"*/{SCORES}"))
    if not paths:
        raise UserError(f"{folder} has no {SCORES}, and none in synth/; stage 6 writes them")
    return paths


def _read(path: Path) -> list[FileScores]:
    try:
        return [_parsed(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is damaged ({error}); run stage 6 again with --force") from error


def _parsed(tree: dict[str, Any]) -> FileScores:
    known = {key: value for key, value in tree.items() if key in _FIELDS and key not in ("edits", "aligned")}
    edits, aligned = tree.get("edits"), tree.get("aligned")
    return FileScores(**known, edits=Edits(**edits) if edits else None, aligned=_parsed(aligned) if aligned else None)
