"""``v2skit serve``: a page to try a model in the browser."""

from __future__ import annotations

import socket
import sys
from importlib import import_module
from pathlib import Path

from v2skit.errors import UserError
from v2skit.registry.component import Component
from v2skit.system.extras import needs

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1", "[::1]")
"""Names of the host that only this machine resolves to itself."""


def serve(
    model_path: Path,
    host: str = "127.0.0.1",
    port: int = 7860,
    max_mb: int = 200,
    max_seconds: int = 60,
    device: str = "auto",
    vocoder: Path | None = None,
    tracker: Component | None = None,
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        model_path: a packed model, or a V2A run or checkpoint.
        host: address to listen at; with any but 127.0.0.1 everyone who can connect may use the page.
        port: to listen at; 0: any free one.
        max_mb: largest upload, megabytes.
        max_seconds: longest video, seconds.
        device: ``auto``, ``cpu`` or ``cuda``.
        vocoder: a trained vocoder's run, instead of the model's own.
        tracker: of the mouth; None: the one of the model's training.

    Raises:
        UserError: a package is missing, the address is not available, a limit is not positive, or the model can't be
            read.
    """
    from v2skit.synthesis import synthesiser

    with needs("serve", "v2skit serve"):
        import_module("python_multipart")  # starlette asks for it with the first upload only
        from v2skit.web.app import build_app
        from v2skit.web.limits import Limits
        from v2skit.web.server import run
    limits = Limits(max_mb, max_seconds)
    with _listen(host, port) as listener:
        model = synthesiser.load(model_path, device=device, vocoder=vocoder)
        if model.card.headline:
            print(model.card.headline, file=sys.stderr)  # the first line of standard output is the address
        app = build_app(model, model_path.name, limits, tracker, LOCAL_HOSTS if host in LOCAL_HOSTS else None)
        run(app, listener, host)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"serve: can't listen at {host} port {port} ({reason}); give another --host or --port"
        raise UserError(message, host=host, port=port) from error
