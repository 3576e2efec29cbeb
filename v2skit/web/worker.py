"""Speaks uploads, one at a time, and keeps nothing of them."""

from __future__ import annotations

import base64
import shutil
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.evaluation.plots import spectrogram_picture
from v2skit.evaluation.track_picture import track_picture
from v2skit.media.audio import write_audio
from v2skit.media.container import probe
from v2skit.registry.component import Component
from v2skit.synthesis.api import Speech, VideoToSpeech


@dataclass(frozen=True)
class Limits:
    """What is taken.

    Args:
        megabytes: of an upload.
        seconds: of a video.
    """

    megabytes: int = 200
    seconds: int = 60

    def __post_init__(self) -> None:
        if self.megabytes <= 0 or self.seconds <= 0:
            raise UserError(f"serve: max_mb {self.megabytes} and max_seconds {self.seconds} must be positive")

    def check_bytes(self, count: int) -> None:
        """Raises UserError where an upload is too large."""
        if count > self.megabytes * 1_000_000:
            raise UserError(f"The upload is too large: this page takes up to {self.megabytes} MB; give a shorter one.")

    def check_seconds(self, seconds: float) -> None:
        """Raises UserError where a video is too long."""
        if seconds > self.seconds:
            raise UserError(f"The video is too long: this page takes up to {self.seconds} s; give a shorter one.")


@dataclass(frozen=True)
class Upload:
    """An open file that was sent, and the name that it had where it comes from."""

    file: BinaryIO
    name: str


class Stopped(Exception):
    """Nobody waits for the answer any more."""


class Worker:
    """A model, and the one thread in which it speaks.

    Args:
        model: from :func:`v2skit.load`.
        limits: of what is taken.
        tracker: of the mouth; None: the one of the model's training.
    """

    def __init__(self, model: VideoToSpeech, limits: Limits, tracker: Component | None = None) -> None:
        self.model, self.limits, self.tracker = model, limits, tracker
        self._thread, self._stopped = ThreadPoolExecutor(1), threading.Event()

    def submit(
        self, uploads: dict[str, Upload], voice: str | None, gone: threading.Event, tell: Callable[[dict], None]
    ) -> None:
        """Speak an upload when those before it are done.

        Args:
            uploads: ``video``, and maybe ``recording``, of the voice; closed when they are done.
            voice: one of the model's.
            gone: set when nobody waits any more.
            tell: given ``{"done": seconds, "total": seconds or None}`` now and then, from another thread, and at last
                ``{"error": sentence}`` or ``{"text": sentence, "sound": ..., "spectrogram": ..., "track": ...}``, a
                WAV and two PNG files in base64.
        """
        self._thread.submit(lambda: tell(self._told(uploads, voice, gone, tell)))

    def stop(self) -> None:
        """Give up what is in progress, soon, and all that waits."""
        self._stopped.set()

    def close(self) -> None:
        """:meth:`stop`, and wait until that is done."""
        self.stop()
        self._thread.shutdown()

    def _told(self, *request: Any) -> dict:
        """An answer in any case, also where there is no place for files."""
        try:
            return self._answer(*request)
        except Exception:
            traceback.print_exc()
            return {"error": "Sorry, this video can't be spoken; the terminal of v2skit serve tells why."}

    def _answer(
        self, uploads: dict[str, Upload], voice: str | None, gone: threading.Event, tell: Callable[[dict], None]
    ) -> dict:
        def progress(done: float, total: float | None) -> None:
            if gone.is_set() or self._stopped.is_set():
                raise Stopped
            self.limits.check_seconds(done)  # not every file states its length
            tell({"done": done, "total": total})

        with TemporaryDirectory(prefix="v2skit-serve-") as folder:
            paths = {kind: Path(folder) / f"{kind}{_suffix(upload.name)}" for kind, upload in uploads.items()}
            try:
                progress(0.0, None)
                for kind, upload in uploads.items():
                    with paths[kind].open("wb") as file:
                        shutil.copyfileobj(upload.file, file)
                return self._speak(paths["video"], paths.get("recording"), voice, progress)
            except Stopped:
                return {"error": "The page was stopped before the speech was there."}
            except UserError as error:
                sentence = str(error)
                for kind, path in paths.items():
                    sentence = sentence.replace(str(path), uploads[kind].name)
                return {"error": sentence}
            except Exception:
                traceback.print_exc()
                return {"error": "Sorry, this video can't be spoken; the terminal of v2skit serve tells why."}
            finally:
                for upload in uploads.values():
                    upload.file.close()

    def _speak(
        self, video: Path, recording: Path | None, voice: str | None, progress: Callable[[float, float | None], None]
    ) -> dict:
        # A name that is no voice of the model's could be the path of somebody's file.
        if voice is not None and voice not in self.model.voices:
            raise UserError(f"This model has no voice '{voice}'; choose one of the list.")
        if recording is not None and not self.model.takes_recording:
            raise UserError("This model takes no recording of a voice; leave it out.")
        self.limits.check_seconds(probe(video).seconds or 0.0)
        speech = self.model.synthesise(video, voice=recording or voice, tracker=self.tracker, progress=progress)
        sound, spectrogram, track = (video.parent / name for name in ("speech.wav", "spectrogram.png", "track.png"))
        write_audio(sound, speech.waveform, speech.sample_rate)
        clock = Clock(speech.sample_rate, speech.track.fps)
        spectrogram_picture(spectrogram, {"speech": speech.waveform}, clock, _mel(clock))
        track_picture(track, speech.track)
        files = {"sound": sound, "spectrogram": spectrogram, "track": track}
        encoded = {name: base64.b64encode(path.read_bytes()).decode() for name, path in files.items()}
        return {"text": found(speech), **encoded}


def found(speech: Speech) -> str:
    """One sentence: how much speech there is, and for how much of it a face was missing."""
    track = speech.track
    text = f"{len(speech.waveform) / speech.sample_rate:.2f} s of speech; "
    if not track.lost.any():
        return f"{text}the mouth was found in every frame."
    silence = f", and {track.silent.sum() / track.fps:.2f} s are silent" if track.silent.any() else ""
    return f"{text}no face was found in {track.lost.mean():.1%} of the frames{silence}."


def _suffix(name: str) -> str:
    """Of a file's name, which some containers are known by; nothing where it is an odd one."""
    suffix = Path(name).suffix
    return suffix if suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) < 8 else ""


def _mel(clock: Clock) -> Mel:
    """A mel to look at, of about 10 ms a frame, at any sample rate."""
    hops = (h for h in range(clock.sample_rate // 100, 1, -1) if clock.samples_per_frame % h == 0 and h % 2 == 0)
    return Mel(hop=next(hops, clock.samples_per_frame), f_max=min(12000.0, clock.sample_rate / 2))
