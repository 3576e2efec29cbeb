"""Limits of the connections of the page, so that slow ones neither last for ever nor keep others out."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 100

REQUEST_SECONDS = 10.0
"""Time that a connection has, twice at most, to send the head of a request."""

RESPONSE_SECONDS = 300.0
"""Time that a client has to accept a part of the response."""


class Connection(H11Protocol):
    """A connection that is closed where the client sends no request, or does not accept the response, in time.

    Where there are more than MAX_CONNECTIONS, the oldest one that has sent no complete request is closed.
    """

    def connection_made(self, transport: Any) -> None:
        """Begin to measure the time."""
        super().connection_made(transport)
        self._begin = time.monotonic()
        self._stuck: asyncio.TimerHandle | None = None
        self._make_room()
        self._check(None)

    def pause_writing(self) -> None:
        """The client does not accept the response for now."""
        super().pause_writing()
        self._stuck = self.loop.call_later(RESPONSE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client accepts it again."""
        super().resume_writing()
        self._cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._cancel()
        super().connection_lost(exc)

    def _cancel(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()

    def _make_room(self) -> None:
        """Where there are too many connections, close the one that has been without a complete request for longest."""
        opened = [c for c in self.connections if isinstance(c, Connection) and not c.transport.is_closing()]
        if len(opened) > MAX_CONNECTIONS:
            incomplete = [c for c in opened if c._lacks_request() or c.cycle.more_body]
            min(incomplete, key=lambda c: (c is self, not c._lacks_request(), c._begin)).transport.abort()

    def _lacks_request(self) -> bool:
        """Whether no request is in progress."""
        return self.cycle is None or self.cycle.response_complete

    def _check(self, before: object) -> None:
        """Close the connection where it has been without a request since the last check, of the state ``before``."""
        if self.transport.is_closing():
            return
        state = (id(self.cycle), self._lacks_request())
        if self._lacks_request() and state == before:
            self.transport.abort()
        else:
            self.loop.call_later(REQUEST_SECONDS, self._check, state)
