"""What a command that fails prints, in one sentence, and its exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable

from v2skit.errors import UserError, printable, reason_of
from v2skit.system.extras import missing


def status_of(action: Callable[[], None], program: str = "v2skit", resumes: Callable[[], bool] = lambda: False) -> int:
    """Run a command.

    Args:
        action: the command.
        program: its name.
        resumes: whether the same command, given again, continues its work.

    Returns:
        the exit status: 0, 1 for an error of the user's, 130 after Ctrl-C.
    """
    try:
        action()
    except UserError as error:
        print(f"{program}: error: {error}", file=sys.stderr)
        return 1
    except ImportError as error:
        lacking = missing(error, "this command")
        if lacking is None:
            raise
        print(f"{program}: error: {lacking}", file=sys.stderr)
        return 1
    except UnicodeEncodeError as error:
        name = printable(error.object)[:200]
        print(f"{program}: error: {name!r} is not UTF-8; rename the file or folder of that name", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print(f"\n{program}: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:  # a full disk, a folder that can't be written
        remedy = "; finished work is kept, the same command, without --force, resumes" if resumes() else ""
        print(f"{program}: error: {reason_of(error)}{remedy}", file=sys.stderr)
        return 1
    return 0
