"""The documentation site: its pages of the reference, the facts of the paper, the messages that it quotes."""

from __future__ import annotations

import ast
import inspect
import re
import runpy
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from v2skit.config.load import load_config, to_tree
from v2skit.registry import plugins

PAPER = (ROOT / "docs/paper.md").read_text(encoding="utf-8")
TROUBLES = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
FACTS = re.findall(r"^\| .* \| `([\w.]+): (.+?)` \| `(egs/\S+\.yaml)` \|$", PAPER, re.MULTILINE)
"""(key, value, config) of each row of the paper's tables."""
QUOTES = [
    " ".join(quote.replace("\n> ", " ").split()) for quote in re.findall(r"^> (.+(?:\n> .+)*)", TROUBLES, re.MULTILINE)
]
ANYTHING = "…"


@pytest.fixture(scope="module")
def trees() -> dict[str, dict]:
    """The configs of docs/paper.md with all defaults, by path."""
    return {path: to_tree(load_config(ROOT / path)) for path in {path for _, _, path in FACTS}}


@pytest.mark.parametrize(("key", "value", "path"), FACTS, ids=str)
def test_a_fact_of_the_paper_is_in_the_config(trees, key, value, path):
    found = trees[path]
    for name in key.split("."):
        found = found[name]
    assert found == yaml.load(value, yaml.SafeLoader)


def test_every_row_of_the_paper_is_checked():
    rows = [row for row in PAPER.splitlines() if row.startswith("| ") and ".yaml` |" in row]
    assert len(rows) == len(FACTS) > 50


@pytest.fixture(scope="module")
def messages() -> list[str]:
    """The texts in the package, with an ellipsis for each value that is put into them."""
    found = []
    for path in (ROOT / "v2skit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(part.value if isinstance(part, ast.Constant) else ANYTHING for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


@pytest.mark.parametrize("quote", QUOTES)
def test_a_quoted_message_is_in_the_code(messages, quote):
    """One text of the code is all of it, or what is left of it is the text of another name in an f-string."""
    known = r"; the same command, without --force, resumes from the last checkpoint$"  # RESUMES of launch.py
    quote = re.sub(known, f"; {ANYTHING}", quote)
    bare = quote.removeprefix(f"{ANYTHING} ").removesuffix(f" {ANYTHING}").removesuffix(";")  # a subject, a remedy
    assert any(bare in message for message in messages), quote


def test_messages_are_quoted():
    assert len(QUOTES) >= 12


@pytest.fixture(scope="module")
def reference() -> dict[str, str]:
    sys.path.insert(0, str(ROOT / "docs/site"))
    try:
        return runpy.run_path(str(ROOT / "docs/site/reference.py"))["pages"]()
    finally:
        sys.path.remove(str(ROOT / "docs/site"))


def test_the_reference_has_every_component_and_command(reference):
    registry = plugins.registry()
    for kind in registry.kinds:
        entries = [entry for entry in registry.entries(kind) if entry.origin == "v2skit"]
        assert all(f"\n{entry.name}\n--" in reference[f"kinds/{kind}.rst"] for entry in entries)
    assert all(f"\nv2skit {name}\n--" in reference["commands.rst"] for name in ("synth", "stage", "data", "pack"))
    assert "--voice VOICE" in reference["commands.rst"]


def test_the_modules_of_the_reference_exist_and_are_documented(reference):
    from importlib import import_module

    found = {name for text in reference.values() for name in re.findall(r"automodule:: (\S+)", text)}
    assert len(found) > 20
    assert all(inspect.getdoc(import_module(name)) for name in found)


def test_pages_that_are_no_more_are_removed(tmp_path):
    write = runpy.run_path(str(ROOT / "docs/site/reference.py"))["write"]
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds/old.rst").write_text("")
    write(tmp_path)
    names = {path.name for path in tmp_path.rglob("*.rst")}
    assert "old.rst" not in names and {"decoder.rst", "commands.rst", "python.rst"} <= names


def test_the_picture_stands_alone():
    text = (ROOT / "docs/pipeline.svg").read_text(encoding="utf-8")
    assert "<title>" in text and not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert "pipeline.svg" in Path(ROOT / "docs/concepts.md").read_text(encoding="utf-8")
