"""Times of words that were read on the lips, against a reference alignment."""

import pytest

from tools.word_times import differences, reference
from v2skit.text.timed import Timed


def test_words_that_were_read_right_are_compared(tmp_path):
    (tmp_path / "bbaf2n.align").write_text("0 5000 sil\n5000 10000 bin\n10000 25000 blue\n25000 30000 sp\n")
    wanted = reference(tmp_path, "s1-bbaf2n")
    assert wanted == [Timed("bin", 0.2, 0.4), Timed("blue", 0.4, 1.0)]
    read = [Timed("bin", 0.24, 0.36), Timed("green", 0.4, 1.0)]
    assert differences(read, wanted) == [pytest.approx((0.04, -0.04))]
    assert differences(read[:1], wanted) == []
