"""Speech while the video is still coming in."""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from v2skit.errors import UserError
from v2skit.synthesis.live.sources import Source, Timed, on_live_clock
from v2skit.synthesis.synthesiser import Synthesiser
from v2skit.synthesis.video import spoken
from v2skit.tracking.crop import MouthCrop, mouth_crops
from v2skit.tracking.tracker import Tracker

Sink = Callable[[np.ndarray], None]
"""Takes the next samples, float32 (N,)."""


@dataclass(frozen=True)
class LiveReport:
    """How a live run went.

    Args:
        seconds: of video that were spoken.
        algorithmic_delay: of the sound after the picture on an infinitely fast machine, seconds.
        compute_delay: from the arrival of the last frame that a sound needs to the sound; median, seconds.
        delays: of every sound after its first frame's arrival, seconds; None where the frames waited to be taken.
        busy: time spent on computing, seconds.
        dropped: frames that came while the machine was behind.
        lost: share of the frames without a face.
        error: what ended the run, if it was not the source's end or Ctrl-C.
    """

    seconds: float
    algorithmic_delay: float
    compute_delay: float
    delays: np.ndarray | None
    busy: float
    dropped: int
    lost: float
    error: UserError | None = None

    def __str__(self) -> str:
        if self.delays is None:
            told = "not measured, for the frames did not come at their times"
        elif len(self.delays):
            told = f"{np.quantile(self.delays, 0.95) * 1000:.0f} ms in 95 % of them"
        else:
            told = "no sound yet"
        return (
            f"spoken:             {self.seconds:.2f} s, no face in {self.lost:.0%} of the frames\n"
            f"algorithmic delay:  {self.algorithmic_delay * 1000:.0f} ms\n"
            f"compute delay:      {self.compute_delay * 1000:.1f} ms (median)\n"
            f"end to end:         {told}\n"
            f"real-time factor:   {f'{self.busy / self.seconds:.3f}' if self.seconds else '-'}\n"
            f"dropped frames:     {self.dropped}"
            + ("; this machine falls behind: a larger --chunk costs less" if self.dropped else "")
        )


class Live:
    """A model that speaks as the frames come.

    Args:
        synthesiser: a loaded model, all parts of which have a limited look-ahead.
        tracker: finds the mouth.
        speaker: what the model is told of who speaks.
        chunk: frames that are computed together; fewer are quicker to be heard, more cost less.

    Raises:
        UserError: the model, or its crop, must see the whole clip, or ``chunk`` is not positive.
    """

    def __init__(self, synthesiser: Synthesiser, tracker: Tracker, speaker: np.ndarray, chunk: int = 1) -> None:
        if chunk < 1:
            raise UserError(f"chunk {chunk} must be at least 1 frame")
        synthesiser.check_live()
        self.synthesiser, self.tracker, self.speaker, self.chunk = synthesiser, tracker, speaker, chunk
        self.clock, self.crop = synthesiser.config.clock, synthesiser.config.crop

    @property
    def algorithmic_delay(self) -> float:
        """Seconds: from the arrival of a chunk's first frame on to that of its last one, and of the later frames that
        crops and networks see."""
        ahead = self.synthesiser.start(self.speaker, self.chunk).chain.ahead()
        return (self.chunk - 1 + (self.crop.look_ahead_frames or 0) + ahead) / self.clock.fps

    def run(self, source: Source, sink: Sink) -> LiveReport:
        """Speak a source into a sink, until it ends, fails or Ctrl-C. What was spoken till then is in the sink."""
        arrivals: deque[float] = deque()  # of the frames that are not yet spoken
        waits, delays = array("d"), array("d")
        waiting, came, lost, frames, error = 0.0, 0, 0, 0, None

        def arriving(timed: Iterator[Timed]) -> Iterator[np.ndarray]:
            nonlocal waiting
            while True:
                start = time.perf_counter()
                item = next(timed, None)
                waiting += time.perf_counter() - start
                if item is None:
                    return
                arrivals.append(item.arrival)
                yield item.frame

        def noted(crops: Iterable[MouthCrop]) -> Iterator[MouthCrop]:
            nonlocal came, lost
            for crop in crops:
                came, lost = came + 1, lost + crop.box.lost
                yield crop

        begin = time.perf_counter()
        pictures = arriving(on_live_clock(source, self.clock.fps))
        crops = noted(mouth_crops(pictures, self.tracker, self.crop, self.clock.fps, source.path))
        try:
            for piece in spoken(self.synthesiser, crops, self.speaker, self.chunk):
                start = time.perf_counter()
                sink(piece)
                waits.append(start - arrivals[-1])
                delays.append(start - arrivals[0])
                for _ in range(len(piece) // self.clock.samples_per_frame):
                    arrivals.popleft()
                    frames += 1
                waiting += time.perf_counter() - start  # a sound device makes its caller wait
        except KeyboardInterrupt:
            pass
        except UserError as failure:
            error = failure
        finally:
            source.close()
        if error is None and not came:
            error = UserError("no frames came; is the source there, and are --size and --fps right?")
        elif error is None and lost == came:
            error = UserError("no face in the video; show one from the front, or choose another tracker")
        return LiveReport(
            seconds=frames / self.clock.fps,
            algorithmic_delay=self.algorithmic_delay,
            compute_delay=float(np.median(waits)) if waits else 0.0,
            delays=np.array(delays) if source.live else None,
            busy=time.perf_counter() - begin - waiting,
            dropped=source.dropped,
            lost=lost / max(came, 1),
            error=error,
        )
