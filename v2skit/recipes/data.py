"""Stages 0 and 1: the corpus, and data directories made of it."""

from __future__ import annotations

from collections import Counter

from v2skit.config.load import to_tree
from v2skit.corpora.corpus import Corpus
from v2skit.errors import UserError
from v2skit.recipes.recipe import Recipe, corpus_settings, say_next
from v2skit.registry.build import build
from v2skit.system.atomic import exclusive_lock


def obtain(recipe: Recipe) -> None:
    """Stage 0: the corpus is generated, or looked for."""
    recipe.build_scorers()  # what they lack shows now, not after all the training
    with exclusive_lock(recipe.data_folder):
        for corpus in recipe.build_corpora():
            print(corpus.obtain())
    say_next("1 (preparation)")


def prepare(recipe: Recipe) -> None:
    """Stage 1: data directories, with reports of what was left out and why."""
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
                made_of={"corpus": corpus_settings(choice), "filters": to_tree(config.prepare.filters)},
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
    say_next("2 (audio pre-training)")


def check_names(corpora: list[Corpus]) -> list[str]:
    """The names of all data directories. Raises UserError where two corpora have one of the same name."""
    names = Counter(name for corpus in corpora for name in corpus.splits())
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise UserError(f"corpus and audio_corpus both have a data directory '{twice[0]}'; rename it in one of them")
    return list(names)
