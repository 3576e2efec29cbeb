"""What every error of bad input must be: one sentence, soon."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from typing import Any

from v2skit.errors import UserError

LONGEST = 1300
"""Characters of an error's message, with the path of its source."""


def sentence(action: Callable[[], Any]) -> str:
    """The message of the error that an action raises, empty where it raises none; any other error fails the test."""
    started = time.monotonic()
    try:
        action()
    except UserError as error:
        message = str(error)
        assert 0 < len(message) <= LONGEST and message.encode() and message.splitlines() == [message], message
        assert not any(unicodedata.category(character) == "Cc" for character in message)
        return message
    finally:
        assert time.monotonic() - started < 20
    return ""
