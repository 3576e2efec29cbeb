import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from v2skit.models.layers.pointwise import PointwiseConv2d

# oneDNN reads the variable when it is loaded, and what it corrupts may end the process: one of its own, then.
TRAINS = """
import sys
import torch
from v2skit.models.frontends.resnet3d import Block2d

block = Block2d(int(sys.argv[1]), int(sys.argv[2]), 2, lambda channels: torch.nn.SiLU())
for frames in range(10, 40):
    x = torch.randn(frames, int(sys.argv[1]), 22, 22).contiguous(memory_format=torch.channels_last).requires_grad_()
    block(x).square().sum().backward()
"""


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (5, 8), (6, 7)])
def test_is_the_strided_1x1_convolution(stride, size):
    torch.manual_seed(0)
    conv = PointwiseConv2d(3, 5, stride)
    usual = nn.Conv2d(3, 5, 1, stride, bias=False)
    usual.load_state_dict(conv.state_dict())
    results = []
    for module in (conv, usual):
        x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1)).requires_grad_()
        output = module(x)
        output.square().sum().backward()
        results.append((output, x.grad, module.weight.grad))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("channels", [(2, 4), (4, 8), (6, 8), (7, 7), (8, 16)])
def test_a_residual_block_trains_at_any_width_on_avx2(channels):
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", TRAINS, *map(str, channels)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stderr}"
