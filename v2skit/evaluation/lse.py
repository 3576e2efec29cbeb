"""LSE-C and LSE-D (Prajwal et al. 2020): how well speech fits the lips of a video, by SyncNet's embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad, pairwise_distance

from v2skit.evaluation.face_crops import read_face_crops
from v2skit.evaluation.metrics import MetricError, check_pair, resample
from v2skit.evaluation.syncnet import COEFFICIENTS, FRAMES, load_syncnet
from v2skit.system.checksum import sha256_of
from v2skit.tracking.face_mesh import FaceMesh

RATE, MAX_SHIFT = 16_000, 15
WINDOW, STEP, N_FFT, N_FILTERS, PRE_EMPHASIS, LIFTER = 400, 160, 512, 26, 0.97, 22
SAMPLES_PER_FRAME = RATE // 25


class LipSyncError:
    """Lip-sync error, distance (LSE-D) and confidence (LSE-C): the mean distance of SyncNet's embeddings of face and
    speech over all windows of 5 frames, at the shift of at most 15 frames where it is smallest; and by how much that
    lies below the median over the shifts.

    It needs the original video with the whole face, which the corpus of the config lists, and the weights, which are
    not v2skit's to give. Faces are cut as SyncNet cuts them, around MediaPipe's face instead of S3FD's, so that figures
    differ a little from those of its own scripts. Seconds a clip on a CPU.

    Args:
        weights: path of ``syncnet_v2.model``, relative to the folder that the command runs in.

    Raises:
        UserError: the weights are missing or of another model, or the packages of the tracker ``face_mesh`` are not
            installed.
    """

    higher_is_better = {"lse_d": False, "lse_c": True}
    intrusive = False
    needs_video = True

    def __init__(self, weights: str) -> None:
        self.weights = weights
        self._net, self.ledger = load_syncnet(Path(weights))
        self._tracker = FaceMesh()
        digest = sha256_of(Path(weights))[:12]
        self.protocol = (
            f"LSE-D and LSE-C v1: SyncNet v2 (weights {digest}), 25 frames/s, faces of 224 pixels around those of the "
            f"tracker face_mesh, 13 MFCCs at 100 Hz, shifts of {MAX_SHIFT} frames at most"
        )
        self._known: dict[tuple[Path, int], Tensor] = {}

    def __reduce__(self) -> tuple:
        return type(self), (self.weights,)

    def __call__(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int, video: Path) -> dict[str, float]:
        """See :class:`v2skit.evaluation.metrics.Metric`.

        Args:
            reference: not compared, but checked as by all metrics.
            hypothesis: (N,), from the video's first frame on.
            rate: of both, Hz.
            video: file with the whole face.

        Raises:
            MetricError: also where the clip is shorter than 6 frames, or the video has no face.
        """
        _, speech = check_pair(reference, hypothesis)
        samples = np.round(resample(speech, rate, RATE).clip(-1, 1) * 32767)
        faces = self._faces(video, len(samples) // SAMPLES_PER_FRAME)
        with torch.inference_mode():
            audio = self._net.embed_audio(torch.from_numpy(mfccs(samples)).float(), len(faces))
        distance, confidence, _ = sync_scores(faces, audio)
        return {"lse_d": distance, "lse_c": confidence}

    def _faces(self, video: Path, frames: int) -> Tensor:
        """Embeddings of the faces (W,1024), which all systems share. SyncNet's scripts leave out the last window."""
        key = video, frames
        if key not in self._known:
            if frames <= FRAMES:
                raise MetricError(f"{frames} frames are too few, SyncNet needs more than {FRAMES}")
            crops = read_face_crops(video, self._tracker, frames)
            bgr = torch.from_numpy(crops[:-1, ..., ::-1].copy()).permute(0, 3, 1, 2).float()  # (T,H,W,3) -> (T,3,H,W)
            if len(bgr) < FRAMES:
                raise MetricError(f"{video} has {len(crops)} frames, SyncNet needs more than {FRAMES}")
            with torch.inference_mode():
                self._known[key] = self._net.embed_faces(bgr)
        return self._known[key]


def sync_scores(faces: Tensor, audio: Tensor) -> tuple[float, float, int]:
    """LSE-D, LSE-C, and by how many frames the speech is late at the smallest distance.

    Args:
        faces: embeddings of T windows (T,D).
        audio: likewise; beyond its ends, embeddings are zero, as in SyncNet's scripts.
    """
    padded = pad(audio, (0, 0, MAX_SHIFT, MAX_SHIFT))  # (T + 30, D)
    count = len(faces)
    means = torch.stack([
        pairwise_distance(faces, padded[shift : shift + count]).mean() for shift in range(2 * MAX_SHIFT + 1)
    ])  # fmt: skip
    smallest, shift = means.min(0)
    return float(smallest), float(means.median() - smallest), int(shift) - MAX_SHIFT


def mfccs(samples: np.ndarray) -> np.ndarray:
    """MFCCs of 16 kHz speech as python_speech_features 0.6 computes them by default: (N,) in 16-bit units -> (F,13),
    F = 1 + ceil((N - 400) / 160); the first coefficient is the log energy."""
    emphasised = np.append(samples[:1], samples[1:] - PRE_EMPHASIS * samples[:-1])
    count = 1 + max(0, -(-(len(samples) - WINDOW) // STEP))
    emphasised = np.pad(emphasised, (0, max(0, (count - 1) * STEP + WINDOW - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, WINDOW)[::STEP][:count]
    power = np.square(np.abs(np.fft.rfft(frames, N_FFT))) / N_FFT  # (F, 257)
    bands = power @ _filters().T
    energy, tiny = power.sum(1), np.finfo(float).eps
    from scipy.fft import dct

    cepstra = dct(np.log(np.where(bands == 0, tiny, bands)), norm="ortho")[:, :COEFFICIENTS]
    cepstra *= 1 + LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / LIFTER)
    cepstra[:, 0] = np.log(np.where(energy == 0, tiny, energy))
    return cepstra


def _filters() -> np.ndarray:
    """Triangles on the mel scale, their corners at whole bins of the spectrum (26, 257)."""
    mels = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), N_FILTERS + 2)
    corners = np.floor((N_FFT + 1) * 700 * (10 ** (mels / 2595) - 1) / RATE)
    bins = np.arange(N_FFT // 2 + 1)
    low, middle, high = (corners[n : n + N_FILTERS, None] for n in range(3))
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return np.where((bins >= low) & (bins < middle), rising, np.where((bins >= middle) & (bins < high), falling, 0))
