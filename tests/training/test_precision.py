import pytest
import torch

from v2skit.config.schema import Training
from v2skit.errors import UserError
from v2skit.training.optimiser import precision_of

CPU = torch.device("cpu")


@pytest.fixture
def cpu_with_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("allowed", ["", "DEFAULT", "ALL", "AVX512_CORE_BF16", "avx512_core_amx", "AVX10_1_512"])
def test_auto_takes_bfloat16_where_the_instructions_may_be_used(cpu_with_bfloat16, monkeypatch, allowed):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", allowed)
    assert precision_of(Training(), CPU) == torch.bfloat16
    assert precision_of(Training(precision="float32"), CPU) is None


@pytest.mark.parametrize("name", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
@pytest.mark.parametrize("allowed", ["SSE41", "AVX2", "avx512_core", "AVX512_CORE_VNNI"])
def test_a_limit_on_the_instruction_set_is_one_on_the_precision(cpu_with_bfloat16, monkeypatch, name, allowed):
    monkeypatch.setenv(name, allowed)
    assert precision_of(Training(), CPU) is None
    with pytest.raises(UserError, match="set precision to float32"):
        precision_of(Training(precision="bfloat16"), CPU)
