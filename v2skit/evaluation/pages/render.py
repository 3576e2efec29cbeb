"""Templates of the pages, which contain their stylesheets, scripts and media."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from v2skit.errors import UserError, printable
from v2skit.system.atomic import write_text
from v2skit.system.text_file import open_text

TEMPLATES = Path(__file__).parents[1] / "templates"

STYLE = TEMPLATES / "style.css"
"""The look of all pages, that of ``v2skit serve`` included."""

HEAD = 4000
"""Characters that a page's title is in."""
_TITLES = {"v2skit report</title>": "report", "<title>Listening test</title>": "listening test"}
"""Of the pages that replace an earlier one of their kind -> the kind."""


def render(template: str, **values: Any) -> str:
    """The text of a page.

    Args:
        template: file name in ``templates/``.
        values: that it names; text is escaped.
    """
    environment = Environment(
        loader=PackageLoader("v2skit.evaluation"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    return printable(environment.get_template(template).render(values))


def write_page(path: Path, page: str) -> None:
    """Write a report or a listening test. Raises UserError where there is a file that is no page of the same kind."""
    if os.path.lexists(path):
        title, kind = next(item for item in _TITLES.items() if item[0] in page)
        with open_text(path, errors="replace") as file:
            if title not in file.read(HEAD):
                raise UserError.about(path, f"is no {kind} of v2skit; move it away, or give another name with -o")
    write_text(path, page)


def data_uri(content: bytes, media_type: str) -> str:
    """The content of a file as an address."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def json_for_script(value: Any) -> str:
    """JSON that can't end the ``<script>`` that holds it."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
