"""The scores of files, as stage 6 stored them with the speech."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from v2skit.data.data_dir import check_id
from v2skit.errors import UserError
from v2skit.evaluation.file_scores import CER, WER, FileScores
from v2skit.evaluation.score import SCORES
from v2skit.evaluation.stored_forms import LARGEST, reason_of_form
from v2skit.evaluation.wer import Edits
from v2skit.system.state_file import damaged
from v2skit.system.text_file import read_lines

_SCORES = TypeAdapter(FileScores)
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
    files: dict[str, FileScores] = {}
    fingerprints = set()
    try:
        for line in read_lines(path):
            file, row = _SCORES.validate_json(line, strict=True), json.loads(line)
            check_id(file.id, path, _REMEDY)
            if file.id in files:
                raise damaged(path, f"clip {file.id} has two lines", _REMEDY)
            files[file.id] = _settled(file)
            fingerprints.add(row.get("protocol"))
    except ValidationError as error:
        raise damaged(path, reason_of_form(error), _REMEDY) from error
    except (OSError, ValueError, TypeError) as error:
        raise damaged(path, error, _REMEDY) from error
    if len(fingerprints) != 1:
        raise damaged(path, "no clips, or clips of several protocols", _REMEDY)
    return files, fingerprints.pop()


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


def _settled(file: FileScores) -> FileScores:
    """Scores with the speaker, with whose name ids begin where an earlier version did not write it. A number that is
    not finite, and an error rate of a reference without words, which other programs may have written, are failures."""
    failures = {n: f"not finite: {value}" for n, value in file.values.items() if not abs(value) <= LARGEST}
    edits: dict[str, Edits | None] = {WER: file.edits, CER: file.character_edits}
    failures |= {name: "the reference has no words" for name, found in edits.items() if found and not found.words}
    return replace(
        file,
        values={name: value for name, value in file.values.items() if name not in failures},
        failures=file.failures | failures,
        edits=None if WER in failures else file.edits,
        character_edits=None if CER in failures else file.character_edits,
        speaker=file.speaker or file.id.partition("-")[0],
        aligned=_settled(file.aligned) if file.aligned else None,
    )
