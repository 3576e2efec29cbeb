"""The shipped recipes: ``egs`` of a checkout, or ``v2skit/egs`` of an installed v2skit."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import v2skit
from v2skit.errors import UserError
from v2skit.files import write_text

STAGES = "stages.sh"
"""What every recipe's run.sh sources."""

SHARED = (STAGES, "conf")
"""What all recipes have in common, beside them."""

_INTERPRETER = re.compile(r"^installed=.*$", re.MULTILINE)
_CHECKOUT_COMMANDS = re.compile(r"(\.\./)*tools/venv/bin/")


def shipped() -> Path:
    """The folder with the shipped recipes. Raises UserError where this v2skit came without them."""
    package = Path(v2skit.__file__).parent
    for folder in (package / "egs", package.parent / "egs"):
        if (folder / STAGES).is_file():
            return folder
    raise UserError(f"this v2skit ({package}) came without recipes; install it again from its wheel")


def names(egs: Path) -> list[str]:
    """The recipes in a folder."""
    return sorted(path.parent.name for path in egs.glob("*/run.sh"))


def recipes_folder(folder: Path) -> Path:
    """Where new recipes go: the ``egs`` of a checkout or of copies that ``folder`` is in, else a new one in it."""
    for place in (folder.resolve(), *folder.resolve().parents):
        if (place / "egs" / STAGES).is_file():
            return place / "egs"
    return folder.resolve() / "egs"


def is_checkout(egs: Path) -> bool:
    """Whether the folder's recipes install what they need with the ``tools`` beside it."""
    return (egs.parent / "tools/install.sh").is_file()


def copy_shared(egs: Path) -> None:
    """Copy what all recipes have in common, less what is there, and name this interpreter in it. Raises OSError."""
    source = shipped()
    (egs / "conf").mkdir(parents=True, exist_ok=True)
    for path in sorted((source / "conf").glob("*.yaml")):
        if not (egs / "conf" / path.name).exists():
            shutil.copyfile(path, egs / "conf" / path.name)
    if not (egs / STAGES).exists():
        line = f"installed={shlex.quote(sys.executable)}"
        text = (source / STAGES).read_text(encoding="utf-8")
        write_text(egs / STAGES, _INTERPRETER.sub(lambda _: line, text, count=1))


def copy_recipe(name: str, egs: Path) -> list[str]:
    """Copy a shipped recipe, and those that its configs are based on, less what is there already.

    Args:
        name: of a shipped recipe.
        egs: with what :func:`copy_shared` copies.

    Returns:
        the names of those that were copied.

    Raises:
        OSError: the folder can't be written; then nothing of the recipe is left.
    """
    recipe = shipped() / name
    target = egs / name
    if (target / "run.sh").exists():
        return []
    try:
        (target / "conf").mkdir(parents=True)
        shutil.copyfile(recipe / "run.sh", target / "run.sh")
        (target / "run.sh").chmod(0o755)
        for path in (*recipe.glob("*.png"), *recipe.glob("conf/*.yaml")):
            shutil.copyfile(path, target / path.relative_to(recipe))
        text = (recipe / "README.md").read_text(encoding="utf-8")
        (target / "README.md").write_text(_CHECKOUT_COMMANDS.sub("", text), encoding="utf-8")
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    configs = "".join(path.read_text(encoding="utf-8") for path in sorted(recipe.glob("conf/*.yaml")))
    bases = dict.fromkeys(re.findall(r"\.\./\.\./(\w+)/conf/", configs))
    return [name, *(copied for base in bases for copied in copy_recipe(base, egs))]
