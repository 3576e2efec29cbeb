"""A recipe to run: a copy of a shipped one, or a new one made of that for any folder of videos (``egs/custom``)."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

from v2skit.config.load import load_config, to_tree
from v2skit.config.schema import Config
from v2skit.corpora.audiovisual.custom import Custom
from v2skit.errors import UserError
from v2skit.recipes.shipped import SHARED, copy_recipe, is_checkout, names, new_folder, recipes_folder, shipped
from v2skit.system.extras import COMPONENTS, absent, remedy

TEMPLATE = "custom"

MADE = ("mini",)
"""Recipes that make their corpus."""

README = """# {name}

| | |
| --- | --- |
| what | not known yet |
| size | not known yet: hours, speakers |
| languages | not known yet |
| licence | not known yet |
| where | not known yet |
| can it be had | not known yet |

    ./run.sh{option}                                # a small model; two CPU cores
    ./run.sh{option} --config conf/mel_s.yaml       # the paper's size; a GPU

Speakers, splits and texts: see [custom](../custom/README.md).

## Results

None yet.
"""


def new_recipe(name: str, corpus_dir: Path | None = None, folder: Path = Path()) -> str:
    """Copy a shipped recipe, or write a new one of the template: ``run.sh``, ``conf/`` and a README to be filled in.

    In a checkout, or where recipes were copied before, it goes beside the others; elsewhere into a new ``egs``.

    Args:
        name: of a shipped recipe, or a new one; it is also the recipe's folder.
        corpus_dir: of the videos; it is looked into, and written into the configs, so that ``run.sh`` needs no option.
        folder: to start from.

    Returns:
        what is there, and the command that runs it.

    Raises:
        UserError: the name is not fit or taken, the videos can't be used, or the folder can't be written.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name) or name in SHARED:
        raise UserError(f"'{name}' is no name for a recipe; take letters, digits, '_' and '-'")
    egs = recipes_folder(folder)
    recipe, checkout = egs / name, is_checkout(egs)
    if os.path.lexists(recipe):
        raise UserError(f"{recipe} is there already: {recipe}/run.sh runs it; take another name for a new recipe")
    as_shipped = not checkout and name in names(shipped())
    found = ""
    if corpus_dir is not None:
        if as_shipped:
            raise UserError(f"{name} is a shipped recipe, whose run.sh takes the --corpus_dir; leave it out here")
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
    option = "" if corpus_dir or (as_shipped and name in MADE) else " --corpus_dir DIR"
    told = "says what the corpus is" if as_shipped else "waits for what the corpus is"
    command = shlex.quote(f"{recipe}/run.sh") + option
    return f"{found}{recipe}: {command} runs it, {recipe}/README.md {told}{_lacking(recipe)}"


def _write(egs: Path, name: str, corpus_dir: Path | None) -> None:
    """The recipe of the template under its new name. Nothing of it is left where that fails."""
    with new_folder(egs / name) as recipe:
        (recipe / "conf").mkdir()
        shutil.copy(egs / TEMPLATE / "run.sh", recipe / "run.sh")
        for path in sorted((egs / TEMPLATE / "conf").glob("*.yaml")):
            text = _renamed(path.read_text(encoding="utf-8"), name, corpus_dir)
            (recipe / "conf" / path.name).write_text(text, encoding="utf-8")
        option = "" if corpus_dir else " --corpus_dir DIR"
        (recipe / "README.md").write_text(README.format(name=name, option=option), encoding="utf-8")


def _lacking(recipe: Path) -> str:
    """A line about packages that a recipe's configs need and that are not here, if there are any."""
    try:
        types = {name for path in sorted((recipe / "conf").glob("*.yaml")) for name in _types(load_config(path))}
    except UserError:  # a plug-in is broken; the recipe is there all the same, and its first stage names the plug-in
        return ""
    extras = ["train", "evaluate", *(extra for name, extra in COMPONENTS.items() if name in types)]
    lacking = absent(dict.fromkeys(extras))
    if "pocketsphinx" not in types and "evaluate" in lacking:
        lacking["evaluate"] = [module for module in lacking["evaluate"] if module != "pocketsphinx"]
    modules = dict.fromkeys(module for modules in lacking.values() for module in modules)
    if not modules:
        return ""
    command = remedy(*(extra for extra, found in lacking.items() if found), modules=modules)
    return f"\nits configs need packages that are not installed here ({', '.join(modules)}): {command}"


def _types(config: Config) -> set[str]:
    """The types of all components that a config names, at whatever depth."""
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
    """The template's config under the new name, with the videos' folder in it."""
    option = "" if corpus_dir else " --corpus_dir DIR"
    config = config.replace(f"egs/{TEMPLATE}/run.sh", f"egs/{name}/run.sh").replace(" --corpus_dir DIR", option)
    if corpus_dir is None:
        return config
    quoted = str(corpus_dir).replace("'", "''")
    return config.replace(f"type: {TEMPLATE},", f"type: {TEMPLATE}, corpus_dir: '{quoted}',")
