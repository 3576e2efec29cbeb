"""Synthesises speech for uploaded videos, one at a time, and keeps nothing of them."""

from __future__ import annotations

import base64
import re
import shutil
import tempfile
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.evaluation.plots import spectrogram_picture
from v2skit.evaluation.track_picture import track_picture
from v2skit.media.container import probe
from v2skit.media.synthesised import write_speech
from v2skit.media.video import Decoded
from v2skit.registry.component import Component
from v2skit.synthesis.synthesiser import Synthesiser
from v2skit.synthesis.video import Progress, Speech
from v2skit.system.temporary import private_folder, remove_abandoned, remove_unlocked
from v2skit.web.limits import Limits

MAX_WAITING = 16
"""Requests that are processed or wait for it; further ones are refused."""

_FORMER_FOLDER = re.compile(r"v2skit-serve-[a-z0-9_]{8}")
_FORMER_FILES = re.compile(r"(video|recording)(\.[A-Za-z0-9]{1,6})?|speech\.wav|(spectrogram|track)\.png")
"""The temporary folders of version 0.1, and what is in them."""

Report = Callable[[dict], None]
"""Called with the events of a request."""


@dataclass(frozen=True)
class Upload:
    """An uploaded file, open, and its name on the user's machine."""

    file: BinaryIO
    name: str


class Stopped(Exception):
    """The user has left the page, or the server ends."""


class Worker:
    """A model, and the one thread that it runs in.

    Args:
        model: from :func:`v2skit.load`.
        limits: of the uploads.
        tracker: of the mouth; None: the one of the model's training.
    """

    def __init__(self, model: Synthesiser, limits: Limits, tracker: Component | None = None) -> None:
        self.model, self.limits, self.tracker = model, limits, tracker
        self._thread, self._stopped = ThreadPoolExecutor(1), threading.Event()
        self._waiting: set[object] = set()
        _remove_uploads(Path(tempfile.gettempdir()))

    @property
    def is_full(self) -> bool:
        """Whether MAX_WAITING requests wait."""
        return len(self._waiting) >= MAX_WAITING

    def submit(
        self, uploads: dict[str, Upload], voice: str | None, disconnected: threading.Event, report: Report
    ) -> None:
        """Synthesise speech for an upload, after those before it.

        Args:
            uploads: ``video``, and optionally ``recording``, of the voice; closed when they are processed.
            voice: one of the model's.
            disconnected: set when the user has left the page.
            report: called from another thread with ``{"done": seconds, "total": seconds or None}`` for progress, and
                last with ``{"error": sentence}`` or ``{"text": sentence, "sound": ..., "spectrogram": ...,
                "track": ...}``, a WAV and two PNG files in base64.
        """
        request = object()
        self._waiting.add(request)

        def work() -> None:
            try:
                report(self._result(uploads, voice, disconnected, report))
            finally:
                self._waiting.discard(request)

        self._thread.submit(work)

    def stop(self) -> None:
        """Cancel what is in progress, soon, and all that is queued."""
        self._stopped.set()

    def close(self) -> None:
        """:meth:`stop`, and wait for its effect."""
        self.stop()
        self._thread.shutdown()

    def _result(self, *request: Any) -> dict:
        """The last event of a request, whatever fails, temporary files included."""
        try:
            return self._process(*request)
        except Exception:
            traceback.print_exc()
            return {"error": "Sorry, this video can't be processed; the terminal of v2skit serve shows the reason."}

    def _process(
        self, uploads: dict[str, Upload], voice: str | None, disconnected: threading.Event, report: Report
    ) -> dict:
        def check_wanted() -> None:
            if disconnected.is_set() or self._stopped.is_set():
                raise Stopped

        def progress(done: float, total: float | None) -> None:
            check_wanted()
            self.limits.check_seconds(done)  # not every file states its length
            report({"done": done, "total": total})

        def decoded(count: int) -> None:
            check_wanted()  # any number of frames may be decoded before there is progress
            self.limits.check_frames(count)

        with private_folder("serve") as folder:
            paths = {kind: folder / f"{kind}{_suffix(upload.name)}" for kind, upload in uploads.items()}
            names = {paths[kind]: upload.name for kind, upload in uploads.items()}
            try:
                progress(0.0, None)
                for kind, upload in uploads.items():
                    with paths[kind].open("wb") as file:
                        shutil.copyfileobj(upload.file, file)
                return self._synthesise(paths["video"], paths.get("recording"), voice, progress, decoded)
            except Stopped:
                return {"error": "The page was stopped before the speech was finished."}
            except UserError as error:
                path, reason = error.fields.get("path"), error.fields.get("reason")
                return {"error": f"{names[path]} {reason}" if path in names and reason else str(error)}
            finally:
                for upload in uploads.values():
                    upload.file.close()

    def _synthesise(
        self, video: Path, recording: Path | None, voice: str | None, progress: Progress, decoded: Decoded
    ) -> dict:
        # A name that is no voice of the model could be the path of a file on this machine.
        if voice is not None and voice not in self.model.voices:
            raise UserError(f"This model has no voice '{voice}'; choose one of the list.")
        if recording is not None and not self.model.accepts_recording:
            raise UserError("This model accepts no recording of a voice; leave it out.")
        info = probe(video)
        self.limits.check_seconds(info.seconds or 0.0)
        self.limits.check_pixels(info.pixels)
        if recording is not None:
            self.limits.check_recording(recording)
        speech = self.model.synthesise(
            video, voice=recording or voice, tracker=self.tracker, progress=progress, decoded=decoded
        )
        sound, spectrogram, track = (video.parent / name for name in ("speech.wav", "spectrogram.png", "track.png"))
        write_speech(sound, [speech.waveform], speech.sample_rate)
        clock = Clock(speech.sample_rate, speech.track.fps)
        spectrogram_picture(spectrogram, {"speech": speech.waveform}, clock, _mel(clock))
        track_picture(track, speech.track)
        files = {"sound": sound, "spectrogram": spectrogram, "track": track}
        encoded = {name: base64.b64encode(path.read_bytes()).decode() for name, path in files.items()}
        return {"text": summary(speech), **encoded}


def summary(speech: Speech) -> str:
    """One sentence: the length of the speech, and the share of frames without a face."""
    track = speech.track
    text = f"{len(speech.waveform) / speech.sample_rate:.2f} s of speech; "
    if not track.lost.any():
        return f"{text}the mouth was found in every frame."
    silence = f", and {track.silent.sum() / track.fps:.2f} s are silent" if track.silent.any() else ""
    return f"{text}no face was found in {track.lost.mean():.1%} of the frames{silence}."


def _remove_uploads(folder: Path) -> None:
    """Remove what killed servers of this user left among the temporary files, those of version 0.1 too."""
    remove_abandoned(folder)
    for path in folder.glob("v2skit-serve-*"):
        with suppress(OSError):  # of another user
            if _FORMER_FOLDER.fullmatch(path.name) and all(_FORMER_FILES.fullmatch(p.name) for p in path.iterdir()):
                remove_unlocked(path)


def _suffix(name: str) -> str:
    """The suffix of a file's name, by which some containers are recognised; empty where it is unusual."""
    suffix = Path(name).suffix
    return suffix if suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) < 8 else ""


def _mel(clock: Clock) -> Mel:
    """A mel for the picture, of about 10 ms per frame, at any sample rate."""
    hops = (h for h in range(clock.sample_rate // 100, 1, -1) if clock.samples_per_frame % h == 0 and h % 2 == 0)
    return Mel(hop=next(hops, clock.samples_per_frame), f_max=min(12000.0, clock.sample_rate / 2))
