"""SyncNet v2 (Chung and Zisserman 2016): embeddings of faces and of speech that are near each other where they fit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from v2skit.errors import UserError

FRAMES, SIDE, COEFFICIENTS = 5, 224, 13
"""Video frames of a window at 25 frames/s, side of a face crop in pixels, MFCCs of an audio frame."""

MFCCS_PER_FRAME = 4
WHERE = "syncnet_v2.model, from https://www.robots.ox.ac.uk/~vgg/software/lipsync/"
NAMES = {"netcnnaud": "audio.layers", "netfcaud": "audio.head", "netcnnlip": "face.layers", "netfclip": "face.head"}
"""Beginning of a tensor's name in the published file -> that of its name in :class:`SyncNet`."""

_AT_ONCE = 16  # windows, which bounds the memory


class SyncNet(nn.Module):
    """The network of the published weights; its embeddings have 1024 dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.audio = Embedder([
            *_block(nn.Conv2d(1, 64, 3, padding=1)),
            nn.MaxPool2d(1, 1),
            *_block(nn.Conv2d(64, 192, 3, padding=1)),
            nn.MaxPool2d(3, (1, 2)),
            *_block(nn.Conv2d(192, 384, 3, padding=1)),
            *_block(nn.Conv2d(384, 256, 3, padding=1)),
            *_block(nn.Conv2d(256, 256, 3, padding=1)),
            nn.MaxPool2d(3, 2),
            *_block(nn.Conv2d(256, 512, (5, 4))),
        ])  # fmt: skip
        self.face = Embedder([
            *_block(nn.Conv3d(3, 96, (FRAMES, 7, 7), (1, 2, 2))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_block(nn.Conv3d(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_block(nn.Conv3d(256, 512, (1, 6, 6))),
        ])  # fmt: skip

    def embed_faces(self, crops: Tensor) -> Tensor:
        """Crops, BGR, 0..255, (T,3,224,224) -> embeddings of all windows (T-4,1024)."""
        starts = range(0, len(crops) - FRAMES + 1, _AT_ONCE)
        pieces = (crops[start : start + _AT_ONCE + FRAMES - 1] for start in starts)
        # Only the first layer spans several frames, so that windows share its output: (t,3,H,W) -> (1,3,t,H,W).
        return torch.cat([self.face(piece.transpose(0, 1)[None]) for piece in pieces])

    def embed_audio(self, mfccs: Tensor, windows: int) -> Tensor:
        """MFCCs (F,13) at 100 Hz -> embeddings of the first windows, one for each video frame (windows,1024)."""
        length = FRAMES * MFCCS_PER_FRAME
        cut = mfccs.unfold(0, length, MFCCS_PER_FRAME)[:windows]  # (F,13) -> (windows,13,20)
        return torch.cat([self.audio(piece[:, None]) for piece in cut.split(_AT_ONCE)])


class Embedder(nn.Module):
    """Convolutions down to one place per window, and two linear layers."""

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))

    def forward(self, x: Tensor) -> Tensor:
        """Windows (W,1,13,20), or crops (1,3,T,224,224) with W = T - 4 windows -> (W,1024)."""
        places = self.layers(x)  # (W,512,1,1) or (1,512,W,1,1)
        return self.head(places.movedim(1, -1).reshape(-1, 512))


def _block(convolution: nn.Conv2d | nn.Conv3d) -> list[nn.Module]:
    norm = nn.BatchNorm2d if isinstance(convolution, nn.Conv2d) else nn.BatchNorm3d
    return [convolution, norm(convolution.out_channels), nn.ReLU(inplace=True)]


def load_syncnet(path: Path) -> tuple[SyncNet, dict[str, str]]:
    """SyncNet with the published weights; no code of the file is run.

    Args:
        path: of ``syncnet_v2.model``.

    Returns:
        the network in evaluation mode, and the ledger: name of each tensor in the file -> its name in the network.

    Raises:
        UserError: the file is missing, is not one of tensors, or its tensors are not those of SyncNet v2.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing; SyncNet's weights are published as {WHERE}")
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a file that is no pickle, the unpickler raises almost anything
        raise UserError(f"{path} can't be read as tensors ({type(error).__name__}); get {WHERE}") from error
    with torch.device("meta"):  # initial weights take longer than all else
        model = SyncNet().eval()
    wanted = {n: t.shape for n, t in model.state_dict().items() if not n.endswith("num_batches_tracked")}
    found = tensors if isinstance(tensors, dict) else {}
    ledger = {name: _renamed(name) for name in found if isinstance(name, str) and _renamed(name) in wanted}
    shapes = {ours: getattr(found[theirs], "shape", None) for theirs, ours in ledger.items()}
    if wrong := [name for name, shape in wanted.items() if shapes.get(name) != shape]:
        raise UserError(
            f"{path} does not hold the weights of SyncNet v2 ({len(wrong)} of its {len(wanted)} tensors are missing or "
            f"of another shape, e.g. {wrong[0]}); get {WHERE}"
        )
    counts = {n: torch.tensor(0) for n in model.state_dict() if n not in wanted}  # of batches, not in the file
    model.load_state_dict({ours: found[theirs] for theirs, ours in ledger.items()} | counts, assign=True)
    return model, ledger


def _renamed(name: str) -> str:
    start, _, rest = name.partition(".")
    return f"{NAMES.get(start, start)}.{rest}"
