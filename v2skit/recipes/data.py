"""Stages 0 and 1: the corpus, and its data directories; and what identifies these in the records of later stages."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from v2skit.config.load import identity, to_tree
from v2skit.corpora.corpus import Corpus
from v2skit.data.data_dir import PREPARED_WITH, is_prepared, read_settings, read_table
from v2skit.errors import UserError
from v2skit.recipes import targets
from v2skit.recipes.conditions import conditions, protocol_of
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.subsets import check_source
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.synthesis.directory import check_prepared
from v2skit.system.atomic import exclusive_lock, waiting_lock
from v2skit.system.checksum import short_digest
from v2skit.system.provenance import Provenance, worded

NOT_CONTENT = ("corpus_dir", "download", "jobs", "kokoro_js_dir", "closed_grammar")
"""Options of corpora on which their utterances do not depend."""


def obtain(recipe: Recipe) -> None:
    """Stage 0: generate the corpus, or check that it is there."""
    metrics, asr, left_out = recipe.build_scorers()
    for reason in left_out.values():  # named now, not after all the training
        print(f"note: {reason}")
    if protocol := protocol_of(recipe):
        protocol.check(conditions(recipe, metrics, asr), split=False)
    with exclusive_lock(recipe.data_folder):
        for corpus in recipe.build_corpora():
            print(corpus.obtain())


def prepare(recipe: Recipe) -> None:
    """Stage 1: data directories, with reports of what was excluded and why."""
    from v2skit.preparation.prepare import prepare as prepare_corpus

    config = recipe.config
    speaker = build("speaker", config.networks.speaker, speakers=[])
    with exclusive_lock(recipe.data_folder):
        corpora = recipe.build_corpora()
        for corpus in corpora:
            corpus.obtain()
        names = check_names(corpora)
        for corpus, choice in zip(corpora, recipe.corpora, strict=True):
            prepare_corpus(
                corpus,
                made_of={"corpus": corpus_settings(choice), **_preparation(recipe)},
                tracker=config.tracker,
                clock=config.clock,
                crop=config.crop,
                output=recipe.data_folder,
                settings=config.prepare,
                video_only_ok={config.data.test},
                force=recipe.force,
            )
        for name in names:
            speaker.prepare(recipe.data(name))
        if hasattr(speaker, "link") and config.data.train in names:
            for name in sorted({config.data.valid, config.data.test} & set(names) - {config.data.train}):
                speaker.link(recipe.data(name), recipe.data(config.data.train))
        targets.prepare_early(recipe)


def prepare_speakers(recipe: Recipe, speaker: Any, names: Iterable[str]) -> None:
    """Let the speaker component prepare data directories that stage 1 did not write, those of subsets or of folds, as
    that prepares the others.

    Raises:
        UserError: that can't be done, or one that stage 1 wrote is not prepared.
    """
    roles = recipe.config.data
    for name in dict.fromkeys(names):
        directory = recipe.data(name)
        if not is_prepared(directory):
            continue
        if (directory / PREPARED_WITH).exists():
            speaker.reader(directory)
            continue
        if not _is_readable(speaker, directory):
            with waiting_lock(directory):
                speaker.prepare(directory)
        is_linked = hasattr(speaker, "link") and name in {roles.valid, roles.test} - {roles.train}
        if is_linked and _is_readable(speaker, recipe.data(roles.train)):  # stage 5 may be without training data
            speaker.link(directory, recipe.data(roles.train))


def _is_readable(speaker: Any, directory: Path) -> bool:
    """Whether a data directory has what the speaker component reads."""
    try:
        speaker.reader(directory)
    except UserError:
        return False
    return True


def _preparation(recipe: Recipe) -> dict[str, Any]:
    """The settings of preparation that are recorded with a data directory."""
    settings = recipe.config.prepare
    return {"filters": to_tree(settings.filters), "offset": settings.offset}


def check_names(corpora: list[Corpus]) -> list[str]:
    """The names of all data directories. Raises UserError where two corpora have one of the same name."""
    names = Counter(name for corpus in corpora for name in corpus.splits())
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise UserError(f"corpus and audio_corpus both have a data directory '{twice[0]}'; rename it in one of them")
    return list(names)


def corpus_settings(corpus: Component) -> dict:
    """A corpus's settings, except where it is and how it is fetched."""

    def kept(tree: Any) -> Any:
        if not isinstance(tree, dict):
            return tree
        return {key: kept(value) for key, value in tree.items() if key not in NOT_CONTENT}

    return kept(identity(corpus))


def digest(directory: Path) -> str | None:
    """The digest of a data directory's content; None where preparation did not write it."""
    found = read_settings(directory).get("digest")
    return None if found is None else str(found)


def digests(recipe: Recipe, names: Iterable[str], with_video: bool) -> dict[str, str | None]:
    """Path below the data folder -> digest, of data directories to be read; those made with other settings are noted.

    Raises:
        UserError: one is missing, was prepared with another clock or crop, or is a part of another one that has other
            content since.
    """
    found = {}
    for name in names:
        directory = recipe.data(name)
        check_prepared(recipe.config, directory, with_video)
        check_source(directory)
        _note_other_settings(recipe, directory)
        found[_key(recipe, directory)] = digest(directory)
    return found


def existing_digests(recipe: Recipe, names: Iterable[str]) -> dict[str, str | None]:
    """The same of those data directories that exist, without checks: a model may be used without its training data."""
    existing = [directory for directory in map(recipe.data, names) if is_prepared(directory)]
    return {_key(recipe, directory): digest(directory) for directory in existing}


def clips(recipe: Recipe, names: Iterable[str]) -> dict[str, str]:
    """Path below the data folder -> digest of the utterance ids, of those data directories that exist: tables may have
    been edited after the preparation."""
    existing = [directory for directory in map(recipe.data, names) if is_prepared(directory)]
    return {_key(recipe, d): short_digest(sorted(read_table(d / "utt2num_frames"))) for d in existing}


def _key(recipe: Recipe, directory: Path) -> str:
    return os.path.relpath(directory, recipe.data_folder)


def _note_other_settings(recipe: Recipe, directory: Path) -> None:
    """Print which settings of corpus and filters have changed since this recipe's preparation of a data directory."""
    made = Provenance(read_settings(directory))
    choice = next((corpus for corpus in recipe.corpora if corpus.type == made.values.get("corpus.type")), None)
    if choice is None or _key(recipe, directory).startswith(os.pardir):
        return
    now = Provenance({"corpus": corpus_settings(choice), "prepare": _preparation(recipe)})
    corpus, filters = (dict(made.part(key).values) for key in ("corpus", "filters"))
    offset = {"offset": made.values["offset"]} if "offset" in made.values else {}
    before = Provenance({"corpus": corpus, "prepare": {"filters": filters, **offset}})
    both = before.values.keys() & now.values.keys()  # not settings of one version of v2skit only
    differences = before.diff(now, only=both)
    if differences:
        settings = worded(differences)
        print(f"note: {directory} was prepared with other settings ({settings}); stage 1 prepares it again")
