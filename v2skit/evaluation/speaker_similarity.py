"""Speaker similarity: the voice of the hypothesis against that of other clips of the talker."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

import numpy as np

from v2skit.config.limits import check_range
from v2skit.evaluation.metrics import DROP_REMEDY, MetricError, check_pair
from v2skit.evaluation.other_clips import RULE
from v2skit.models.speakers.d_vector import voice_encoder
from v2skit.system.extras import needs


class SpeakerSimilarity:
    """Cosine of the GE2E d-vector (Wan et al. 2018, resemblyzer) of the hypothesis and the mean d-vector of other clips
    of the talker, 0 to 1.

    The clip that is scored is not among them: its channel and its words are those of the hypothesis, so that every
    system would seem to have the talker's voice. The ground truth scores what one clip of a talker has in common with
    others. A hypothesis without a voice in it, such as silence, scores 0.

    Args:
        clips: largest number of other clips.

    Raises:
        UserError: resemblyzer is not installed, or ``clips`` is out of range.
    """

    higher_is_better = {"speaker_similarity": True}
    intrusive = False

    def __init__(self, clips: int = 5) -> None:
        self.other_clips = clips
        check_range(self, other_clips=(1, 1000))
        with needs("d_vector", "speaker similarity", DROP_REMEDY):
            import_module("resemblyzer")
        self.protocol = (
            f"cosine of d-vectors, resemblyzer {version('resemblyzer')}, against the mean of "
            f"{RULE.format(count=clips)}; a hypothesis without a voice scores 0"
        )
        self._known: dict[bytes, np.ndarray | None] = {}

    def __reduce__(self) -> tuple:
        return type(self), (self.other_clips,)

    def __call__(
        self, reference: np.ndarray, hypothesis: np.ndarray, rate: int, others: Sequence[np.ndarray]
    ) -> dict[str, float]:
        """See :class:`v2skit.evaluation.metrics.Metric`.

        Args:
            reference: not compared, but checked as by all metrics.
            hypothesis: (N,).
            rate: of all, Hz.
            others: ground-truth audio of other clips of the talker, each (N,).

        Raises:
            MetricError: also where there is no other clip with a voice in it.
        """
        check_pair(reference, hypothesis)
        vectors = [vector for other in others if (vector := self._remembered(other, rate)) is not None]
        if not vectors:
            raise MetricError("the talker has no other clip with a voice in it")
        talker = np.mean(vectors, axis=0)
        voice = voice_encoder()(hypothesis.astype(np.float32), rate)
        if voice is None:
            return {"speaker_similarity": 0.0}
        return {"speaker_similarity": float(voice @ talker / (np.linalg.norm(voice) * np.linalg.norm(talker)))}

    def _remembered(self, waveform: np.ndarray, rate: int) -> np.ndarray | None:
        """The d-vector of a clip that is compared with many, computed once."""
        key = hashlib.sha256(waveform.tobytes()).digest()
        if key not in self._known:
            self._known[key] = voice_encoder()(waveform, rate)
        return self._known[key]
