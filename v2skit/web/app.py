"""The page's server: ``/`` is the page, ``/model`` describes the model, ``/synthesise`` processes an uploaded video."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Message

from v2skit import evaluation
from v2skit.errors import UserError
from v2skit.registry.component import Component
from v2skit.synthesis.synthesiser import Synthesiser
from v2skit.web.limits import Limits
from v2skit.web.worker import Upload, Worker

UPLOAD_SECONDS, UPLOAD_BYTES_PER_SECOND = 30.0, 10_000
"""An upload has so many seconds, and one more for so many bytes of it that have arrived."""

PAGE = Path(__file__).parent / "page"
STYLE = Path(evaluation.__file__).parent / "templates/style.css"
"""The look of all pages."""


def build_app(
    model: Synthesiser,
    name: str,
    limits: Limits = Limits(),
    tracker: Component | None = None,
    hosts: Sequence[str] | None = None,
) -> Starlette:
    """The application, for any ASGI server.

    Args:
        model: from :func:`v2skit.load`.
        name: of the model, for the page.
        limits: of the uploads.
        tracker: of the mouth; None: the one of the model's training.
        hosts: accepted names of the host, against DNS rebinding by other sites; None: any.
    """
    worker = Worker(model, limits, tracker)

    async def about(request: Request) -> Response:
        return JSONResponse(
            {
                "name": name,
                "made_for": model.card.headline,
                "voices": model.voices,
                "default_voice": model.default_voice,
                "accepts_recording": model.accepts_recording,
                "max_mb": limits.megabytes,
                "max_seconds": limits.seconds,
            }
        )

    async def synthesise(request: Request) -> Response:
        if _from_other_site(request):
            return JSONResponse({"error": "Other sites' pages may not use this one."}, 403)
        full = JSONResponse({"error": "Too many videos are waiting; send it again later."}, 503)
        if worker.is_full:
            return full
        try:
            form = await _form(request, limits)
        except UserError as error:
            return JSONResponse({"error": str(error)}, 413)
        except ClientDisconnect:
            return Response(status_code=400)
        except TimeoutError:
            return JSONResponse({"error": "The upload is too slow; send it again, or give a smaller one."}, 408)
        except OSError as error:
            traceback.print_exc()
            remedy = "free some disk space there, or start v2skit serve with TMPDIR=FOLDER on another disk"
            return JSONResponse(
                {"error": f"The server can't store the upload ({error.strerror or error}); {remedy}."}, 507
            )
        uploads = {k: Upload(v.file, v.filename or k) for k, v in form.items() if isinstance(v, UploadFile)}
        if "video" not in uploads or not uploads.keys() <= {"video", "recording"}:
            await form.close()
            return JSONResponse({"error": "Give a video, and at most one recording of a voice."}, 400)
        if worker.is_full:  # since the upload began
            await form.close()
            return full
        voice = form.get("voice")
        return _Events(worker, uploads, voice if isinstance(voice, str) and voice else None)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(worker.close)

    pages = StaticFiles(directory=PAGE, html=True)
    routes = [
        Route("/model", about),
        Route("/synthesise", synthesise, methods=["POST"]),
        Route("/style.css", lambda request: FileResponse(STYLE)),
        Mount("/", pages),
    ]
    guards = [Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))] if hosts else []
    app = Starlette(routes=routes, middleware=guards, lifespan=lifespan)
    app.state.worker = worker
    return app


def _from_other_site(request: Request) -> bool:
    """Whether the page of another site has sent the request. Older browsers state its origin only."""
    site, origin = request.headers.get("sec-fetch-site", "none"), request.headers.get("origin")
    if site != "none" or origin is None:
        return site not in ("same-origin", "none")
    return origin.rpartition("://")[2].lower() != request.headers.get("host", "").lower()


async def _form(request: Request, limits: Limits) -> FormData:
    """The fields of the request; files among them are in memory or unnamed temporary files, so that none remains.

    Raises:
        UserError: more bytes than the limits allow, or no form.
        TimeoutError: it arrives too slowly.
        OSError: it can't be stored.
    """
    limits.check_bytes(int(request.headers.get("content-length", 0)))
    count, begin = 0, time.monotonic()

    async def receive() -> Message:
        nonlocal count
        left = begin + UPLOAD_SECONDS + count / UPLOAD_BYTES_PER_SECOND - time.monotonic()
        try:
            message = await asyncio.wait_for(request.receive(), left)
        except asyncio.TimeoutError as error:  # not the built-in one before Python 3.11
            raise TimeoutError from error
        count += len(message.get("body", b""))
        limits.check_bytes(count)
        return message

    try:
        return await Request(request.scope, receive).form(max_files=2, max_fields=1)
    except HTTPException as error:
        raise UserError(f"The request can't be read ({error.detail}); send it again.") from error


class _Events(StreamingResponse):
    """A line of JSON per event of the worker; the last one is the result. The worker stops when the client has left."""

    def __init__(self, worker: Worker, uploads: dict[str, Upload], voice: str | None) -> None:
        self._events: asyncio.Queue[dict] = asyncio.Queue()
        self._disconnected = threading.Event()
        super().__init__(self._lines(), media_type="application/x-ndjson")
        loop = asyncio.get_running_loop()

        def report(event: dict) -> None:
            loop.call_soon_threadsafe(self._events.put_nowait, event)

        worker.submit(uploads, voice, self._disconnected, report)

    async def __call__(self, *request: Any) -> None:
        try:
            await super().__call__(*request)
        finally:
            self._disconnected.set()

    async def _lines(self) -> AsyncIterator[str]:
        while True:
            event = await self._events.get()
            yield json.dumps(event) + "\n"
            if "done" not in event:
                return
