"""The forms of what an experiment has stored: results, logs, ledgers and machines are of them, or damaged.

Keys that are not named here are of other versions, and are not checked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from v2skit.system.state_file import damaged, read_state

LARGEST = 1e100
"""Of such numbers thousands can be added."""
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
_Numbers = dict[str, Number]
_ABSENT: Any = None


def _one_name(name: str) -> str:
    if PurePath(name).name != name or not name.isprintable():
        raise ValueError("a row can't have this name")
    return name


@dataclass(frozen=True)
class _Entry:
    """The mean of a metric with its interval, over ``n`` clips."""

    mean: Number | None
    low: Number | None
    high: Number | None
    n: Count
    failed: Count = 0

    def __post_init__(self) -> None:
        if self.n and None in (self.mean, self.low, self.high):
            raise ValueError("the mean of clips is missing")


_Entries = dict[str, _Entry]
_Rows = dict[Annotated[str, AfterValidator(_one_name)], _Entries]


@dataclass(frozen=True)
class _Table:
    rows: _Rows
    protocols: dict[str, str]


@dataclass(frozen=True)
class _Slots:
    errors: Annotated[dict[str, list[Number]], Field(min_length=1)]
    confusions: dict[str, list[list[tuple[str, str | None, Count, Count]]]]


@dataclass(frozen=True)
class _RowSounds:
    visemes: dict[str, _Numbers]
    confusions: list[tuple[str, str | None, Count, bool]]


@dataclass(frozen=True)
class _Sounds:
    protocol: str
    unknown_words: Number
    rows: Annotated[dict[str, _RowSounds], Field(min_length=1)]


@dataclass(frozen=True)
class _Breakdowns:
    talkers: dict[str, dict[str, _Numbers]]
    slots: _Slots = _ABSENT
    sounds: _Sounds = _ABSENT


@dataclass(frozen=True)
class _Protocol:
    name: str
    fingerprint: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class _Split:
    clips: str
    count: Count
    unseen_talkers: bool | None = None


@dataclass(frozen=True)
class _Conditions:
    split: _Split


@dataclass(frozen=True)
class _Bootstrap:
    resamples: Count
    level: Number


@dataclass(frozen=True)
class _Results:
    rows: _Rows
    differences: dict[str, _Entries] = _ABSENT
    chance_wer: Number | None = None
    files: dict[str, Count] = _ABSENT
    silent: dict[str, Count] = _ABSENT
    failures: dict[str, dict[str, dict[str, str]]] = _ABSENT
    aligned: _Table = _ABSENT
    lip_reading: dict[str, _Table] = _ABSENT
    breakdowns: _Breakdowns = _ABSENT
    protocols: dict[str, str] = _ABSENT
    higher_is_better: dict[str, bool] = _ABSENT
    bootstrap: _Bootstrap = _ABSENT
    notes: dict[str, Any] | None = None
    main_row: str | None = None
    protocol: _Protocol | None = None
    conditions: _Conditions | None = None


WHOLE = {
    "rows", "differences", "chance_wer", "files", "silent", "failures", "protocols", "higher_is_better", "bootstrap",
    "notes",
}  # fmt: skip
"""What all results have."""


@dataclass(frozen=True)
class _LedgerEntry:
    tensor: str
    part: str
    status: str
    shape: list[Count] | None = None
    source_shape: list[Count] | None = None
    source: str | None = None
    change: str | None = None


@dataclass(frozen=True)
class _Ledger:
    entries: list[_LedgerEntry]
    shares: _Numbers


@dataclass(frozen=True)
class _Machine:
    device: str = ""
    devices: Count = 1


@dataclass(frozen=True)
class _LogEntry:
    step: Count
    kind: str
    seconds_per_step: Number = 0.0
    waiting_share: Number = 0.0


@dataclass(frozen=True)
class _Trial:
    id: str
    clip: str
    group: str
    systems: dict[str, str]
    limits: dict[str, tuple[Number, Number]]
    counts: bool


@dataclass(frozen=True)
class _Key:
    test: str
    unit: str
    factor: Number
    trials: list[_Trial]


@dataclass(frozen=True)
class _Answer:
    trial: str
    ratings: _Numbers


@dataclass(frozen=True)
class _Answers:
    test: str
    listener: str
    answers: list[_Answer]


RESULTS: TypeAdapter[Any] = TypeAdapter(_Results)
LEDGER: TypeAdapter[Any] = TypeAdapter(_Ledger)
MACHINE: TypeAdapter[Any] = TypeAdapter(_Machine)
LOG_ENTRY: TypeAdapter[Any] = TypeAdapter(_LogEntry)
LISTENING_KEY: TypeAdapter[Any] = TypeAdapter(_Key)
ANSWERS: TypeAdapter[Any] = TypeAdapter(_Answers)


def read_form(path: Path, form: TypeAdapter[Any], remedy: str) -> dict[str, Any] | None:
    """The content of a JSON file, None where there is none.

    Args:
        path: of the file.
        form: one of this module's.
        remedy: end of the error message.

    Raises:
        UserError: it can't be read, or is not of this form.
    """
    tree = read_state(path, remedy)
    if tree is not None:
        check_form(tree, form, path, remedy)
    return tree


def check_form(tree: dict[str, Any], form: TypeAdapter[Any], path: Path, remedy: str) -> None:
    """As :func:`read_form`, of what was read from the file."""
    try:
        form.validate_json(json.dumps(tree), strict=True)
    except ValidationError as error:
        raise damaged(path, reason_of_form(error), remedy) from error


def reason_of_form(error: ValidationError) -> str:
    """Where and why a tree is not of a form, of the first error."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place[:200]!a}: {first['msg']}" if place else first["msg"]
