"""What goes wrong at a hub, in one sentence with its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from v2skit.errors import UserError, reason_of
from v2skit.hub.address import Address

LOG_IN = "log in with hf auth login, or set HF_TOKEN"


class UnreachableError(UserError):
    """The hub does not answer, fails, or is not to be asked; the field ``reason`` says which of these."""


@contextmanager
def explained(address: Address, cannot: str) -> Iterator[None]:
    """Context of calls of huggingface_hub.

    Args:
        address: what the calls are about.
        cannot: the predicate of the sentence, such as "can't be fetched".

    Raises:
        UnreachableError: there is no connection, the hub or the transfer fails, or ``HF_HUB_OFFLINE`` is set.
        UserError: the hub refuses the request or what is pushed, or a file can't be written.
    """
    from huggingface_hub import errors

    what = f"{address} {cannot}"
    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise _unreachable(what, "HF_HUB_OFFLINE is set", "unset it") from error
    except errors.LocalEntryNotFoundError as error:
        raise _unreachable(what, "the connection to the hub was lost", "try again") from error
    except errors.HfHubHTTPError as error:
        raise _refused(what, address, error) from error
    except errors.HTTPError as error:  # that of the HTTP client: no answer at all
        raise _unreachable(what, f"no connection to the hub ({error})", "try again with one") from error
    except ValueError as error:  # of a name, or of the metadata in README.md
        raise UserError(f"{what}: {' '.join(str(error).split())}; correct that") from error
    except (OSError, RuntimeError) as error:
        if not getattr(error, "errno", None):  # of the library of transfers
            raise _unreachable(what, f"the transfer failed ({reason_of(error)})", "try again") from error
        raise UserError(f"{what}: {reason_of(error)}; HF_HOME names a folder elsewhere for the cache") from error


def _refused(what: str, address: Address, error: Any) -> UserError:
    """The error for an answer of the hub other than success."""
    from huggingface_hub import constants, errors

    page, status = f"{constants.ENDPOINT}/{address.repo}", error.response.status_code
    if isinstance(error, errors.GatedRepoError):
        return UserError(f"{what}: it is gated; ask for access at {page}, then {LOG_IN}")
    if isinstance(error, errors.RepositoryNotFoundError):
        return UserError(f"{what}: {page} does not exist or is private; check the name, or {LOG_IN}")
    if isinstance(error, errors.RevisionNotFoundError):
        return UserError(f"{what}: it has no such revision; name a branch, tag or commit of {page}")
    if status in (401, 403):
        return UserError(f"{what}: the hub refuses it ({status}); {LOG_IN}, with a token that has the right to do it")
    if status >= 500 or status == 429:
        return _unreachable(what, f"the hub fails ({status})", "try again later")
    return UserError(f"{what}: {reason_of(error)}; see {page}")


def _unreachable(what: str, reason: str, remedy: str) -> UnreachableError:
    return UnreachableError(f"{what}: {reason}; {remedy}", reason=reason)
