"""What a V2A model predicts for whole utterances: the input of a vocoder that is tuned on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from v2skit.data.dataset import SpeechDataset, collate
from v2skit.data.sampler import Key
from v2skit.data.streams import FOLDER, StoredStream
from v2skit.data.targets import state_digest
from v2skit.models.model import Model
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.stored_streams import LONG, content_digest, store_stream


@dataclass(frozen=True)
class Predictions:
    """A stream that a frozen model predicts, stored with the data directories.

    It is predicted from whole utterances, as in synthesis, and segments are cut from it: at the edges of a segment the
    model would lack the context that it has there.

    Args:
        recipe: of the experiment.
        model: V2A, for inference, on the recipe's device.
        made_from: what identifies it: digest of its weights, and its inference arguments.
        stream: that it predicts, e.g. ``mel``.
        dtype: NumPy type of the stored values.
    """

    recipe: Recipe
    model: Model
    made_from: Mapping[str, Any]
    stream: str
    dtype: str

    @property
    def name(self) -> str:
        """The name of the stream in a batch, where the target has the other."""
        return f"predicted_{self.stream}"

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

    def _store(self, directory: Path) -> None:
        config, reader = self.recipe.config, self.model.speaker.reader(directory)
        clips = SpeechDataset([directory], [reader], config.clock, True, config.augmentation, training=False)

        @torch.no_grad()
        def predicted(number: int) -> np.ndarray:
            batch = collate([clips[Key(0, number, (0, 0))]]).to(self.recipe.device)
            return self.model(batch.inputs(self.model.inputs)).stream(self.stream)[0].float().cpu().numpy()

        store_stream(self._folder(directory), directory, self.name, predicted, self.dtype)

    def _folder(self, directory: Path) -> Path:
        speakers = getattr(self.model.speaker.reader(directory), "digest", None)
        made_of = {**self.made_from, "data": content_digest(directory), **({"speakers": speakers} if speakers else {})}
        return directory / FOLDER / f"{self.name}-{state_digest(made_of)}"
