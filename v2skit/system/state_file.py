"""State files: small JSON or YAML files with keys and values, which v2skit writes itself and reads again later."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from v2skit.errors import UserError
from v2skit.system.text_file import read_text


def parse_json(text: str) -> Any:
    """JSON -> its content. Raises ValueError where it is none, or has characters that no text has (lone surrogates)."""
    tree = json.loads(text)
    if "\\u" in text:
        json.dumps(tree, ensure_ascii=False).encode()
    return tree


def read_state(path: Path, remedy: str, parse: Callable[[str], Any] = parse_json) -> dict[str, Any] | None:
    """The content of a state file, None where there is no such file.

    Args:
        path: of the file.
        remedy: end of the error message.
        parse: text -> content; raises ValueError.

    Raises:
        UserError: the file can't be read, is a pipe, empty or cut short, or holds anything but keys and values.
    """
    check_permission(path)
    try:
        return parse_state(read_text(path), path, remedy, parse)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or NUL in the path
        raise damaged(path, error, remedy) from error


def parse_state(text: str, path: Path, remedy: str, parse: Callable[[str], Any] = parse_json) -> dict[str, Any]:
    """As :func:`read_state`, of text that was read from the file."""
    try:
        tree = parse(text)
    except (ValueError, RecursionError) as error:
        raise damaged(path, error, remedy) from error
    if not isinstance(tree, dict):
        raise damaged(path, "it has no keys and values", remedy)
    return tree


def check_permission(path: Path) -> None:
    """Raises UserError where a file exists and this user may not read it: then it is not damaged, but many libraries
    do not tell that apart; or where it is a pipe or a device, on which many would wait for ever."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        mode = os.fstat(opened).st_mode
        os.close(opened)
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            raise UserError.about(path, "can't be read, it is a pipe or a device; put a file in its place")
    except PermissionError as error:
        raise UserError.about(path, f"can't be read ({error.strerror}); change its permissions") from error
    except (OSError, ValueError):
        pass


def damaged(path: Path, reason: object, remedy: str) -> UserError:
    """The error of a file that can't be used; the remedy is the end of its message."""
    return UserError(f"{path} is damaged ({reason}); {remedy}", path=path)
