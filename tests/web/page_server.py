"""The page of ``v2skit serve`` with a model that outputs a tone, on a free port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from v2skit.media.video import read_video
from v2skit.models.pack_header import Card
from v2skit.synthesis.video import Speech
from v2skit.tracking.crop import Track


class Humming:
    """A tone as long as the video; its face is lost in the frames 5 to 9. ``before`` is called with each video."""

    card = Card("Hum", made_for="tones")

    def __init__(self, voices=(), accepts_recording=False, before: Callable[[Path], None] = lambda video: None) -> None:
        self.voices, self.accepts_recording, self.before = list(voices), accepts_recording, before
        self.default_voice = self.voices[0] if self.voices else None
        self.requests: list[tuple] = []

    def synthesise(self, video, voice=None, tracker=None, progress=None, decoded=None) -> Speech:
        self.before(video)
        frames = 0
        for frames, _ in enumerate(read_video(video, 25, decoded=decoded), 1):
            progress(frames / 25, None)
        self.requests.append((voice, tracker))
        tone = 0.3 * np.sin(np.arange(frames * 960) * 2 * np.pi * 220 / 24000)
        place = np.tile(np.array([180, 150, 90, 0], np.float32), (frames, 1))
        lost = (np.arange(frames) >= 5) & (np.arange(frames) < 10)
        return Speech(tone.astype(np.float32), 24000, Track(25, place, lost, np.zeros(frames, bool)))


@contextmanager
def page_server(model, **settings) -> Iterator[str]:
    """Serves ``build_app(model, "test.v2s", **settings)``; gives its address."""
    import uvicorn

    from v2skit.web.app import build_app
    from v2skit.web.server import server_config

    server = uvicorn.Server(server_config(build_app(model, "test.v2s", **settings)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
