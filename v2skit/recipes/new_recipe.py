"""``v2skit new-recipe``: a copy of a shipped recipe, or a new one for a folder of videos, made from ``egs/custom``."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import shutil
from pathlib import Path

from v2skit.config.load import load_config, to_tree
from v2skit.config.schema import Config
from v2skit.corpora.audiovisual.custom import Custom
from v2skit.errors import UserError, printable
from v2skit.recipes.shipped import SHARED, copy_recipe, is_checkout, names, new_folder, recipes_folder, shipped
from v2skit.system.extras import COMPONENTS, absent, remedy

TEMPLATE = "custom"

GENERATED = ("mini",)
"""Recipes that generate their corpus."""

NEAR = 0.75
"""From this similarity on (:func:`difflib.get_close_matches`) a name is taken for a mistyped one: ``gird``."""

README = """# {name}

| | |
| --- | --- |
| what | not known yet |
| size | not known yet: hours, speakers |
| languages | not known yet |
| licence | not known yet |
| where | not known yet |
| availability | not known yet |

    ./run.sh{option}                                # a small model; two CPU cores
    ./run.sh{option} --config conf/installed.yaml   # the installed model, trained further; two CPU cores
    ./run.sh{option} --config conf/mel_s.yaml       # the paper's size; a GPU

Speakers, splits and texts: see [custom](../custom/README.md).

## Results

None yet.
"""


def new_recipe(name: str, corpus_dir: Path | None = None, folder: Path = Path()) -> str:
    """Copy a shipped recipe, or write a new one from the template: ``run.sh``, ``conf/`` and a README to be filled in.

    In a checkout, or where recipes were copied before, it goes into the same ``egs``; elsewhere into a new one.

    Args:
        name: of a shipped recipe, or a new one; it is also the recipe's folder.
        corpus_dir: of the videos; it is read, and written into the configs, so that ``run.sh`` needs no option.
        folder: to start from.

    Returns:
        what was written, and the command that runs it.

    Raises:
        UserError: the name is invalid, taken or probably mistyped, the videos can't be used, or the folder can't be
            written.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name) or name in SHARED:
        raise UserError(f"'{name}' is no name for a recipe; use letters, digits, '_' and '-'")
    if corpus_dir is not None and printable(str(corpus_dir)) != str(corpus_dir):
        raise UserError(f"{printable(str(corpus_dir))} can't be written into a config: it is not UTF-8; rename it")
    egs = recipes_folder(folder)
    recipe, checkout = egs / name, is_checkout(egs)
    if os.path.lexists(recipe):
        raise UserError(f"{recipe} exists already: {recipe}/run.sh runs it; choose another name for a new recipe")
    as_shipped = not checkout and name in names(shipped())
    near = difflib.get_close_matches(name, names(shipped()), n=1, cutoff=NEAR)
    if near and not as_shipped and corpus_dir is None:
        raise UserError(
            f"there is no shipped recipe '{name}'; did you mean '{near[0]}'? For a new recipe of that name give the "
            "--corpus_dir of its videos",
            name=name,
            suggestion=near[0],
        )
    found = ""
    if corpus_dir is not None:
        if as_shipped:
            raise UserError(f"{name} is a shipped recipe, whose run.sh has the option --corpus_dir; leave it out here")
        corpus_dir = corpus_dir.resolve()
        found = Custom(recipe, str(corpus_dir)).obtain() + "\n"
    try:
        if not checkout:
            copy_recipe(name if as_shipped else TEMPLATE, egs)
        if not as_shipped:
            _write(egs, name, corpus_dir)
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"{recipe} can't be written ({why}); call this in another folder") from error
    option = "" if corpus_dir or (as_shipped and name in GENERATED) else " --corpus_dir DIR"
    readme = "describes the corpus" if as_shipped else "is to describe the corpus"
    command = shlex.quote(f"{recipe}/run.sh") + option
    return f"{found}{recipe}: {command} runs it, {recipe}/README.md {readme}{_missing_packages(recipe)}"


def _write(egs: Path, name: str, corpus_dir: Path | None) -> None:
    """Write the template's recipe under its new name; where that fails, nothing is left of it."""
    with new_folder(egs / name) as recipe:
        (recipe / "conf").mkdir()
        shutil.copy(egs / TEMPLATE / "run.sh", recipe / "run.sh")
        for path in sorted((egs / TEMPLATE / "conf").glob("*.yaml")):
            text = _renamed(path.read_text(encoding="utf-8"), name, corpus_dir)
            (recipe / "conf" / path.name).write_text(text, encoding="utf-8")
        option = "" if corpus_dir else " --corpus_dir DIR"
        (recipe / "README.md").write_text(README.format(name=name, option=option), encoding="utf-8")


def _missing_packages(recipe: Path) -> str:
    """A line about packages that a recipe's configs need and that are not installed, if there are any."""
    try:
        types = {name for path in sorted((recipe / "conf").glob("*.yaml")) for name in _types(load_config(path))}
    except UserError:  # a plug-in is broken: the recipe's first stage names it
        return ""
    extras = ["train", "evaluate", *(extra for name, extra in COMPONENTS.items() if name in types)]
    missing = absent(dict.fromkeys(extras))
    if "pocketsphinx" not in types and "evaluate" in missing:
        missing["evaluate"] = [module for module in missing["evaluate"] if module != "pocketsphinx"]
    modules = dict.fromkeys(module for modules in missing.values() for module in modules)
    if not modules:
        return ""
    command = remedy(*(extra for extra, found in missing.items() if found), modules=modules)
    return f"\nits configs need packages that are not installed here ({', '.join(modules)}): {command}"


def _types(config: Config) -> set[str]:
    """The types of all components of a config, at any depth."""
    found, left = set(), [to_tree(config)]
    while left:
        tree = left.pop()
        if isinstance(tree, dict):
            if isinstance(tree.get("type"), str):
                found.add(tree["type"])
            left += tree.values()
        elif isinstance(tree, list):
            left += tree
    return found


def _renamed(config: str, name: str, corpus_dir: Path | None) -> str:
    """The template's config under the new name, with the folder of the videos."""
    option = "" if corpus_dir else " --corpus_dir DIR"
    config = config.replace(f"egs/{TEMPLATE}/run.sh", f"egs/{name}/run.sh").replace(" --corpus_dir DIR", option)
    if corpus_dir is None:
        return config
    quoted = str(corpus_dir).replace("'", "''")
    return config.replace(f"type: {TEMPLATE},", f"type: {TEMPLATE}, corpus_dir: '{quoted}',")
