"""Synthesis of live video."""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from v2skit.errors import UserError, reason_of
from v2skit.synthesis.live.sources import Source, TimedFrame, on_live_clock
from v2skit.synthesis.synthesiser import Synthesiser
from v2skit.tracking.crop import NO_FACE, MouthCrop, mouth_crops
from v2skit.tracking.tracker import Tracker

Item = TypeVar("Item")

Sink = Callable[[np.ndarray], None]
"""Called with the next samples, float32 (N,)."""


@dataclass(frozen=True)
class LiveReport:
    """Measurements of a live run.

    Args:
        seconds: length of the video that was processed.
        algorithmic_latency: of the sound after the picture on an infinitely fast machine, seconds.
        compute_latency: from the arrival of the last frame that a sound depends on to the sound; median, seconds.
        latencies: of every sound after its first frame's arrival, seconds; None where frames are not in real time.
        busy: computing time, seconds.
        dropped: frames that were dropped because the machine was too slow.
        lost: share of the frames without a face.
        error: what ended the run, if it was not the source's end or Ctrl-C.
    """

    seconds: float
    algorithmic_latency: float
    compute_latency: float
    latencies: np.ndarray | None
    busy: float
    dropped: int
    lost: float
    error: UserError | None = None

    def __str__(self) -> str:
        if self.latencies is None:
            end_to_end = "not measured, since the frames did not arrive in real time"
        elif len(self.latencies):
            end_to_end = f"{np.quantile(self.latencies, 0.95) * 1000:.0f} ms (95th percentile)"
        else:
            end_to_end = "no sound yet"
        return (
            f"processed:            {self.seconds:.2f} s, no face in {self.lost:.0%} of the frames\n"
            f"algorithmic latency:  {self.algorithmic_latency * 1000:.0f} ms\n"
            f"compute latency:      {self.compute_latency * 1000:.1f} ms (median)\n"
            f"end-to-end latency:   {end_to_end}\n"
            f"real-time factor:     {f'{self.busy / self.seconds:.3f}' if self.seconds else '-'}\n"
            f"dropped frames:       {self.dropped}"
            + ("; this machine is too slow: a larger --chunk needs less computation" if self.dropped else "")
        )


class LiveSynthesis:
    """Synthesis while the frames arrive.

    Args:
        synthesiser: a loaded model, all networks of which have a limited look-ahead.
        tracker: of the mouth.
        speaker: the input of the speaker component.
        chunk: frames that are computed together, at least; fewer reduce the latency, more the computation. Those of a
            live source that wait already are computed together as well.

    Raises:
        UserError: the model, or its crop, must see the whole clip, or ``chunk`` is not positive.
    """

    def __init__(self, synthesiser: Synthesiser, tracker: Tracker, speaker: np.ndarray, chunk: int = 1) -> None:
        if chunk < 1:
            raise UserError(f"chunk {chunk} must be at least 1 frame")
        self.synthesiser, self.tracker, self.speaker, self.chunk = synthesiser, tracker, speaker, chunk
        self.clock, self.crop = synthesiser.config.clock, synthesiser.config.crop
        right_context = synthesiser.pipeline(speaker, chunk).right_context_frames
        self._latency_frames = chunk - 1 + (self.crop.look_ahead_frames or 0) + right_context

    @property
    def algorithmic_latency(self) -> float:
        """Seconds from the arrival of a chunk's first frame to that of the last frame that the chunk depends on."""
        return self._latency_frames / self.clock.fps

    def run(self, source: Source, sink: Sink) -> LiveReport:
        """Synthesise from a source into a sink, until it ends or fails, or Ctrl-C. The sink has the sound of all
        frames up to then, after Ctrl-C and errors of the tracker without the last ones, of the algorithmic latency."""
        arrivals: deque[float] = deque()  # of the frames without sound yet
        compute_latencies, latencies = array("d"), array("d")
        waiting, arrived, lost, frames = 0.0, 0, 0, 0
        error: UserError | None = None

        def until_failure(items: Iterator[Item]) -> Iterator[Item]:
            nonlocal error
            try:
                yield from items
            except (Exception, SystemExit) as failure:  # also of a plug-in
                error = failure if isinstance(failure, UserError) else UserError(reason_of(failure))

        def arriving(timed: Iterator[TimedFrame]) -> Iterator[np.ndarray]:
            nonlocal waiting
            while True:
                start = time.perf_counter()
                item = next(timed, None)
                waiting += time.perf_counter() - start
                if item is None:
                    return
                arrivals.append(item.arrival)
                yield item.frame

        def counted(crops: Iterable[MouthCrop]) -> Iterator[MouthCrop]:
            nonlocal arrived, lost
            for crop in crops:
                arrived, lost = arrived + 1, lost + crop.box.lost
                yield crop

        begin = time.perf_counter()
        pictures = arriving(until_failure(on_live_clock(source, self.clock.fps)))
        crops = counted(mouth_crops(pictures, self.tracker, self.crop, self.clock.fps, source.path))
        waveforms = self.synthesiser.pipeline(self.speaker, self.chunk).run(crops, source.waiting)
        try:
            for waveform in until_failure(waveforms):
                start = time.perf_counter()
                sink(waveform)
                compute_latencies.append(start - arrivals[-1])
                latencies.append(start - arrivals[0])
                for _ in range(len(waveform) // self.clock.samples_per_frame):
                    arrivals.popleft()
                    frames += 1
                waiting += time.perf_counter() - start  # a sound device blocks
        except KeyboardInterrupt:
            pass
        except UserError as failure:
            error = failure
        finally:
            source.close()
        if error is None and not arrived:
            error = UserError("no frames arrived; is the source connected, and are --size and --fps right?")
        elif error is None and lost == arrived:
            error = UserError(NO_FACE)
        return LiveReport(
            seconds=frames / self.clock.fps,
            algorithmic_latency=self.algorithmic_latency,
            compute_latency=float(np.median(compute_latencies)) if compute_latencies else 0.0,
            latencies=np.array(latencies) if source.live else None,
            busy=time.perf_counter() - begin - waiting,
            dropped=source.dropped,
            lost=lost / max(arrived, 1),
            error=error,
        )
