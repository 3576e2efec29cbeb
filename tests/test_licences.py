"""LICENCES.md names every distribution that is installed, with the licence that its wheel states."""

import importlib.metadata
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.setup_file import setup_arguments

AGGREGATES = {"test", "all"}
"""Extras that repeat what others bring."""

FAMILIES = {
    "Apache": r"apache",
    "MIT": r"\bmit\b",
    "BSD": r"\bbsd\b|0bsd",
    "ISC": r"\bisc\b",
    "LGPL": r"lgpl|lesser general public",
    "GPL": r"(?<!l)gpl(?!.*exception)|(?<!lesser )general public",
    "MPL": r"\bmpl|mozilla public",
    "PSF": r"\bpsf|python software foundation",
    "evaluation": r"evaluation",
    "proprietary": r"proprietary",
}
STRICT = {"LGPL", "GPL", "MPL", "evaluation", "proprietary"}
"""Families that may not be left out."""

TEXTS = {
    "Apache": "Apache License",
    "MIT": "Permission is hereby granted, free of charge",
    "BSD": "Redistribution and use in source and binary forms",
    "evaluation": "AGREEMENT FOR EVALUATION",
}
"""Family -> words of its licence's text, for packages that state nothing else."""

BUNDLED = {
    "libx264": "x264", "libx265": "x265", "libavcodec": "FFmpeg", "libmp3lame": "LAME", "libgnutls": "GnuTLS",
    "libsndfile": "libsndfile", "libespeak-ng": "espeak-ng", "libssl": "OpenSSL", "libgomp": "libgomp",
    "libgfortran": "libgfortran", "libquadmath": "libquadmath",
}  # fmt: skip
"""Shared libraries under a licence other than their wheel's -> what the table calls them."""

ROWS = {
    row[0]: row[1:]
    for row in (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "LICENCES.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|") and not line.startswith("| ---")
    )
    if row[0] != "name"
}
"""Distribution -> licence, what for, extra."""


def normalised(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def by_setup(monkeypatch) -> dict[str, set[str]]:
    """Distribution -> extras that bring it, by setup.py."""
    given = setup_arguments(monkeypatch)
    found: dict[str, set[str]] = {}
    for extra, requirements in {"core": given["install_requires"], **given["extras_require"]}.items():
        for requirement in requirements:
            found.setdefault(normalised(requirement), set()).add(extra)
    found.pop("v2skit", None)  # an extra of its own
    return {name: extras - AGGREGATES or extras - {"all"} for name, extras in found.items()}


def by_install() -> set[str]:
    """Distributions that tools/install.sh names."""
    found = set()
    for line in (ROOT / "tools/install.sh").read_text(encoding="utf-8").splitlines():
        for command in re.findall(r"(?:^\s*|[{&] )(?:fetch|must (?:'[^']*'|\S+)) ([^;|&{}]*)", line):
            words = [word.strip("'") for word in command.split() if not word.startswith("-") and "$" not in word]
            found |= set(map(normalised, words))
    return found


def test_the_table_is_what_is_installed(monkeypatch):
    setup, install = by_setup(monkeypatch), by_install()
    assert {"resemblyzer", "mediapipe", "parallel-wavegan"} <= install
    wanted = {**{name: {"install.sh"} for name in install - setup.keys()}, **setup}
    assert {normalised(name): set(row[2].split(", ")) for name, row in ROWS.items()} == wanted


def test_kaldiio_is_nowhere_but_in_its_extra_and_the_tests(monkeypatch):
    assert by_setup(monkeypatch)["kaldiio"] == {"kaldi"}
    files = {path.relative_to(ROOT) for path in (ROOT / "v2skit").rglob("*.py") if "import kaldiio" in path.read_text()}
    assert files == {Path("v2skit/media/kaldi.py")}


@pytest.mark.parametrize("name", ROWS)
def test_the_licence_is_what_the_wheel_states(name):
    own = ROWS[name][0].partition(";")[0]
    stated = families(declared(name))
    if own.startswith("none stated"):
        assert not stated
        return
    first = next((f for f in sorted(FAMILIES, key=lambda f: position(f, own)) if position(f, own) < len(own)), None)
    assert first in stated, f"LICENCES.md says {own}, the package {sorted(stated)}"
    assert stated & STRICT == families(own) & STRICT


@pytest.mark.parametrize("name", ROWS)
def test_bundled_libraries_are_named(name):
    files = distribution(name).files or []
    found = {BUNDLED[k] for k in BUNDLED for f in files if f.name.startswith(k) and ".so" in f.name}
    assert not {label for label in found if label not in ROWS[name][0]}


def test_what_they_ask_for_in_turn_is_named():
    """Every distribution that one of the table's leads to, where its licence is not permissive."""
    text = (ROOT / "LICENCES.md").read_text(encoding="utf-8")
    left, seen, unnamed = {*map(normalised, ROWS)}, set(), []
    while left:
        name = left.pop()
        seen.add(name)
        try:
            requirements = importlib.metadata.distribution(name).requires or []
        except importlib.metadata.PackageNotFoundError:
            continue
        left |= {normalised(line) for line in requirements if "extra ==" not in line} - seen
        if families(declared(name)) & STRICT and name.partition("-")[0] not in text.lower():
            unnamed.append(name)
    assert not unnamed and len(seen) > len(ROWS)


def test_the_notice_in_pesq_is_named():
    sources = [f for f in distribution("pesq").files or [] if f.suffix == ".c"]
    if not sources:
        pytest.skip("this installation of pesq has no sources")
    notices = ["PESQ Intellectual Property Rights Notice" in f.locate().read_text("latin-1") for f in sources]
    assert any(notices) == ("ITU" in ROWS["pesq"][0])


def distribution(name: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed")


def declared(name: str) -> str:
    """What a distribution states: its expression or field, else its classifiers, else families of its texts."""
    found = distribution(name)
    expression = found.metadata.get("License-Expression") or found.metadata.get("License") or "UNKNOWN"
    if expression != "UNKNOWN" and len(expression) < 80:
        return expression
    classifiers = [value for value in found.metadata.get_all("Classifier") or [] if value.startswith("License")]
    if classifiers:
        return " ".join(classifiers)
    files = [f for f in found.files or [] if re.match(r"(?i)licen[cs]e|copying", f.name) and ".dist-info" in str(f)]
    texts = " ".join(file.locate().read_text("utf-8", "replace") for file in files)
    return " ".join(family for family, words in TEXTS.items() if words in texts)


def position(family: str, text: str) -> int:
    """Where a family is first named, the text's length where it is not."""
    found = re.search(FAMILIES[family], text, re.IGNORECASE)
    return found.start() if found else len(text)


def families(text: str) -> set[str]:
    return {family for family in FAMILIES if position(family, text) < len(text)}
