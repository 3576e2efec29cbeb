"""Clips that two data directories have in common: a subset has the clips of another directory, under its own name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from v2skit.data.data_dir import Utterance, is_prepared, read_manifest
from v2skit.recipes.recipe import Recipe


def shared_clips(clips: Iterable[Utterance], others: Iterable[Utterance]) -> list[Utterance]:
    """Those of ``others`` that are among ``clips``: with the same id, or of the same audio or video file."""
    ours = {key for clip in clips for key in _keys(clip)}
    return [clip for clip in others if ours & _keys(clip)]


def overlapping(recipe: Recipe, name: str, others: Iterable[str]) -> set[str]:
    """Those of the data directories ``others`` that have clips of the data directory ``name``; where one of the two is
    not there, those of the same name. Raises UserError where one is incomplete."""
    others = set(others)
    found = others & {name}
    there = [other for other in others - found if is_prepared(recipe.data(other))]
    if there and is_prepared(recipe.data(name)):
        clips = read_manifest(recipe.data(name))
        found |= {other for other in there if shared_clips(clips, read_manifest(recipe.data(other)))}
    return found


def _keys(clip: Utterance) -> set[str | Path]:
    return {clip.id, *(path.resolve() for path in (clip.audio, clip.video) if path)}
