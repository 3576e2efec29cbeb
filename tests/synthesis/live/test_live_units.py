"""Units are synthesised from live video, frame by frame, as from the whole clip."""

import numpy as np
import pytest

from tests.synthesis.live.conftest import NOBODY, moving, tiny_config
from v2skit.models.build import build_model, build_new_vocoder, build_targets, for_inference
from v2skit.synthesis.synthesiser import Synthesiser

UNITS = {
    "targets.units": "{type: units, clusters: 5}",
    "networks.decoder": "{type: units}",
    "vocoder": "{type: units, generator: {type: istft, dim: 8, blocks: 1, look_ahead_frames: 4}}",
}


@pytest.mark.parametrize("per_frame", [1, 2])
def test_units_are_synthesised_frame_by_frame(per_frame):
    config = tiny_config({**UNITS, "targets.units.per_frame": str(per_frame)})
    targets = build_targets(config)
    model = for_inference(build_model(config, "v2a", [], targets))
    vocoder = for_inference(build_new_vocoder(config, targets=targets).generator)
    synthesiser, crops = Synthesiser(config, model, vocoder), moving(41)
    whole, live = synthesiser.pipeline(NOBODY), synthesiser.pipeline(NOBODY, chunk=1)
    want = np.concatenate([whole.push(crops), whole.finish()])
    pieces = [live.push(crop[None]) for crop in crops]
    assert np.concatenate([*pieces, live.finish()]) == pytest.approx(want, abs=1e-5)
    assert want.shape == (41 * 960,) and want.std() > 0 and sum(map(len, pieces)) == (41 - 6) * 960  # 1 + 4 + 0 + 1
