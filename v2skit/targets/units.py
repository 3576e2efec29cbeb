"""Units: the clusters of speech features, found by k-means."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from v2skit.config.features import Clock
from v2skit.config.limits import Depth
from v2skit.data.targets import FitUtterance
from v2skit.errors import UserError
from v2skit.registry.component import Component
from v2skit.system.extras import needs

DEFAULT = Component("audio_frontend", {"run": "exp/mel/pretrain"}, kind="extractor")


class Units:
    """The cluster of each video frame's features, from 0 to ``clusters - 1`` (HuBERT, Hsu et al. 2021).

    Args:
        clock: given by the toolkit.
        extractor: of the features; by default the audio frontend of the mel family's pre-training in the same recipe.
        layer: index in the extractor's list of features; -1 is the last.
        per_frame: units a video frame; features of another rate are interpolated linearly.
        clusters: number of clusters.
        frames: number of units' features, of random training utterances, that k-means is fitted to.
        iterations: of k-means, after k-means++ (Arthur and Vassilvitskii 2007).
        seed: of the choice of utterances and of the first centroids.
    """

    rate = "frame"
    dtype = "int32"
    lazy = ("extractor",)

    def __init__(
        self,
        clock: Clock,
        extractor: Annotated[Component, "extractor"] = DEFAULT,
        layer: int = -1,
        per_frame: Depth = 1,
        clusters: Annotated[int, Field(ge=2, le=65_536)] = 100,
        frames: Annotated[int, Field(ge=2, le=100_000_000)] = 20_000,
        iterations: Annotated[int, Field(ge=1, le=10_000)] = 50,
        seed: Annotated[int, Field(ge=0, le=2**31)] = 0,
    ) -> None:
        self.samples_per_frame, self.layer, self.per_frame = clock.samples_per_frame, layer, per_frame
        self.clusters, self.frames, self.iterations, self.seed = clusters, frames, iterations, seed
        build: Any = extractor
        self._build: Callable[[], Any] = build
        self._centroids: Tensor | None = None  # (K, D)
        self._fitted_with = ""

    @cached_property
    def _extractor(self) -> Any:
        return self._build().eval().requires_grad_(False)

    def settings_digest(self) -> str:
        """The digest of the extractor's weights. Raises UserError where it can't be built."""
        return str(getattr(self._extractor, "digest", ""))

    def fit(self, utterances: Iterable[FitUtterance]) -> dict[str, Any]:
        """Fit k-means to the features of random utterances.

        Returns:
            the state: ``extractor``, the digest of its weights, and ``centroids``, float32 (K, D) in base 64, with
            their ``shape``.

        Raises:
            UserError: there are fewer features than clusters.
        """
        with needs("train", "target 'units'"):
            from scipy.cluster.vq import kmeans2

        features = self._sample(list(utterances))
        if len(features) < self.clusters:
            raise UserError(
                f"k-means needs more frames than clusters, but there are {len(features)} frames for {self.clusters} "
                "clusters; give it more frames of more training data, or fewer clusters"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a cluster may be empty: a unit that does not occur
            centroids, _ = kmeans2(features, self.clusters, iter=self.iterations, minit="++", seed=self.seed)
        content = base64.b64encode(np.asarray(centroids, "<f4").tobytes()).decode()
        state = {"extractor": self.settings_digest(), "shape": list(centroids.shape), "centroids": content}
        self.load_state(state)
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo :meth:`fit`. Raises ValueError or LookupError where it is no state of as many clusters."""
        content = np.frombuffer(base64.b64decode(state["centroids"], validate=True), "<f4")
        self._fitted_with = str(state["extractor"])
        centroids = torch.from_numpy(content.astype(np.float32).reshape(state["shape"]))
        if len(centroids) != self.clusters or not centroids.isfinite().all():
            raise ValueError(f"{len(centroids)} centroids for {self.clusters} clusters, or some are not finite")
        self._centroids = centroids

    def compute(self, waveform: np.ndarray, text: str | None = None) -> np.ndarray:
        """Waveform (N,) -> units, int32 (T * per_frame,)."""
        if self._centroids is None:
            raise UserError("units have no centroids yet; stage 2 or 4 of the recipe fits them to the training data")
        if self.settings_digest() != self._fitted_with:
            raise UserError(
                "the extractor has other weights than the one that the units were fitted with; give target units that "
                "extractor, or train anew from stage 2 on"
            )
        return torch.cdist(self._features(waveform), self._centroids).argmin(1).int().numpy()

    @torch.no_grad()
    def _features(self, waveform: np.ndarray) -> Tensor:
        """Waveform (N,) -> features (T * per_frame, D), float32."""
        layers = self._extractor(torch.from_numpy(np.ascontiguousarray(waveform, np.float32))[None])
        if not -len(layers) <= self.layer < len(layers):
            raise UserError(f"layer {self.layer}: the extractor gives {len(layers)} layers; -1 is the last")
        features = layers[self.layer].float().transpose(1, 2)  # (1, L, D) -> (1, D, L)
        length = len(waveform) // self.samples_per_frame * self.per_frame
        if features.shape[2] != length:
            features = F.interpolate(features, size=length, mode="linear")
        return features[0].T  # (D, T k) -> (T k, D)

    def _sample(self, utterances: list[FitUtterance]) -> np.ndarray:
        """The features of utterances in random order, ``frames`` of them if there are as many."""
        found, count = [], 0
        for index in np.random.default_rng(self.seed).permutation(len(utterances)):
            found.append(self._features(utterances[index].waveform()).numpy())
            count += len(found[-1])
            if count >= self.frames:
                break
        return np.concatenate(found)[: self.frames] if found else np.zeros((0, 0), np.float32)
