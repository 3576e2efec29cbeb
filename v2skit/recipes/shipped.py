"""The shipped recipes: ``egs`` of a checkout, or ``v2skit/egs`` of an installed v2skit."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from v2skit.errors import UserError
from v2skit.system.atomic import write_text
from v2skit.system.temporary import temporary_folder

STAGES = "stages.sh"
"""What every recipe's run.sh sources."""

SHARED = (STAGES, "conf")
"""What all recipes share, in the folder of the recipes."""

CHECKOUT = ("tools/install.sh", "setup.py", "v2skit/__init__.py")
"""Files next to ``egs`` that together identify a checkout; ``egs/stages.sh`` looks for them as well."""

_INTERPRETER = re.compile(r"^installed=.*$", re.MULTILINE)
_CHECKOUT_COMMANDS = re.compile(r"(\.\./)*tools/venv/bin/")


def shipped() -> Path:
    """The folder with the shipped recipes. Raises UserError where this installation has none."""
    package = Path(__file__).parents[1]
    for folder in (package / "egs", package.parent / "egs"):
        if (folder / STAGES).is_file():
            return folder
    raise UserError(f"this v2skit ({package}) has no recipes; install it again from its wheel")


def names(egs: Path) -> list[str]:
    """The recipes in a folder."""
    return sorted(path.parent.name for path in egs.glob("*/run.sh"))


def recipes_folder(folder: Path) -> Path:
    """The folder for new recipes: the ``egs`` of the checkout or of the copies that contain ``folder``, else a new one
    in it."""
    for place in (folder.resolve(), *folder.resolve().parents):
        if (place / "egs" / STAGES).is_file():
            return place / "egs"
    return folder.resolve() / "egs"


def is_checkout(egs: Path) -> bool:
    """Whether the folder of recipes is that of a checkout, whose ``tools`` install what they need."""
    return all((egs.parent / name).is_file() for name in CHECKOUT)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, renamed to ``target`` if the block succeeds, else deleted.

    Raises:
        OSError: the parent folder can't be written, or ``target`` was made in the meantime.
    """
    with temporary_folder(target) as folder:
        yield folder
        folder.rename(target)


def copy_shared(egs: Path) -> None:
    """Copy what all recipes share, except files that exist, and name this interpreter in it.

    Raises:
        UserError: what exists is of version 0.1.
        OSError: the folder can't be written.
    """
    source = shipped()
    if (egs / STAGES).exists() and "v2skit stage" not in (egs / STAGES).read_text(encoding="utf-8"):
        raise UserError(f"{egs} has the shared files of version 0.1; move that folder away, then run this again")
    (egs / "conf").mkdir(parents=True, exist_ok=True)
    for path in sorted((source / "conf").glob("*.yaml")):
        if not (egs / "conf" / path.name).exists():
            shutil.copyfile(path, egs / "conf" / path.name)
    if not (egs / STAGES).exists():
        line = f"installed={shlex.quote(sys.executable)}"
        text = (source / STAGES).read_text(encoding="utf-8")
        write_text(egs / STAGES, _INTERPRETER.sub(lambda _: line, text, count=1))


def copy_recipe(name: str, egs: Path) -> None:
    """Copy a shipped recipe, and those that its configs are based on, except recipes that exist.

    Args:
        name: of a shipped recipe.
        egs: folder to copy to, with what all recipes share.

    Raises:
        UserError: a folder has the name of one of them and is no recipe; then nothing is copied.
        OSError: the folder can't be written; then nothing is left of the recipe that was being copied.
    """
    missing = [recipe for recipe in _with_bases(name) if not (egs / recipe / "run.sh").exists()]
    for recipe in missing:
        if os.path.lexists(egs / recipe):
            raise UserError(
                f"{egs / recipe} exists already and is no recipe, it has no run.sh; move it elsewhere, "
                f"since the shipped recipe {recipe} is copied to that path"
            )
    copy_shared(egs)
    for recipe in missing:
        with new_folder(egs / recipe) as folder:
            _copy(shipped() / recipe, folder)


def _with_bases(name: str) -> list[str]:
    """A shipped recipe and those that its configs are based on, directly or not."""
    found, left = [], [name]
    while left:
        recipe = left.pop(0)
        if recipe not in found:
            found.append(recipe)
            configs = (path.read_text(encoding="utf-8") for path in sorted((shipped() / recipe).glob("conf/*.yaml")))
            left += [base for text in configs for base in re.findall(r"\.\./\.\./(\w+)/conf/", text)]
    return found


def _copy(recipe: Path, folder: Path) -> None:
    """A shipped recipe's files into an empty folder; its README with the commands and documents of an
    installed v2skit."""
    (folder / "conf").mkdir()
    for path in recipe.glob("*.sh"):
        shutil.copyfile(path, folder / path.name)
        (folder / path.name).chmod(0o755)
    for pattern in ("*.png", "*.yaml", "*.md", "conf/*.yaml"):
        for path in recipe.glob(pattern):
            shutil.copyfile(path, folder / path.relative_to(recipe))
    text = (recipe / "README.md").read_text(encoding="utf-8")
    text = _CHECKOUT_COMMANDS.sub("", text).replace("](../../docs/", f"]({shipped().parent / 'docs'}/")
    (folder / "README.md").write_text(text, encoding="utf-8")
