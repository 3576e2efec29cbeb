"""The page's server: ``/`` is the page, ``/model`` what it offers, ``/speak`` takes a video and answers as it goes."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Message

from v2skit.errors import UserError
from v2skit.registry.component import Component
from v2skit.synthesis.api import VideoToSpeech
from v2skit.web.worker import Limits, Upload, Worker

PAGE = Path(__file__).parent / "page"


def build_app(
    model: VideoToSpeech,
    name: str,
    limits: Limits = Limits(),
    tracker: Component | None = None,
    hosts: Sequence[str] | None = None,
) -> Starlette:
    """The app, to be run by any ASGI server.

    Args:
        model: from :func:`v2skit.load`.
        name: of the model, for the page.
        limits: of what is taken.
        tracker: of the mouth; None: the one of the model's training.
        hosts: names under which the page may be asked for, so that no other site can pose as it; None: any.
    """
    worker = Worker(model, limits, tracker)

    async def about(request: Request) -> Response:
        return JSONResponse(
            {
                "name": name,
                "voices": model.voices,
                "takes_recording": model.takes_recording,
                "max_mb": limits.megabytes,
                "max_seconds": limits.seconds,
            }
        )

    async def speak(request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return JSONResponse({"error": "Other sites' pages may not use this one."}, 403)
        try:
            form = await _form(request, limits)
        except UserError as error:
            return JSONResponse({"error": str(error)}, 413)
        except ClientDisconnect:
            return Response(status_code=400)
        uploads = {k: Upload(v.file, v.filename or k) for k, v in form.items() if isinstance(v, UploadFile)}
        if "video" not in uploads or not uploads.keys() <= {"video", "recording"}:
            await form.close()
            return JSONResponse({"error": "Give a video, and at most a recording of a voice beside it."}, 400)
        voice = form.get("voice")
        told = _events(worker, uploads, voice if isinstance(voice, str) and voice else None)
        return StreamingResponse(told, media_type="application/x-ndjson")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(worker.close)

    pages = StaticFiles(directory=PAGE, html=True)
    routes = [Route("/model", about), Route("/speak", speak, methods=["POST"]), Mount("/", pages)]
    guards = [Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))] if hosts else []
    app = Starlette(routes=routes, middleware=guards, lifespan=lifespan)
    app.state.worker = worker
    return app


async def _form(request: Request, limits: Limits) -> FormData:
    """The fields sent; files among them are in memory or have no name on the disk, so that nothing can stay behind.

    Raises:
        UserError: more bytes than the limits allow, or what was sent is no form.
    """
    limits.check_bytes(int(request.headers.get("content-length", 0)))
    count = 0

    async def receive() -> Message:
        nonlocal count
        message = await request.receive()
        count += len(message.get("body", b""))
        limits.check_bytes(count)
        return message

    try:
        return await Request(request.scope, receive).form(max_files=2, max_fields=1)
    except HTTPException as error:
        raise UserError(f"What was sent can't be read ({error.detail}); send it again.") from error


async def _events(worker: Worker, uploads: dict[str, Upload], voice: str | None) -> AsyncIterator[str]:
    """A line of JSON for each thing that the worker tells; the last one is the answer."""
    told: asyncio.Queue[dict] = asyncio.Queue()
    loop, gone = asyncio.get_running_loop(), threading.Event()

    def tell(event: dict) -> None:
        loop.call_soon_threadsafe(told.put_nowait, event)

    worker.submit(uploads, voice, gone, tell)
    try:
        while True:
            event = await told.get()
            yield json.dumps(event) + "\n"
            if "done" not in event:
                return
    finally:
        gone.set()
