"""``v2skit audit``: leaks of an experiment, found by synthesis with other ground-truth audio and in its data."""

from __future__ import annotations

import json
from collections.abc import Iterable

from v2skit.errors import UserError
from v2skit.media.synthesised import is_synthesised
from v2skit.recipes.audit_input import audit_input
from v2skit.recipes.audit_predictions import audit_predictions
from v2skit.recipes.audit_splits import audit_splits
from v2skit.recipes.audit_start import audit_start
from v2skit.recipes.findings import Audit
from v2skit.recipes.recipe import Recipe
from v2skit.registry import plugins
from v2skit.synthesis.written import listed
from v2skit.system.atomic import write_text

NAME = "audit.json"


def audit(recipe: Recipe, clips: int = 3, allowed: Iterable[str] = ()) -> Audit:
    """Look for leaks, and write what was found to ``audit.json`` of the experiment.

    Args:
        recipe: with a finished model.
        clips: test clips that are synthesised again.
        allowed: kinds of findings that count as facts.

    Raises:
        UserError: there is no clip to synthesise, a model is missing, or data can't be read.
    """
    if clips < 1:
        raise UserError(f"--clips {clips}: at least one clip must be synthesised again")
    found = Audit(frozenset(allowed))
    with plugins.using(recipe.config.plugins):
        audit_input(recipe, clips, found)
        _audit_speech(recipe, found)
        audit_predictions(recipe, found)
        audit_start(recipe, found)
        audit_splits(recipe, found)
    write_text(recipe.exp / NAME, json.dumps(found.tree(), indent=1, ensure_ascii=False) + "\n")
    return found


def _audit_speech(recipe: Recipe, found: Audit) -> None:
    """Whether the sound files that are scored have the mark of synthesised speech."""
    for path in sorted((recipe.exp / "synth").glob("*/")):
        if listed(path) is None:
            found.checked.append(f"{path}: made by a version of v2skit that did not mark its speech")
            continue
        files = sorted(path.glob("*.wav"))
        strange = [file for file in files if not is_synthesised(file)]
        if strange:
            text = f"{len(strange)} of {len(files)} sound files are not synthesised by v2skit, e.g. {strange[0]}"
            found.find("speech", f"{text}; delete them and run stage 5 again")
        else:
            found.checked.append(f"{path}: all {len(files)} sound files are synthesised by v2skit")
