"""``v2skit new-plugin``: a plug-in package with a small component of any kind, made from ``plugin_template``."""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import shlex
import sys
from pathlib import Path

from v2skit.errors import UserError
from v2skit.recipes.shipped import copy_recipe, new_folder, recipes_folder
from v2skit.registry import plugins
from v2skit.registry.kinds import KINDS

TEMPLATE = Path(__file__).parent / "plugin_template"
RECIPE = "mini"
"""The recipe that the config of a new plug-in is based on."""

RESERVED = frozenset("egs y n yes no on off true false null".split())
"""The folder of the recipes, and words that are no text in YAML 1.1."""

BASE = f"../../egs/{RECIPE}/conf/mel.yaml"
QUICK = "quick.yaml"
PLACES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "run.sh": "run.sh",
    "gitignore": ".gitignore",
    "test.template": "test_my_component.py",
    QUICK: f"conf/{QUICK}",
    "hooks.template": "src/my_component/__init__.py",
    "kinds/my_kind.py": "src/my_component/my_kind.py",
    "kinds/my_kind.yaml": "conf/mel.yaml",
}
"""File of the template -> path in the plug-in."""


def new_plugin(kind: str, name: str, folder: Path = Path()) -> str:
    """Write a plug-in package: its component, a config that uses it on the mini recipe's corpus, and a test.

    Args:
        kind: of the component: a built-in kind.
        name: of the component, its module and the new folder, such as ``my_decoder``.
        folder: that the plug-in's folder is written into. Where it is in no checkout and no folder with recipes, the
            mini recipe is copied there too.

    Returns:
        what was written, and the commands that install, check and run it.

    Raises:
        UserError: the kind has no template, the name is invalid or taken, or the folder can't be written.
    """
    _check(kind, name)
    target, egs = folder / name, recipes_folder(folder)
    if os.path.lexists(target):
        raise UserError(f"{target} exists already; choose another name, or move it away")
    try:
        if not (egs / RECIPE / "run.sh").exists():
            copy_recipe(RECIPE, egs)
        with new_folder(target) as part:
            for source, place in PLACES.items():
                path = part / _named(place, kind, name)
                text = _named((TEMPLATE / source.replace("my_kind", kind)).read_text(encoding="utf-8"), kind, name)
                if path.suffix == ".yaml" and path.stem != "quick":
                    text = _with_bases(text, kind, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(_beside(text, egs, target, place), encoding="utf-8")
            (part / "run.sh").chmod(0o755)
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"{target} can't be written ({why}); call this in another folder") from error
    shown = shlex.quote(str(target))
    return (
        f"{target}: a plug-in with the {kind} '{name}', in src/{name}/{kind}.py; to install, check and train it:\n"
        f"    {shlex.quote(sys.executable)} -m pip install -e {shown if '/' in shown else './' + shown}\n"
        f"    v2skit check-plugin {name}\n"
        f"    {shown}/run.sh"
    )


def _check(kind: str, name: str) -> None:
    """Raises UserError where there is no template of the kind, or the name can't be that of a plug-in."""
    registry = plugins.registry()
    if kind not in registry.kinds:
        registry.entry(kind, name)  # raises: unknown, with the nearest kind
    if kind not in KINDS or not (TEMPLATE / f"kinds/{kind}.py").is_file():
        origin = registry.kinds[kind].origin
        raise UserError(f"kind '{kind}' is of plug-in '{origin}', which new-plugin has no template of; see its README")
    formed = re.fullmatch(r"[a-z]([a-z0-9_]*[a-z0-9])?", name)  # the name of a package does not end in '_'
    if not formed or keyword.iskeyword(name) or name in RESERVED:
        why = (
            "it is a reserved word of Python, YAML or v2skit"
            if formed
            else "use lower-case letters, digits and '_' between them"
        )
        raise UserError(f"'{name}' is no name for a plug-in; {why}: choose one such as my_{kind}")
    taken = [entry.origin for entry in registry.entries(kind) if entry.name == name]
    taken += [plugin.name for plugin in plugins.load()[1] if plugin.name == name]
    if taken or importlib.util.find_spec(name):
        owner = f"plug-in '{taken[0]}'" if taken else "an installed module"
        raise UserError(f"the name '{name}' is taken by {owner}; choose another one")


def _named(text: str, kind: str, name: str) -> str:
    """A text of the template, with the names of the plug-in."""
    camel = "".join(word.capitalize() for word in name.split("_"))
    names = {"my_component": name, "my-component": name.replace("_", "-"), "MyComponent": camel, "my_kind": kind}
    return re.sub("|".join(names), lambda found: names[found[0]], text)


def _with_bases(config: str, kind: str, name: str) -> str:
    """The config of a kind with its header, its base and the quick settings."""
    found = re.match(r"base: (.*)\n", config)
    base = found[1] if found else BASE
    rest = config[found.end() :] if found else config
    return f"# {name}/run.sh : the {kind} {name} on the generated corpus.\nbase: [{base}, {QUICK}]\n{rest}"


def _beside(text: str, egs: Path, target: Path, place: str) -> str:
    """A text of the template, in which the folder of the recipes is relative to the file."""
    written = "/".join([".."] * (1 + place.count("/")) + ["egs"])
    return text.replace(f"{written}/", f"{os.path.relpath(egs, (target / place).resolve().parent)}/")
