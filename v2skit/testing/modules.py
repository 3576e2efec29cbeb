"""What all networks do besides their contract: bfloat16 under autocast, and torch.export."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from v2skit.registry.failure import failure
from v2skit.system.quiet import quiet
from v2skit.testing.networks import check_close

EXPORT_TOLERANCE = 1e-4
ONE_LENGTH = "your code specialized it to be a constant"
"""What torch says of a dimension that has to be free."""
OTHER_STEPS = 13
"""Steps of a clip that an exported program is compared on."""


def check_bfloat16(module: nn.Module, *inputs: Any) -> None:
    """Raises AssertionError where forward or backward pass fails, or is not finite, under autocast to bfloat16.

    Args:
        module: the network.
        inputs: of its forward pass.
    """
    module = copy.deepcopy(module).train()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = tensors(module(*inputs))
    for output in outputs:
        assert output.isfinite().all(), "the output holds NaN or infinity under autocast to bfloat16"
    trained = [output.float().square().mean() for output in outputs if output.requires_grad]
    if trained:
        torch.stack(trained).sum().backward()
    bad = [name for name, p in module.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    assert not bad, f"the gradient of {', '.join(bad)} is not finite under autocast to bfloat16"


def check_export(module: nn.Module, *inputs: Tensor) -> None:
    """Raises AssertionError where torch.export fails, or the exported program gives another output.

    Args:
        module: the network.
        inputs: of its forward pass; as in synthesis, it is exported for a single clip without padding, the first one.
            Where all have as many steps, it is exported for any number of them, and compared at another one.

    One that says why it can't be exported, in ``export_obstacle``, is not.
    """
    if getattr(module, "export_obstacle", None):
        return
    module, clip = copy.deepcopy(module).eval(), tuple(value[:1] for value in inputs)
    alike = len({value.shape[1] for value in clip}) == 1
    shapes = tuple({1: torch.export.Dim.DYNAMIC} for _ in clip) if alike else None
    with torch.no_grad():
        module(*clip)  # before the export: modules draw their noise in their first call
        try:
            with quiet():
                program = torch.export.export(module, clip, dynamic_shapes=shapes, strict=False)
        except Exception as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            assert ONE_LENGTH not in str(error), "torch exports it for clips of one length only, as a loop over frames"
            raise AssertionError(f"torch.export fails ({type(error).__name__}: {lines[0] if lines else ''})") from error
        other = tuple(torch.cat([value, value.flip(1)], dim=1)[:, :OTHER_STEPS] for value in clip) if alike else clip
        wanted = tensors(module(*other))
        try:
            found = tensors(program.module()(*other))
        except Exception as error:
            raise AssertionError(
                f"the exported program fails for a clip of another length: {failure(error)}"
            ) from error
    for got, want in zip(found, wanted, strict=True):
        check_close(got, want, "the exported program gives another output", EXPORT_TOLERANCE)


def tensors(value: Any) -> list[Tensor]:
    """The tensors of floats in a value, in lists, tuples and dicts at any depth."""
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() else []
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return [tensor for part in parts for tensor in tensors(part)]
