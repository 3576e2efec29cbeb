"""README.md of a repository on a hub: the card of its packed model, with the header that the hub's search reads."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from v2skit.errors import UserError
from v2skit.evaluation.markdown import cell_of, decimals_of, title_of
from v2skit.evaluation.text_table import in_cell
from v2skit.hub.address import Address
from v2skit.models.pack_header import Card, Header, printable_lines, read_header
from v2skit.models.package import named_voices
from v2skit.publishing.folder import GENERATED
from v2skit.registry import plugins
from v2skit.system.extras import COMPONENTS, remedy
from v2skit.system.provenance import Provenance

TAGS = ["video-to-speech", "v2skit", "lip-to-speech", "speech-synthesis"]
TASK = {"type": "video-to-speech", "name": "Video-to-speech synthesis"}
LICENCES = {
    "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0", "cc-by-sa-4.0", "cc0-1.0", "gpl-3.0", "lgpl-3.0", "mit", "mpl-2.0", "openrail", "unlicense",
}  # fmt: skip
"""Identifiers of licences on the hub, of those that a model may have; the hub names others in words."""
NUMBERS = ("mean", "low", "high", "n", "failed")
"""Of an entry of the scores."""


def readme(pack: Path, address: Address, languages: Iterable[str] = ()) -> str:
    """The card of a pack, in Markdown, with the hub's metadata in YAML before it.

    Args:
        pack: the file.
        address: from where it will be loaded.
        languages: codes of those of the speech, such as ``en``.

    Raises:
        UserError: it is no pack.
    """
    header = read_header(pack)
    metadata = yaml.safe_dump(_metadata(header, languages), sort_keys=False, allow_unicode=True, width=1000)
    sections = {
        "How to use it": _usage(header, address),
        "Scores": _scores(header),
        "Data and licences": [_stated(header.card.data), f"Licence: {_stated(header.card.licence)}", _credits(header)],
        "Limits": [_stated(header.card.limits)],
        "Voices": _voices(header),
        "Notes": [header.card.notes] if header.card.notes else [],
    }
    paragraphs = [f"<!-- {GENERATED} -->", f"# {header.card.name or pack.stem}", _summary(header)]
    for title, texts in sections.items():
        paragraphs += [f"## {title}", *filter(None, texts)] if texts else []
    text = printable_lines("\n\n".join(paragraphs))
    return f"---\n{metadata}---\n\n{text}\n"


def unstated(card: Card) -> list[str]:
    """What a card does not say and people should know before they use the model."""
    return [name for name in ("made_for", "data", "licence", "limits", "credits") if not getattr(card, name)]


def licence_id(text: str) -> str | None:
    """The hub's identifier of a licence, such as ``cc-by-4.0`` of ``CC BY 4.0``; None where it has none."""
    name = _identifier(text)
    return {"cc0": "cc0-1.0"}.get(name, name if name in LICENCES else None)


def _identifier(text: str) -> str:
    """Text in the form of the hub's identifiers."""
    return "-".join(re.findall(r"[a-z0-9.]+", text.lower()))


def extras_of(config: dict) -> list[str]:
    """The extras of v2skit that fetch a model and find mouths for it.

    Args:
        config: of the model.
    """
    extra = COMPONENTS.get(_type_of(config, "tracker"))
    return ["hub", extra] if extra else ["hub"]


def _metadata(header: Header, languages: Iterable[str]) -> dict[str, Any]:
    """The header of README.md, in the hub's keys."""
    found: dict[str, Any] = {"library_name": "v2skit", "tags": TAGS}
    if licence := licence_id(header.card.licence):
        found["license"] = licence
    elif header.card.licence:
        found |= {"license": "other", "license_name": _identifier(header.card.licence)}
    found |= {key: value for key, value in (("language", list(languages)), ("datasets", _corpora(header))) if value}
    entries = _entries(header)
    if not entries:
        return found
    metrics = [{"type": name, "name": title_of(name), "value": entry["mean"]} for name, entry in entries.items()]
    corpus = _type_of(header.meta["model"].config, "corpus") or "unknown"
    dataset = {"type": corpus, "name": "its own test set"}
    results = [{"task": TASK, "dataset": dataset, "metrics": metrics}]
    return {
        **found,
        "metrics": list(entries),
        "model-index": [{"name": header.card.name or "model", "results": results}],
    }


def _corpora(header: Header) -> list[str]:
    """The published corpora that the config of the training names."""
    config, found = header.meta["model"].config, []
    for name in (_type_of(config, key) for key in ("corpus", "audio_corpus")):
        with suppress(UserError):  # one of a plug-in that is not installed
            found += [name] if name and hasattr(plugins.registry().entry("corpus", name).load(), "info") else []
    return found


def _type_of(config: dict, key: str) -> str:
    """The type of a component in a stored config, which no reader checks; empty where there is none."""
    choice = config.get(key)
    name = choice.get("type") if isinstance(choice, dict) else None
    return name if isinstance(name, str) else ""


def _entries(header: Header) -> dict[str, dict[str, Any]]:
    """The entries of the row of scores, by metric; of those that could be computed and are whole: no reader checks
    them."""
    row = (header.scores or {}).get("row")
    found = row.items() if isinstance(row, dict) else ()
    entries = {name: {"failed": 0, **entry} for name, entry in found if isinstance(entry, dict)}
    return {name: entry for name, entry in entries.items() if all(_is_number(entry.get(key)) for key in NUMBERS)}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _summary(header: Header) -> str:
    made_for = f" It was made for: {header.card.made_for}." if header.card.made_for else ""
    page = "v2skit, a toolkit for video-to-speech synthesis"
    return f"Synthesises the speech of a silent video of a talking face, with {page}.{made_for}"


def _usage(header: Header, address: Address) -> list[str]:
    code = ["import v2skit", "", f'model = v2skit.load("{address}")', 'speech = model.synthesise("clip.mp4")']
    meta = header.meta["model"]
    rate = meta.features.get("sample_rate", "unknown")
    needed = ", ".join(f"{name} {version}" for name, version in meta.plugins.items() if name != "v2skit")
    return [
        "\n".join(["```python", *code, "```"]),
        f"`speech.waveform` is float32 at {rate} Hz, as long as the video. Without Python:",
        f"    v2skit synth clip.mp4 --model {address}",
        f"What it takes: `{remedy(*extras_of(meta.config))}`. Nothing in the file is run as code.",
        f"It needs these plug-ins as well: {needed}." if needed else "",
    ]


def _scores(header: Header) -> list[str]:
    entries = _entries(header)
    if not entries:
        return ["None are packed with the model."]
    protocols = Provenance(header.scores or {}).part("protocols").values
    lines = ["| metric | mean, 95 % interval | how it is computed |", "| --- | --- | --- |"]
    for name, entry in entries.items():
        score = cell_of(entry, decimals_of({"model": entries}, name))
        lines.append(f"| {title_of(name)} | {score} | {in_cell(str(protocols.get(name, 'not recorded')))} |")
    clips = max(entry["n"] for entry in entries.values())
    return ["\n".join(lines), f"Of the {clips} clips of its own test set."]


def _credits(header: Header) -> str:
    return "\n".join(f"* {credit}" for credit in header.card.credits)


def _voices(header: Header) -> list[str]:
    names = named_voices(header)
    if not names:
        return ["None are packed with the model."]
    default = f"; default: {header.default_voice}" if header.default_voice else ""
    return [f"{', '.join(names)}{default}. `model.synthesise(..., voice=NAME)` or `--voice NAME` names one."]


def _stated(text: str) -> str:
    return text or "not stated"
