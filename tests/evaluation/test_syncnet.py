"""SyncNet: the published file's names, embeddings by window, and files that are no SyncNet."""

import pickle

import pytest
import torch

from v2skit.errors import UserError
from v2skit.evaluation.syncnet import NAMES, SyncNet, load_syncnet


def random_weights(path, seed=0):
    """A file with the names and shapes of the published one, without the counts of batches, which that lacks."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in SyncNet().state_dict().items()}
    back = {ours: theirs for theirs, ours in NAMES.items()}
    tensors = {}
    for name, shape in shapes.items():
        start = next(ours for ours in back if name.startswith(f"{ours}."))
        if not name.endswith("num_batches_tracked"):
            width = shape.numel() // shape[0]  # of a neuron's input; 1 for biases and norms
            values = torch.randn(shape, generator=generator) / width**0.5
            if len(shape) == 1 and not name.endswith("bias"):  # norms that change little
                values = 1 + values.abs() if "running_mean" not in name else 0.1 * values
            tensors[back[start] + name.removeprefix(start)] = values / (100 if width == 3 * 5 * 7 * 7 else 1)
    torch.save(tensors, path)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return random_weights(tmp_path_factory.mktemp("weights") / "syncnet_v2.model")


@pytest.fixture(scope="module")
def net(weights):
    return load_syncnet(weights)[0]


def test_every_tensor_of_the_file_is_copied(weights):
    model, ledger = load_syncnet(weights)
    stored, ours = torch.load(weights, weights_only=True), model.state_dict()
    assert len(ledger) == len(stored) == 88 and not model.training
    assert ledger["netcnnaud.0.weight"] == "audio.layers.0.weight" and ledger["netfclip.3.bias"] == "face.head.3.bias"
    assert all(torch.equal(stored[theirs], ours[name]) for theirs, name in ledger.items())
    assert stored["netcnnlip.0.weight"].shape == (96, 3, 5, 7, 7) and stored["netfcaud.3.weight"].shape == (1024, 512)


@torch.inference_mode()
def test_windows_of_a_clip_are_those_of_its_frames(net):
    torch.manual_seed(0)
    crops, mfccs = torch.randint(0, 256, (7, 3, 224, 224)).float(), torch.randn(40, 13)
    faces, audio = net.embed_faces(crops), net.embed_audio(mfccs, 3)
    assert faces.shape == audio.shape == (3, 1024)
    assert torch.allclose(net.embed_faces(crops[1:6])[0], faces[1], rtol=1e-3, atol=1e-3)
    assert torch.allclose(net.embed_audio(mfccs[8:28], 1)[0], audio[2], rtol=1e-3, atol=1e-3)


class Runs:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of the file was run')",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is missing; SyncNet's weights are published as syncnet_v2.model"),
        (b"text", "can't be read as tensors"),
        (pickle.dumps(Runs()), "can't be read as tensors"),
        ({"netcnnaud.0.weight": torch.zeros(64, 1, 3, 3)}, "87 of its 88 tensors are missing"),
        ({"netcnnaud.0.weight": torch.zeros(3)}, "88 of its 88 tensors are missing or of another shape"),
        ([1], "88 of its 88"),
    ],
)
def test_other_files_are_refused_and_no_code_of_them_runs(tmp_path, content, message):
    path = tmp_path / "weights.model"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UserError, match=message):
        load_syncnet(path)
