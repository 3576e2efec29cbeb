"""Text in the header of a pack: what can't be read again is refused before it is written, and nothing that a terminal
would interpret is printed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.cases.model import untrained_run
from tests.models.test_package import header_of
from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.hub import installed
from v2skit.models.pack_header import FORMAT, printable_lines, read_header
from v2skit.models.speakers.d_vector import DVector

GRID = installed.FOLDER / installed.OFFLINE


@pytest.fixture
def run(tmp_path) -> Path:
    return untrained_run(tmp_path, speaker={"type": "d_vector"})


@pytest.mark.parametrize(
    ("option", "text", "place"),
    [
        ("--notes", "page\f2", "card.notes"),
        ("--data", "a\x1b[2J", "card.data"),
        ("--name", "line\x85s", "card.name"),
        ("--voice", "an\x1bna=anna.wav", "voices.0"),
    ],
)
def test_a_good_pack_is_not_replaced_by_one_that_can_not_be_read(
    run, tmp_path, monkeypatch, capsys, option, text, place
):
    monkeypatch.setattr(DVector, "voice", lambda self, name: np.zeros(256, np.float32))
    out = tmp_path / "model.v2s"
    assert main(["pack", str(run), "-o", str(out)]) == 0
    before = out.read_bytes()
    assert main(["pack", str(run), "-o", str(out), "--force", option, text]) == 1
    error = capsys.readouterr().err
    assert f"{out} is not written, since it could not be read: {place}: text with control characters" in error
    assert f"delete them: {text.partition('=')[0]!r}\n" in error
    assert out.read_bytes() == before
    assert main(["pack", str(run), "-o", str(out), "--force", option, "".join(filter(str.isprintable, text))]) == 0
    assert read_header(out).format == FORMAT


@pytest.mark.parametrize(
    ("version", "shown"),
    [
        ("9.0", "9.0"),
        ("9\x1b]0;owned\x07\n.0", "9?]0;owned? .0"),
        ("9" * 1000, "9" * 40),
        ("9\u202e0.", "9?0."),
        (None, "of a later format"),
        ([[9]], "of a later format"),
    ],
)
def test_the_version_of_a_newer_pack_is_printable_and_short(tmp_path, version, shown):
    newer = {**header_of(GRID), "format": FORMAT + 1, "v2skit": version}
    save_file({"x": torch.zeros(1)}, tmp_path / "newer.v2s", {"v2skit": json.dumps(newer)})
    with pytest.raises(UserError) as error:
        read_header(tmp_path / "newer.v2s")
    assert f" was packed by v2skit {shown}, this is " in str(error.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("10\u00a0% of\tit\u202fis\u2003so\u3000", "10 % of it is so "),
        ("می\u200cخواهم, 👩\u200d🔬", "می\u200cخواهم, 👩\u200d🔬"),
        ("two\nlines\r", "two\nlines?"),
        ("\x1b[31m\x07\x00\x7f\x85\x9b", "?[31m?????"),
        ("\udc80", "?"),
        ("\u202ega\u202c, \u2066x\u2069, \u200e\u200f\u061c", "?ga?, ?x?, ???"),
    ],
)
def test_only_what_a_terminal_would_interpret_is_replaced(text, shown):
    assert printable_lines(text) == shown
