"""What went wrong in the code of a plug-in, in one sentence."""

from __future__ import annotations

from v2skit.errors import UserError
from v2skit.system.extras import missing


def failure(error: BaseException, what: str = "it") -> str:
    """The text of an error that foreign code raised. Raises it again where it is an interruption by the user.

    Args:
        error: any exception; ``sys.exit()`` raises one too.
        what: the part of the toolkit that needs a missing package, for its remedy.
    """
    if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
        raise error
    if isinstance(error, ImportError):
        error = missing(error, what) or error
    try:
        text = str(error) if isinstance(error, UserError) else " ".join(str(error).split())
    except Exception:  # its __str__ is foreign code as well
        text = ""
    if isinstance(error, UserError):
        return text
    name = type(error).__name__
    return f"it ends the process ({name}: {text})" if isinstance(error, SystemExit) else f"{name}: {text}"
