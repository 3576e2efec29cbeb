"""The checksum of a file, also of one longer than what is read at once."""

import hashlib

from v2skit.system.checksum import sha256_of


def test_it_is_that_of_the_whole_file(tmp_path):
    data = b"v2s" * 700_000
    (tmp_path / "file").write_bytes(data)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(data).hexdigest()
