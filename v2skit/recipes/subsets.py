"""Data directories made from another one, such as a share of its utterances: tables of their own name its files."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from v2skit.data.data_dir import (
    SETTINGS,
    Utterance,
    is_prepared,
    read_clock,
    read_manifest,
    read_settings,
    write_manifest,
)
from v2skit.data.targets import state_digest
from v2skit.errors import UserError
from v2skit.recipes.stored_streams import content_digest
from v2skit.system.atomic import delete_folder, is_unused, unfinished, waiting_lock, write_text

HASHES = 2**32
"""The utterances of a share are those whose hash is below this part of it."""
RECORD = "subset_of"
"""Key of the settings with the source: ``directory``, relative, ``content``, its digest, and the command's options."""
SPLICED = "copies"
"""Key of that record in directories with spliced utterances."""
REPLACED = ("align", "splice", "voices")
"""Commands of ``v2skit data`` with ``--replace``."""
MADE_FROM = {"align": "speech", "splice": "word times"}
"""Commands whose options name files -> what these contain, which may be other than when the directory was made."""


def write_share(source: Path, share: float, out: Path) -> str:
    """Write a data directory with a share of another one's utterances, by a hash of their ids: a larger share contains
    every smaller one. One that is there already is kept.

    Args:
        source: the other data directory.
        share: above 0 and at most 1.
        out: the folder that is written.

    Returns:
        one line for the user: what is in it.

    Raises:
        UserError: ``source`` is not prepared, the share is out of range or has no utterances, or ``out`` has other
            files or other utterances.
    """
    if not 0 < share <= 1:
        raise UserError(f"share {share:g} must be above 0 and at most 1, e.g. 0.25")

    out = out.resolve()  # of a link to an empty folder, the folder

    def below(utterances: list[Utterance]) -> list[Utterance]:
        kept = [utterance for utterance in utterances if _hash(utterance) < share * HASHES]
        if not kept:
            raise UserError(f"a share of {share:g} has none of the {len(utterances)} utterances of {source}; raise it")
        return kept

    write_subset(source, out, below, ["share", share], share=share)
    whole, kept = read_manifest(source), read_manifest(out)
    hours = sum(utterance.frames for utterance in kept) / read_clock(out).fps / 3600
    speakers, all_speakers = (len({utterance.speaker for utterance in some}) for some in (kept, whole))
    return (
        f"{out}: {len(kept)} of the {len(whole)} utterances of {source}, {hours:.2f} h, {speakers} of its "
        f"{all_speakers} speakers"
    )


def write_subset(
    source: Path,
    directory: Path,
    choose: Callable[[list[Utterance]], list[Utterance]],
    chosen_by: list,
    replace: bool = False,
    **options: Any,
) -> None:
    """Write a data directory with some of the utterances of another one, as :func:`write_derived`; ``choose``: all
    utterances -> those that are kept."""
    write_derived(source, directory, lambda utterances, folder: choose(utterances), chosen_by, replace, **options)


def write_derived(
    source: Path,
    directory: Path,
    make: Callable[[list[Utterance], Path], list[Utterance]],
    made_by: list,
    replace: bool = False,
    **options: Any,
) -> None:
    """Write a data directory whose utterances are made from those of another one, unless it is there already.

    Args:
        source: the other data directory.
        directory: is written, whole or not at all.
        make: (utterances of the source, folder for files of the new ones) -> the new ones. The folder has the files of
            an interrupted call.
        made_by: what identifies ``make`` in the digest of the directory's content.
        replace: what the folder contains, if it is not of these utterances, is deleted.
        options: of the command of ``v2skit data`` that writes the directory again: ``share`` of ``subset``, ``speech``
            of ``align``, relative to the directory, ``pitch`` and ``each`` of ``voices``, ``copies`` and
            ``words``, likewise relative, of ``splice``; none where a stage writes it.

    Raises:
        UserError: ``source`` is not prepared, made from what has other content since, or has spliced utterances; or the
            folder contains something else.
    """
    # Of links to data directories, the links: they move with the recipe.
    source, directory = (place.parent.resolve() / place.name for place in (source, directory))
    check_source(source)
    _check_unspliced(source)
    content = content_digest(source)
    digest = state_digest([content, *made_by])
    with waiting_lock(directory):
        if is_prepared(directory) and read_settings(directory).get("digest") == digest:
            return
        if not (replace or is_unused(directory)):
            check_source(directory)
            made = _made_with(directory, content)
            remedy = "name another folder, or delete it"
            if made and made[0] == made_by[0] and made[0] in REPLACED:
                remedy = "--replace deletes it and writes it again, or name another folder"
            is_made = f"made by v2skit data {shlex.join(made)}" if made else f"not made from {source} as that is now"
            if made and made[0] in MADE_FROM and made == _command(options, directory):
                is_made = (
                    f"made from other {MADE_FROM[made[0]]}, or by another version, with v2skit data {shlex.join(made)}"
                )
            raise UserError(f"{directory} exists, and is {is_made}; {remedy}", path=directory)
        part = unfinished(directory)
        mark = part / "made_by"
        if not mark.is_file() or mark.read_text(encoding="utf-8") != digest:  # else it resumes
            delete_folder(part)
            part.mkdir(parents=True)
            write_text(mark, digest)
        record = {"directory": os.path.relpath(source, directory), "content": content, **options}
        settings = {**read_settings(source), "digest": digest, RECORD: record}
        write_manifest(part, make(read_manifest(source), part), settings, source)
        mark.unlink()
        delete_folder(directory)
        part.rename(directory)


def read_with_audio(source: Path) -> list[Utterance]:
    """The utterances of a data directory. Raises UserError where there are none, or one is without audio."""
    utterances = read_manifest(source)
    if not utterances:
        raise UserError(f"{source} has no utterances; give a data directory that has some")
    if silent := next((u.id for u in utterances if u.audio is None), None):
        raise UserError(f"{source} has no audio of '{silent}'; give a data directory whose utterances all have audio")
    return utterances


def check_source(directory: Path) -> None:
    """Raises UserError where a data directory is made from another one that has other content since: then its tables
    name the places of other clips. Those of versions without a record of the source are not checked."""
    record = read_settings(directory).get(RECORD) if is_prepared(directory) else None
    if record is None:
        return
    try:
        # The settings of a copy of a data folder are a link.
        folder = (directory / SETTINGS).resolve().parent
        path, content = str(record["directory"]), record["content"]
        command = _command(record, folder)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{directory / SETTINGS} is damaged ({RECORD}); delete {directory}", path=directory) from error
    source = Path(os.path.normpath(folder / path))
    remedy = "delete it, and the stage that wrote it writes it again"
    if command:
        words = ["v2skit", "data", command[0], str(source), *command[1:], "--out", str(folder)]
        remedy = f"write it again: {shlex.join(['rm', '-r', str(folder)])} && {shlex.join(words)}"
    if not is_prepared(source):
        gone = f"{directory} is made from {source}, which is no prepared data directory any more"
        raise UserError(f"{gone}; prepare that, or {remedy}", path=directory)
    if content_digest(source) != content:
        raise UserError(
            f"{directory} is made from {source}, which has other clips or files now; {remedy}", path=directory
        )
    check_source(source)


def is_made_with(directory: Path, option: str) -> bool:
    """Whether a folder is a data directory made by the command of ``v2skit data`` with this option."""
    record = read_settings(directory).get(RECORD) if is_prepared(directory) else None
    return isinstance(record, dict) and option in record


def check_test_data(directory: Path) -> None:
    """Raises UserError where a test set, or a directory that it is made from, is written by ``v2skit data align``: its
    scores would not include the lags of the clips; or by ``v2skit data splice``. A directory that is missing or damaged
    is not checked."""
    for folder, record in _records(directory):
        source = _source_of(folder, record)
        if "speech" in record:
            raise UserError(
                f"{folder} has audio that v2skit data align shifted, and can't be test data: scores must include the "
                f"lags of the clips; give {source}, whose time-aligned scores leave them out",
                path=folder,
            )
        if SPLICED in record:
            raise UserError(f"{folder} has spliced utterances, and can't be test data; give {source}", path=folder)


def _records(directory: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A derived data directory with its record, the one that it is made from with its own, and so on, up to one whose
    settings are damaged: whatever reads that names it."""
    while is_prepared(directory):
        try:
            record = read_settings(directory).get(RECORD)
        except UserError:
            return
        if not isinstance(record, dict) or "directory" not in record:
            return
        yield directory, record
        directory = _source_of(directory, record)


def _source_of(directory: Path, record: Mapping[str, Any]) -> Path:
    # The settings of a copy of a data folder are a link.
    return Path(os.path.normpath((directory / SETTINGS).resolve().parent / str(record["directory"])))


def _check_unspliced(source: Path) -> None:
    """Raises UserError where a data directory has spliced utterances. One that is made from it would have words of
    utterances that it has not, so that it would be no share of them, and a fold no fold."""
    if is_made_with(source, SPLICED):
        origin = _source_of(source, read_settings(source)[RECORD])
        remedy = f"derive the data directory from {origin}, and splice that one"
        raise UserError(f"{source} has spliced utterances, which have words of several others; {remedy}", path=source)


def _made_with(directory: Path, content: str) -> list[str]:
    """The command that made a derived directory of the same content of its source; empty for others."""
    record = read_settings(directory).get(RECORD) if is_prepared(directory) else None
    return _command(record, directory) if isinstance(record, dict) and record.get("content") == content else []


def _command(record: Mapping[str, Any], folder: Path) -> list[str]:
    """The command of ``v2skit data`` with its options, which writes a derived directory again, into its folder; empty
    where a stage does."""
    if "share" in record:
        return ["subset", "--share", str(record["share"])]
    if "speech" in record:
        return ["align", "--speech", os.path.normpath(folder / str(record["speech"]))]
    if "pitch" in record:
        pitches = [f"{pitch:g}" for pitch in record["pitch"]]
        return ["voices", "--pitch", *pitches, "--each", str(record["each"])]
    if SPLICED in record:
        words = ["--words", os.path.normpath(folder / str(record["words"]))] if "words" in record else []
        return ["splice", "--copies", str(record[SPLICED]), *words]
    return []


def _hash(utterance: Utterance) -> int:
    """A pseudo-random number below HASHES."""
    return int.from_bytes(hashlib.sha256(f"share {utterance.id}".encode()).digest()[:4], "big")
