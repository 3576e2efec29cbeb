"""Weights in int8 and float16: what rounding costs, what stays as it is, and what a reader makes of them."""

import pytest
import torch

from tests.conftest import ROOT
from v2skit.errors import UserError
from v2skit.models.pack_parts import read_part
from v2skit.models.pack_weights import SCALE, restored, stored

SHAPES = {"matrix": (64, 100), "kernel": (16, 8, 7, 7), "transposed": (8, 64, 16), "one row": (1, 5000)}


def weights() -> dict[str, torch.Tensor]:
    """Random ones, whose rows differ in magnitude by up to 10^6."""
    random = torch.Generator().manual_seed(0)
    found = {}
    for name, shape in SHAPES.items():
        magnitude = 10 ** (6 * torch.rand(shape[0], generator=random) - 4)
        found[name] = torch.randn(shape, generator=random) * magnitude.view(-1, *[1] * (len(shape) - 1))
    return found


def bytes_of(tensors: dict[str, torch.Tensor]) -> int:
    return sum(value.nbytes for value in tensors.values())


def test_int8_deviates_by_half_a_step_of_the_row():
    exact = weights()
    kept = stored(exact, "int8")
    assert kept.keys() == exact.keys() | {name + SCALE for name in exact}
    back = restored(kept, int8=True)
    assert back.keys() == exact.keys()
    for name, value in exact.items():
        assert kept[name].dtype == torch.int8 and kept[name].shape == value.shape
        assert kept[name + SCALE].dtype == torch.float32 and kept[name + SCALE].shape == value.shape[:1]
        assert back[name].dtype == torch.float32 and back[name].shape == value.shape
        rows, error = value.flatten(1), (back[name] - value).flatten(1).abs()
        step = rows.abs().amax(1, keepdim=True) / 127
        assert (error <= 0.5001 * step).all() and error.max() > 0, name
        largest = rows.abs().argmax(1, keepdim=True)
        assert torch.allclose(back[name].flatten(1).gather(1, largest), rows.gather(1, largest), rtol=1e-6, atol=0)


def test_weights_that_were_rounded_before_stay_as_they_are():
    once = restored(stored(weights(), "int8"), int8=True)
    again = restored(stored(once, "int8"), int8=True)
    assert all(torch.allclose(again[name], value, rtol=1e-6, atol=0) for name, value in once.items())


def test_rows_of_zeros_and_of_subnormal_numbers():
    value = torch.randn(64, 100)
    value[3], value[5], value[7] = 0, 1e-45, torch.linspace(-2e-43, 2e-43, 100)
    kept = stored({"w": value}, "int8")
    assert kept["w" + SCALE][3] == kept["w" + SCALE][5] == 1
    back = restored(kept, int8=True)["w"]
    assert back.isfinite().all() and (back[3] == 0).all()
    assert (back[[5, 7]] - value[[5, 7]]).abs().max() < 1e-42
    assert (restored(stored({"w": torch.zeros(64, 64)}, "int8"), int8=True)["w"] == 0).all()


@pytest.mark.parametrize("bad", [float("inf"), -float("inf"), float("nan")])
def test_weights_that_are_not_finite_stay_as_they_are(bad):
    value = torch.randn(64, 64)
    value[1, 2] = bad
    for precision in ("float16", "int8"):
        assert stored({"w": value}, precision) == {"w": value}


def test_what_has_which_type():
    small, large = torch.randn(63, 65), torch.randn(64, 64)
    beyond = large.clone()
    beyond[0, 0] = 1e6  # more than float16 can represent
    exact = {
        "small": small, "large": large, "beyond": beyond, "small beyond": beyond[:8],
        "bias": torch.randn(5000), "steps": torch.tensor(3), "table": torch.arange(8192).view(2, -1),
        "signs": torch.ones(64, 64, dtype=torch.int8), "double": large.double(),
    }  # fmt: skip
    rounded = {"small": torch.float16, "large": torch.int8, "beyond": torch.int8}
    types = {name: value.dtype for name, value in stored(exact, "int8").items() if not name.endswith(SCALE)}
    assert types == {name: value.dtype for name, value in exact.items()} | rounded
    halves = dict.fromkeys(("small", "large"), torch.float16)
    types = {name: value.dtype for name, value in stored(exact, "float16").items()}
    assert types == {name: value.dtype for name, value in exact.items()} | halves
    assert stored(exact, "float32") == exact
    back = restored(stored(exact, "int8"), int8=True)
    assert {name: value.dtype for name, value in back.items()} == {name: value.dtype for name, value in exact.items()}
    assert all(torch.equal(back[name], exact[name]) for name in exact.keys() - rounded.keys())


def test_no_parameter_has_the_name_of_scales():
    for name in ("w" + SCALE, ".scale"):
        with pytest.raises(KeyError):
            torch.nn.Module().register_parameter(name, torch.nn.Parameter(torch.ones(1)))
    for child in ("w.", ""):
        with pytest.raises(KeyError):
            torch.nn.Module().add_module(child, torch.nn.Linear(1, 1))
    both = {"w": torch.randn(64, 64), "w" + SCALE: torch.ones(64)}  # of a state_dict that is not torch's
    for precision in ("float32", "float16", "int8"):
        with pytest.raises(UserError, match=r"the weights 'w' and 'w\.\.scale' can't be in one pack"):
            stored(both, precision)


def test_scales_that_fit_no_matrix_are_left_for_the_module_to_refuse():
    value = torch.ones(64, 64, dtype=torch.int8)
    for scale in (torch.ones(63), torch.ones(64, 1), torch.ones(64, dtype=torch.float64), torch.ones(())):
        assert restored({"w": value, "w" + SCALE: scale}, int8=True) == {"w": value, "w" + SCALE: scale}
    for other in (value.float(), value[0], torch.tensor(1, dtype=torch.int8)):
        tensors = {"w": other, "w" + SCALE: torch.ones(other.shape[:1])}
        assert restored(tensors, int8=True) == tensors


def test_packs_of_earlier_formats_have_no_scales():
    tensors = {"w": torch.ones(2, 2, dtype=torch.int8), "w" + SCALE: torch.full((2,), 0.5)}
    assert restored(tensors, int8=False) == tensors
    assert torch.equal(restored(tensors, int8=True)["w"], torch.full((2, 2), 0.5))


def test_the_installed_model_has_half_the_size_of_float16():
    path = ROOT / "v2skit/pretrained/grid.v2s"
    if not path.is_file():
        pytest.skip("no v2skit/pretrained/grid.v2s in this checkout")
    for part in ("model", "vocoder"):
        exact = read_part(path, part).weights
        halves, quarters = stored(exact, "float16"), stored(exact, "int8")
        assert 0.5 < bytes_of(quarters) / bytes_of(halves) < 0.53, part
