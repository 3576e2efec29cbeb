"""The server process of the page: Ctrl-C ends it and cancels work in progress."""

from __future__ import annotations

import socket
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette

from v2skit.web.connections import Connection


def run(app: Starlette, listener: socket.socket, host: str) -> None:
    """Serve until Ctrl-C.

    Args:
        app: of :func:`v2skit.web.app.build_app`.
        listener: a socket that listens.
        host: its address, for the message.
    """
    name, port = f"[{host}]" if ":" in host else host, listener.getsockname()[1]
    print(f"the page is at http://{name}:{port}; Ctrl-C ends it", flush=True)
    with suppress(KeyboardInterrupt):
        _Server(server_config(app)).run([listener])


def server_config(app: Starlette) -> uvicorn.Config:
    """The configuration of the server: its connections are limited by :mod:`v2skit.web.connections`."""
    return uvicorn.Config(app, http=Connection, log_level="error", ws="none", timeout_graceful_shutdown=3)


class _Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        app: Any = self.config.app
        app.state.worker.stop()  # otherwise the server would wait for the response in progress
        super().handle_exit(sig, frame)
