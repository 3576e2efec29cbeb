"""What V2A models predict for whole utterances: the input of a vocoder that is tuned on it, and of AV2A."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from v2skit.data.batch import PREDICTED
from v2skit.data.dataset import SpeechDataset, collate
from v2skit.data.sampler import Key
from v2skit.data.streams import FOLDER, StoredStream
from v2skit.data.targets import state_digest
from v2skit.models.model import Model
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.stored_streams import LONG, content_digest, store_stream


@dataclass(frozen=True)
class Predictors:
    """Frozen models that predict a data directory: model ``n % len(models)`` its utterance n.

    Args:
        models: V2A, for inference, on the recipe's device.
        made_from: what identifies them: digests of their weights, and inference arguments.
    """

    models: tuple[Model, ...]
    made_from: Mapping[str, Any]


@dataclass(frozen=True)
class Predictions:
    """A stream that frozen models predict, stored with the data directories.

    It is predicted from whole utterances, as in synthesis, and segments are cut from it: at the edges of a segment a
    model would lack the context that it has there.

    Args:
        recipe: of the experiment.
        predictors: of all data directories but those of ``out_of_fold``.
        stream: that they predict, e.g. ``mel``.
        dtype: NumPy type of the stored values.
        out_of_fold: name of a data directory -> models none of which was trained on the utterances that it predicts.
    """

    recipe: Recipe
    predictors: Predictors
    stream: str
    dtype: str
    out_of_fold: Mapping[str, Predictors] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the stream in a batch, where the target has the other."""
        return f"{PREDICTED}{self.stream}"

    def store(self, names: Iterable[str]) -> None:
        """Predict for the data directories of these names, where that was not done; the first process does it. Raises
        UserError as :func:`v2skit.recipes.stored_streams.store_stream`."""
        if self.recipe.processes.first:
            for directory in map(self.recipe.data, names):
                self._store(directory)
        self.recipe.processes.gather(None, "while the first one predicts", LONG)

    def stored(self, directory: Path) -> dict[str, StoredStream]:
        """The predictions for a data directory, by the name of the stream."""
        return {self.name: StoredStream(self._folder(directory))}

    def _of(self, directory: Path) -> Predictors:
        found = (predictors for name, predictors in self.out_of_fold.items() if self.recipe.data(name) == directory)
        return next(found, self.predictors)

    def _store(self, directory: Path) -> None:
        config, models = self.recipe.config, self._of(directory).models
        clips = [
            SpeechDataset(
                [directory], [model.speaker.reader(directory)], config.clock, True, config.augmentation, training=False
            )
            for model in models
        ]

        @torch.no_grad()
        def predicted(number: int) -> np.ndarray:
            which = number % len(models)
            batch = collate([clips[which][Key(0, number, (0, 0))]]).to(self.recipe.device)
            return models[which](batch.inputs(("video",))).stream(self.stream)[0].float().cpu().numpy()

        store_stream(self._folder(directory), directory, self.name, predicted, self.dtype)

    def _folder(self, directory: Path) -> Path:
        predictors = self._of(directory)
        speakers = getattr(predictors.models[0].speaker.reader(directory), "digest", None)
        more = {"speakers": speakers} if speakers else {}
        made_of = {**predictors.made_from, "data": content_digest(directory), **more}
        return directory / FOLDER / f"{self.name}-{state_digest(made_of)}"
