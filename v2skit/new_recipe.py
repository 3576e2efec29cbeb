"""A new recipe, made of the one for any folder of videos (``egs/custom``): it runs at once."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from v2skit.corpora.custom import Custom
from v2skit.errors import UserError

TEMPLATE = "custom"

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
    """Write ``egs/<name>``: ``run.sh``, ``conf/`` and a README to be filled in.

    Args:
        name: of the recipe and its folder.
        corpus_dir: of the videos; it is looked into, and written into the configs, so that ``run.sh`` needs no option.
        folder: a checkout, or a folder in one.

    Returns:
        what is there, and the command that runs it.

    Raises:
        UserError: the name is not fit or taken, there is no checkout, or the videos can't be used.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise UserError(f"'{name}' is no name for a recipe; take letters, digits, '_' and '-'")
    egs = _recipes(folder)
    recipe = egs / name
    if recipe.exists():
        raise UserError(f"{recipe} is there already; take another name")
    found = ""
    if corpus_dir is not None:
        corpus_dir = corpus_dir.resolve()
        found = Custom(recipe, str(corpus_dir)).obtain() + "\n"
    try:
        (recipe / "conf").mkdir(parents=True)
        shutil.copy(egs / TEMPLATE / "run.sh", recipe / "run.sh")
        for path in sorted((egs / TEMPLATE / "conf").glob("*.yaml")):
            text = _renamed(path.read_text(encoding="utf-8"), name, corpus_dir)
            (recipe / "conf" / path.name).write_text(text, encoding="utf-8")
        option = "" if corpus_dir else " --corpus_dir DIR"
        (recipe / "README.md").write_text(README.format(name=name, option=option), encoding="utf-8")
    except BaseException:
        shutil.rmtree(recipe, ignore_errors=True)
        raise
    return f"{found}{recipe}: {recipe}/run.sh{option} runs it, {recipe}/README.md waits for what the corpus is"


def _renamed(config: str, name: str, corpus_dir: Path | None) -> str:
    """The template's config under the new name, with the videos' folder in it."""
    option = "" if corpus_dir else " --corpus_dir DIR"
    config = config.replace(f"egs/{TEMPLATE}/run.sh", f"egs/{name}/run.sh").replace(" --corpus_dir DIR", option)
    if corpus_dir is None:
        return config
    quoted = str(corpus_dir).replace("'", "''")
    return config.replace(f"type: {TEMPLATE},", f"type: {TEMPLATE}, corpus_dir: '{quoted}',")


def _recipes(folder: Path) -> Path:
    """The ``egs`` of the checkout that a folder is in."""
    for place in (folder.resolve(), *folder.resolve().parents):
        if (place / "egs/stages.sh").is_file() and (place / "egs" / TEMPLATE).is_dir():
            return place / "egs"
    raise UserError(f"{folder.resolve()} is not in a checkout of v2skit; call the command where egs/{TEMPLATE} is")
