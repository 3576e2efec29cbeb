"""Muting of the frames without a face."""

import numpy as np

from v2skit.synthesis.gate import Gate


def test_speech_fades_within_a_frame_and_is_exactly_silent_between():
    silent = [False, True, True, False, False, True, False]
    gate, pieces = Gate(4), []
    for start, end in ((0, 1), (1, 3), (3, 7)):  # the pieces have any length
        for frame in silent[start:end]:
            gate.push(frame)
        pieces.append(gate.apply(np.ones(4 * (end - start), np.float32)))
    gains = np.concatenate(pieces).reshape(7, 4)
    falls, rises = [0.75, 0.5, 0.25, 0.0], [0.25, 0.5, 0.75, 1.0]
    assert gains.dtype == np.float32
    assert gains.tolist() == [[1.0] * 4, falls, [0.0] * 4, rises, [1.0] * 4, falls, rises]
    late = Gate(4)
    late.push(True)
    assert not late.apply(
        np.ones(4, np.float32)
    ).any()  # a clip that begins without a face is silent from its first sample
