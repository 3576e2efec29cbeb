import sys
from pathlib import Path

import pytest
import soundfile

from v2skit.system.opened import opened

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is of Linux")


def test_files_that_a_library_opens_are_noticed(tmp_path):
    paths = [tmp_path / name for name in ("a.wav", "b.wav", "sub/c.wav")]
    (tmp_path / "sub").mkdir()
    for path in paths:
        soundfile.write(path, [0.0, 0.1], 8000)
    link = tmp_path / "sub/link.wav"
    link.symlink_to(paths[0])
    with opened([paths[0], paths[2]]) as found:
        soundfile.read(link)
        paths[1].read_bytes()
    assert found == {paths[0]}
    with opened(paths) as found:
        paths[0].stat()
    assert found == set()


def test_a_folder_that_is_not_there_can_not_be_watched():
    with opened([Path("/nowhere/a.wav")]) as found:
        pass
    assert found is None
