"""An HTML page as tags and text, for tests of its content; every tag must be closed in order."""

from __future__ import annotations

import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

VOID = {"meta", "img", "br", "input", "source", "hr"}
NOT_TEXT = {"style", "script"}


class ParsedPage(HTMLParser):
    """The tags of a page with their attributes, its text, and the content of its scripts by id."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.scripts: list[tuple[dict, str]] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append((self.tags[-1][1], data))
        elif not self.open or self.open[-1] not in NOT_TEXT:
            self.words.append(data)

    def of(self, tag: str) -> list[dict]:
        """The attributes of every tag of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]

    def data(self, name: str) -> object:
        """The JSON of the script with an id."""
        return next(json.loads(content) for attributes, content in self.scripts if attributes.get("id") == name)

    def check_whole(self) -> None:
        """Nothing is loaded from elsewhere, and every id that the page refers to is there once."""
        ids = [attributes["id"] for _, attributes in self.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        for _, attributes in self.tags:
            for key in ("src", "href", "srcset", "data-sounds", "for", "aria-labelledby"):
                value = attributes.get(key)
                if value is not None and not value.startswith("data:"):
                    assert value.removeprefix("#") in ids, value
        assert "url(" not in self.source and "@import" not in self.source

    def check_script(self) -> None:
        """Node finds no error of syntax in its scripts."""
        node = shutil.which("node")
        if node is None:
            pytest.skip("node is missing; install Node.js")
        programs = [content for attributes, content in self.scripts if "type" not in attributes]
        assert programs
        for program in programs:
            checked = subprocess.run([node, "--check", "-"], input=program, capture_output=True, text=True)
            assert checked.returncode == 0, checked.stderr
