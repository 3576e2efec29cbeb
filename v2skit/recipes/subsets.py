"""Data directories with some of the utterances of another one: tables of their own, which name its audio and video."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from v2skit.data.data_dir import Utterance, is_prepared, read_clock, read_manifest, read_settings, write_manifest
from v2skit.data.targets import state_digest
from v2skit.errors import UserError
from v2skit.recipes.stored_streams import content_digest
from v2skit.system.atomic import delete_folder, is_unused, unfinished, waiting_lock

HASHES = 2**32
"""The utterances of a share are those whose hash is below this part of it."""


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

    write_subset(source, out, below, ["share", share])
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
) -> None:
    """Write a data directory with some of the utterances of another one, unless it is there already.

    Args:
        source: the other data directory.
        directory: is written, whole or not at all.
        choose: all utterances -> those that are kept.
        chosen_by: what identifies ``choose`` in the digest of the directory's content.
        replace: what the folder contains, if it is not of these utterances, is deleted.

    Raises:
        UserError: ``source`` is not prepared, or the folder contains something else.
    """
    digest = state_digest([content_digest(source), *chosen_by])
    with waiting_lock(directory):
        if is_prepared(directory) and read_settings(directory).get("digest") == digest:
            return
        if not (replace or is_unused(directory)):
            raise UserError(
                f"{directory} exists, and is not this part of {source} as that is now; delete it, or name another "
                "folder",
                path=directory,
            )
        part = unfinished(directory)
        delete_folder(part)
        write_manifest(part, choose(read_manifest(source)), {**read_settings(source), "digest": digest})
        delete_folder(directory)
        part.rename(directory)


def _hash(utterance: Utterance) -> int:
    """A pseudo-random number below HASHES."""
    return int.from_bytes(hashlib.sha256(f"share {utterance.id}".encode()).digest()[:4], "big")
