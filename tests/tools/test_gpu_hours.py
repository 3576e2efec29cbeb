"""Operations and kernels of training steps, against the number of weights and against each other."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.conftest import ROOT, write
from tools.gpu_hours import Cost, KernelCounter, convolution_backward


def run(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, ROOT / "tools/gpu_hours.py", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return done, [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[2:]]


def test_hours_of_the_runs_of_a_config(tmp_path, tiny):
    done, rows = run(tiny, "--tflops", "1e-6", "2e-6", "--launch_us", "0")
    assert done.returncode == 0, done.stderr
    assert [row[1:4] for row in rows] == [[name, "4", "60"] for name in ("pretrain", "finetune", "scratch")]
    assert rows[1][2:] == rows[2][2:]
    for row in rows:
        assert int(row[5]) > 100 and float(row[6]) == pytest.approx(2 * float(row[7]), rel=0.01, abs=0.1)
    longer = write(tmp_path / "longer.yaml", tiny, [], pretrain={"steps": 8, "batch_frames": 120}, scratch=False)
    done, twice = run(longer, "--tflops", "1e-6", "--launch_us", "0")
    assert len(twice) == 2 and twice[0][2:4] == ["8", "120"]
    assert float(twice[0][6]) == pytest.approx(4 * float(rows[0][6]), rel=0.01, abs=0.3)


def test_small_steps_take_as_long_as_their_launches():
    cost = Cost(operations=10**9, kernels=1000)
    assert cost.seconds(segments=10, accumulate=2, tflops=1, launch_us=5) == pytest.approx(0.02)
    assert cost.seconds(segments=10, accumulate=2, tflops=1, launch_us=50) == pytest.approx(0.1)


def test_configs_with_targets_and_a_rate_of_zero_are_refused(tiny, tmp_path):
    done, _ = run(write(tmp_path / "text.yaml", tiny, [str(ROOT / "egs/conf/text.yaml")]))
    assert done.returncode and "leave it out" in done.stderr
    done, _ = run(tiny, "--tflops", "0")
    assert done.returncode and "--tflops: give numbers above 0" in done.stderr


@pytest.mark.parametrize("groups", [1, 8])
@pytest.mark.parametrize("kind", [nn.Conv1d, nn.ConvTranspose1d])
def test_both_gradients_of_a_convolution_take_as_many_operations_as_the_convolution(kind, groups):
    formulas = {torch.ops.aten.convolution_backward: convolution_backward}
    layer, x = kind(8, 8, 3, groups=groups, bias=False), torch.randn(2, 8, 12, requires_grad=True)
    with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        layer(x).sum().backward()
    positions = 12 if kind is nn.ConvTranspose1d else 10
    assert counter.get_total_flops() == 3 * 2 * 2 * positions * 8 * 8 // groups * 3


def test_views_launch_no_kernel():
    with KernelCounter() as counter:
        torch.ones(4, 4).t().add(1)
    assert counter.kernels == 2
