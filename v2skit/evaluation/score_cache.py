"""Results of metrics and recognisers by the content of what they were computed from."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import math
from collections.abc import Callable
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from v2skit.registry import sources
from v2skit.system.text_file import read_lines


class ScoreCache:
    """Key -> result. What has not changed is not computed again, whatever the name, time or place of its files.

    The key is a digest of the component and of all that it is called with. That of a component has its class, the
    sources of its module, of the package that this is in and of v2skit, its ``protocol``, in which versions of other
    packages are, and its attributes that are JSON.

    Args:
        known: results of before.
    """

    def __init__(self, known: dict[str, Any] | None = None) -> None:
        self.known = dict(known or {})
        self.fresh: dict[str, Any] = {}

    def recall(self, component: Any, inputs: list[np.ndarray | str | int], compute: Callable[[], Any]) -> Any:
        """The result of ``compute``, of before where the component and its inputs are the same.

        Only names with finite numbers, texts, lists of texts, and whole numbers are remembered.
        """
        key = _key(component, inputs)
        if key not in self.known:
            result = _plain(compute())
            if not _can_be_stored(result):
                return result
            self.known[key] = self.fresh[key] = result
        return self.known[key]

    def take_fresh(self) -> dict[str, Any]:
        """What was computed since the last call."""
        fresh, self.fresh = self.fresh, {}
        return fresh


def read_cache(path: Path) -> dict[str, Any]:
    """The results in a file of :func:`lines_of`; empty where there is none. Damaged lines, as of a process that was
    killed, are skipped."""
    found: dict[str, Any] = {}
    if path.exists():
        for line in read_lines(path, errors="replace"):
            try:
                key, result = json.loads(line)
            except (ValueError, TypeError, RecursionError):
                continue
            if isinstance(key, str) and _can_be_stored(result):
                found[key] = result
    return found


def lines_of(results: dict[str, Any]) -> str:
    """Results as lines of JSON, each after a line break: it may be appended to a line that was cut off."""
    return "".join(f"\n{json.dumps(entry)}" for entry in results.items())


def _plain(result: Any) -> Any:
    """Numbers of numpy as those of Python, which JSON has."""
    if not isinstance(result, dict):
        return result
    return {name: float(value) if isinstance(value, Real) else value for name, value in result.items()}


def _can_be_stored(result: Any) -> bool:
    if isinstance(result, dict):
        return all(isinstance(value, float) and math.isfinite(value) for value in result.values())
    if isinstance(result, list):
        return all(isinstance(entry, str) for entry in result)
    return isinstance(result, (str, int))


def _key(component: Any, inputs: list[np.ndarray | str | int]) -> str:
    digest = hashlib.sha256(_identity(component).encode())
    for value in inputs:
        content = value.tobytes() if isinstance(value, np.ndarray) else str(value).encode()
        digest.update(f"\n{type(value).__name__} {getattr(value, 'dtype', '')} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:32]


def _identity(component: Any) -> str:
    kind: Any = component if inspect.isfunction(component) else type(component)
    settings = {name: value for name, value in sorted(vars(component).items()) if _is_json(value)}
    packages = sources.digest_of(frozenset({"v2skit", kind.__module__.partition(".")[0]}))
    protocol = getattr(component, "protocol", "")
    return json.dumps([packages, kind.__module__, kind.__qualname__, _source(kind), protocol, settings])


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


@functools.cache
def _source(kind: Any) -> str:
    """Digest of the module's source; empty where it has none."""
    try:
        source = inspect.getsource(inspect.getmodule(kind) or kind)
    except (OSError, TypeError):
        return ""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
