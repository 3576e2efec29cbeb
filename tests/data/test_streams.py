"""Values of targets on disk, by utterance and segment."""

import pickle

import numpy as np
import pytest

from v2skit.data.streams import VALUES, StoredStream, write_stream
from v2skit.errors import UserError

CLIPS = [(3, np.arange(6.0)), (2, np.arange(10.0, 14.0)), (4, np.arange(20.0, 28.0))]


def test_segments_are_read_by_the_clock(tmp_path):
    write_stream(tmp_path / "s", lambda start: CLIPS[start:], "float32", sequence=False)
    stream = pickle.loads(pickle.dumps(StoredStream(tmp_path / "s")))
    assert stream.per_frame == 2 and len(stream) == 3 and stream.lengths.tolist() == [6, 4, 8]
    assert stream.read(1, 0, 2, whole=True).tolist() == [10, 11, 12, 13]
    assert (
        stream.read(2, 1, 2, whole=False).tolist() == [22, 23, 24, 25]
        and stream.read(2, 1, 2, False).dtype == "float32"
    )


def test_a_sequence_is_read_for_whole_utterances_only(tmp_path):
    clips = [(5, np.array([7, 8, 9])), (5, np.array([], int))]
    write_stream(tmp_path / "s", lambda start: clips[start:], "int32", sequence=True)
    stream = StoredStream(tmp_path / "s")
    assert stream.read(0, 0, 5, whole=True).tolist() == [7, 8, 9]
    assert not len(stream.read(0, 1, 3, whole=False)) and not len(stream.read(1, 0, 5, whole=True))


def test_no_values_at_all(tmp_path):
    write_stream(tmp_path / "s", lambda start: [(5, np.zeros(0))], "int32", sequence=True)
    assert StoredStream(tmp_path / "s").lengths.tolist() == [0]


@pytest.mark.parametrize("bad", [np.arange(5.0), np.zeros((4, 2)), np.zeros(()), np.arange(2.0)])
def test_values_off_the_clock_are_refused(tmp_path, bad):
    with pytest.raises(UserError, match="correct the target, or declare rate = 'sequence'"):
        write_stream(tmp_path / "s", lambda start: [CLIPS[0], (2, bad)], "float32", sequence=False)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("cut", [0, 3])
def test_an_interrupted_write_continues_after_the_last_whole_value(tmp_path, cut):
    def interrupted(start):
        yield CLIPS[0]
        yield CLIPS[1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_stream(tmp_path / "s", interrupted, "float32", sequence=False)
    (part,) = tmp_path.iterdir()
    with (part / VALUES).open("ab") as file:
        file.write(b"\0" * cut)  # of a value that was being written
    starts = []
    write_stream(tmp_path / "s", lambda start: starts.append(start) or CLIPS[start:], "float32", sequence=False)
    assert starts == [2] and list(tmp_path.iterdir()) == [tmp_path / "s"]
    assert StoredStream(tmp_path / "s").read(2, 0, 4, True).tolist() == CLIPS[2][1].tolist()


def test_damaged_files_are_named(tmp_path):
    write_stream(tmp_path / "s", lambda start: CLIPS[start:], "float32", sequence=False)
    with (tmp_path / "s" / VALUES).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UserError, match="is damaged .*values.bin has another length.*; delete its folder"):
        StoredStream(tmp_path / "s")
