"""Sinks of live speech: a sound device, a file, standard output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from v2skit.errors import UserError, reason_of
from v2skit.media.audio import open_sound
from v2skit.media.synthesised import MARK
from v2skit.synthesis.paths import check_replaceable
from v2skit.system.extras import needs


def check_target(name: str, source: Path | None, force: bool) -> None:
    """Raises UserError where a sound file would overwrite the video, or as :func:`check_replaceable`."""
    path = Path(name)
    if name.partition(":")[0] in ("-", "device") or not path.exists():
        return
    if source is not None and path.resolve() == source.resolve():
        raise UserError(f"{path} is the video itself; -o gives the speech another path")
    check_replaceable(path, force)


@contextmanager
def open_sink(name: str, sample_rate: int) -> Iterator[Callable[[np.ndarray], None]]:
    """A function that is called with the next samples, float32 (N,).

    Args:
        name: ``device`` or ``device:NAME`` of the sound system, ``-`` for raw 16-bit little-endian samples on standard
            output, or a .wav or .flac file, which is complete when the run ends.
        sample_rate: Hz.

    Raises:
        UserError: there is no such device, or the file has another suffix.
    """
    if name == "-":
        yield _raw
    elif name == "device" or name.startswith("device:"):
        with _device(name.partition(":")[2] or None, sample_rate) as play:
            yield play
    else:
        path = Path(name)
        if path.suffix not in (".wav", ".flac"):
            raise UserError(f"{path}: speech goes to a .wav or .flac file, to device, or to - (raw samples)")
        with open_sound(path, sample_rate, MARK) as append:

            def write(samples: np.ndarray) -> None:
                try:
                    append(samples)
                except OSError as error:  # an error of the user's ends the run, which keeps what is written
                    raise UserError(f"{reason_of(error)}; the speech so far is kept") from error

            yield write


def _raw(samples: np.ndarray) -> None:
    sys.stdout.buffer.write(np.rint(samples * 32768).clip(-32768, 32767).astype("<i2").tobytes())
    sys.stdout.buffer.flush()


@contextmanager
def _device(name: str | None, sample_rate: int) -> Iterator[Callable[[np.ndarray], None]]:
    try:
        with needs("stream", "a sound device"):
            import sounddevice
    except OSError as error:  # the package is installed, its library is not
        raise UserError(f"a sound device needs PortAudio ({error}); install it (Debian: libportaudio2)") from error
    try:
        device = int(name) if name and name.isdecimal() else name
        stream = sounddevice.OutputStream(sample_rate, device=device, channels=1, dtype="float32", latency="low")
        stream.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        known = [d["name"] for d in sounddevice.query_devices() if d["max_output_channels"]]
        raise UserError(f"sound device can't be opened ({error}); available: {', '.join(known) or 'none'}") from error

    def play(samples: np.ndarray) -> None:
        try:
            stream.write(np.ascontiguousarray(samples[:, None]))
        except sounddevice.PortAudioError as error:
            raise UserError(f"the sound device fails ({error}); is it still connected?") from error

    with stream:
        yield play
