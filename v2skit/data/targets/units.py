"""Units: the clusters of speech features, found by k-means."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field

from v2skit.config.features import Clock
from v2skit.config.limits import Depth, Rounds
from v2skit.errors import UserError
from v2skit.registry.component import Component
from v2skit.system.atomic import atomic_write
from v2skit.system.extras import needs
from v2skit.system.state_file import damaged

DEFAULT = Component("audio_frontend", {"run": "exp/mel/pretrain"}, kind="extractor")
DIGEST_LENGTH = 12
"""Hexadecimal digits of a digest."""


class Units:
    """The cluster of each video frame's features, from 0 to ``clusters - 1`` (HuBERT, Hsu et al. 2021).

    Args:
        clock: given by the toolkit.
        extractor: of the features; by default the audio frontend of the mel family's pre-training in the same recipe.
        layer: index in the extractor's list of features; -1 is the last.
        per_frame: units a video frame; features of another rate are interpolated.
        clusters: number of clusters.
        frames: number of random units of the training data that k-means is fitted to.
        iterations: of k-means, after k-means++ (Arthur and Vassilvitskii 2007).
        seed: of the choice of frames and the first centroids.
    """

    dtype = "int32"

    def __init__(
        self,
        clock: Clock,
        extractor: Annotated[Component, "extractor"] = DEFAULT,
        layer: int = -1,
        per_frame: Depth = 1,
        clusters: Annotated[int, Field(ge=2, le=65_536)] = 100,
        frames: Annotated[int, Field(ge=2, le=100_000_000)] = 20_000,
        iterations: Rounds = 50,
        seed: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        self.clock, self.extractor, self.layer, self.per_frame = clock, extractor, layer, per_frame
        self.clusters, self.frames, self.iterations, self.seed = clusters, frames, iterations, seed
        self.centroids: torch.Tensor | None = None  # (K, D)

    def settings_digest(self) -> str:
        """The digest of the extractor's weights."""
        return str(getattr(self.extractor, "digest", ""))

    def fit(self, utterances: Iterable[Any], folder: Path) -> dict[str, Any]:
        """Fit k-means to frames of random utterances.

        Args:
            utterances: of the training data, each with ``waveform()``, float32 (N,).
            folder: for the file of centroids.

        Returns:
            the state: ``clusters``, ``dim``, ``extractor`` (digest of its weights), ``digest`` of the centroids, and
            ``file``, their name in the folder.

        Raises:
            UserError: there are fewer frames than clusters.
        """
        with needs("train", "target 'units'"):
            from scipy.cluster.vq import kmeans2

        features = self._sample(utterances)
        if len(features) < self.clusters:
            raise UserError(
                f"k-means needs more frames than clusters, but there are {len(features)} frames for {self.clusters} "
                "clusters; give the target more frames of more training data, or fewer clusters"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a cluster may be empty: a unit that does not occur
            centroids, _ = kmeans2(features, self.clusters, iter=max(self.iterations, 1), minit="++", seed=self.seed)
        digest = _digest(centroids)
        name = f"centroids-{digest}.npy"
        with atomic_write(folder / name) as part, part.open("wb") as file:
            np.save(file, centroids)
        self.centroids = torch.from_numpy(centroids)
        dim, extractor = features.shape[1], self.settings_digest()
        return {"clusters": self.clusters, "dim": dim, "extractor": extractor, "digest": digest, "file": name}

    def load_state(self, state: dict[str, Any], folder: Path | None) -> None:
        """Read the centroids of :meth:`fit`; without a folder none, as networks need only the number of clusters.

        Raises:
            UserError: the file of centroids is missing or damaged.
        """
        self.clusters = state["clusters"]
        if folder is None:
            return
        path, remedy = folder / state["file"], "delete the folder, then stage 1 makes it again"
        try:
            centroids = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise damaged(path, error, remedy) from error
        if _digest(centroids) != state["digest"]:
            raise damaged(path, "its content does not match its digest", remedy)
        self.centroids = torch.from_numpy(centroids)

    @torch.no_grad()
    def compute(self, waveform: np.ndarray, text: str | None = None) -> np.ndarray:
        """Waveform (N,) -> units, int32 (T * per_frame,)."""
        assert self.centroids is not None, "fitted or loaded before"
        return torch.cdist(self._features(waveform), self.centroids).argmin(1).int().numpy()

    @torch.no_grad()
    def _features(self, waveform: np.ndarray) -> torch.Tensor:
        """Waveform (N,) -> features (T * per_frame, D), float32."""
        module: Any = self.extractor
        layers = module.eval()(torch.from_numpy(np.ascontiguousarray(waveform, np.float32))[None])
        if not -len(layers) <= self.layer < len(layers):
            raise UserError(f"layer {self.layer}: the extractor gives {len(layers)} layers; -1 is the last")
        features = layers[self.layer].float()  # (1, L, D)
        length = len(waveform) // self.clock.samples_per_frame * self.per_frame
        if features.shape[1] != length:
            features = F.interpolate(features.transpose(1, 2), size=length, mode="linear").transpose(1, 2)
        return features[0]

    def _sample(self, utterances: Iterable[Any]) -> np.ndarray:
        """At most ``frames`` features, of utterances in random order."""
        found, count, choice = [], 0, list(utterances)
        for index in np.random.default_rng(self.seed).permutation(len(choice)):
            found.append(self._features(choice[index].waveform()).numpy())
            count += len(found[-1])
            if count >= self.frames:
                break
        return np.concatenate(found)[: self.frames] if found else np.zeros((0, 0), np.float32)


def _digest(centroids: np.ndarray) -> str:
    shape = repr((centroids.dtype.str, centroids.shape)).encode()
    return hashlib.sha256(shape + np.ascontiguousarray(centroids).tobytes()).hexdigest()[:DIGEST_LENGTH]
