"""Predicted opinion scores: those of their packages, of the hypothesis alone."""

import sys

import numpy as np
import pytest

from tests.evaluation.signals import RATE, babble, white
from v2skit.errors import UserError
from v2skit.evaluation.metrics import MetricError, resample
from v2skit.evaluation.mos import DistillMos, Dnsmos

METRICS = {Dnsmos: "speechmos", DistillMos: "distillmos"}


@pytest.fixture(params=METRICS, ids=METRICS.values())
def metric(request):
    package = METRICS[request.param]
    pytest.importorskip(package, reason=f"{package} is not installed; pip install 'v2skit[mos]'")
    return request.param()


def by_the_package(metric, waveform):
    if isinstance(metric, Dnsmos):
        from speechmos import dnsmos

        found = dnsmos.run(waveform, 16000)
        return {f"dnsmos_{name}": found[f"{name}_mos"] for name in ("ovrl", "sig", "bak", "p808")}
    import distillmos
    import torch

    with torch.no_grad():
        return {"distillmos": distillmos.ConvTransformerSQAModel().eval()(torch.from_numpy(waveform)[None]).item()}


def test_the_scores_are_those_of_the_package(metric, capsys):
    sound = resample(babble(1.0), RATE, 16000).astype(np.float32)
    found = metric(sound, sound, 16000)
    assert not capsys.readouterr().out
    assert found == pytest.approx(by_the_package(metric, sound), rel=1e-4)
    assert list(found) == list(metric.higher_is_better) and all(1 < score < 5 for score in found.values())


def test_the_reference_does_not_matter_and_silence_has_the_lowest_score(metric):
    sound = babble(1.0)
    assert metric(white(sound), sound, RATE) == metric(sound, sound, RATE)
    assert set(metric(sound, 0 * sound, RATE).values()) == {1.0}
    with pytest.raises(MetricError, match="not finite"):
        metric(sound, np.full(len(sound), np.inf), RATE)


@pytest.mark.parametrize("kind, module", [(Dnsmos, "speechmos.dnsmos"), (DistillMos, "distillmos")])
def test_a_missing_package_is_named_with_its_extra(kind, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module.partition(".")[0], None)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=r"pip install 'v2skit\[mos\]', or drop it from scoring"):
        kind()
