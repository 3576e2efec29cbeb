"""pydantic's errors -> one sentence that names the source, the key and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from v2skit.errors import UserError

EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "dict_type": "keys and values",
    **dict.fromkeys(
        ("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type", "sequence_str"), "a list"
    ),
    "is_instance_of": "a {class}",
    "literal_error": "{expected}",
    "expected": "{what}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
}
"""Type of a pydantic error -> the expected value, in the words of a config's author."""


MAX_SHOWN = 200
"""Characters of a value that an error shows."""
MAX_SENTENCE = 1000
"""Characters of an error's message."""


def shortened(value: Any) -> str:
    """A value as Python writes it, without the middle where it is long."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 20]}...{text[-17:]}"


def expected(what: str) -> PydanticCustomError:
    """A validator's error for a value of another type; those of all members of a union are joined to one sentence."""
    return PydanticCustomError("expected", "expected {what}", {"what": what})


def refused(message: str, key: str = "") -> PydanticCustomError:
    """A validator's error with a message of its own.

    Args:
        message: in it ``{place}`` stands for the dotted key of the validated value, ``{section}`` for the same and a
            dot (nothing for the whole config), and ``{key}`` for the dotted key of the fault.
        key: dotted key of the fault, relative to the validated value.
    """
    return PydanticCustomError("refused", "refused", {"message": message, "key": str(key)})


def user_error(error: ValidationError, tree: Any, source: str, origins: Mapping[str, str], path: str = "") -> UserError:
    """The first of a tree's innermost errors as a sentence; the arguments are those of ``check``."""
    problems = [(_place(tree, problem["loc"]), problem) for problem in error.errors(include_url=False)]
    innermost = max((place for place, _ in problems), key=len)
    here = [problem for place, problem in problems if place == innermost]
    refusal = next((problem["ctx"] for problem in here if problem["type"] == "refused"), {})
    place = ".".join((*filter(None, [path]), *innermost))
    key = ".".join(filter(None, [place, refusal.get("key")]))
    sentence = _sentence(here, key)
    if refusal:
        stands_for = {"{section}": f"{place}." if place else "", "{place}": place or "config", "{key}": key}
        sentence = refusal["message"]
        for name, text in stands_for.items():
            sentence = sentence.replace(name, text)
    source = origin_of(key, source, origins)
    if len(sentence) > MAX_SENTENCE:
        sentence = f"{sentence[: MAX_SENTENCE // 2]} ... {sentence[-MAX_SENTENCE // 4 :]}"
    return UserError(f"{source}: {sentence}", key=key, source=source)


def origin_of(key: str, source: str, origins: Mapping[str, str]) -> str:
    """Where a dotted key comes from, or else the keys above it; otherwise the source of the whole tree."""
    while key and key not in origins:
        key = key.rpartition(".")[0]
    return origins.get(key, source)


def _place(tree: Any, location: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys and indices of a pydantic location, without the names that it has for the members of unions."""
    place = []
    for part in location:
        inside = dict(enumerate(tree)) if isinstance(tree, (list, tuple)) else tree if isinstance(tree, dict) else {}
        if part in inside:
            tree = inside[part]
            place.append(str(part))
    return tuple(place)


def _sentence(problems: list[Any], key: str) -> str:
    """The message for a value of another type, or out of range; several problems are those of a union's members."""
    first, key = problems[0], key or "config"
    if first["type"] == "literal_error" and len(problems) == 1 and " or " in first["ctx"]["expected"]:
        return f"{key}: {shortened(first['input'])} is neither {first['ctx']['expected'].replace(' or ', ' nor ')}"
    wants = [EXPECTED.get(problem["type"], "").format(**problem.get("ctx", {})) for problem in problems]
    if not all(wants):  # the error of a plug-in's own validator
        return f"{key}: {first['msg']}, not {shortened(first['input'])}"
    return f"{key}: expected {' or '.join(dict.fromkeys(wants))}, not {shortened(first['input'])}"
