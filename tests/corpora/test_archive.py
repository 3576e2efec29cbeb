"""Archives are unpacked into their folder and nowhere else."""

import io
import tarfile
import zipfile

import pytest

from tests.corpora.test_download import CONTENT, left
from v2skit.corpora.archive import Archive, fetch, unpack
from v2skit.errors import UserError


def tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            else:
                info.size = len(content)
            file.addfile(info, io.BytesIO(content or b""))
    return path


def test_archives_are_unpacked(tmp_path):
    tar(tmp_path / "a.tar.bz2", {"a/one.wav": b"1"}, "w:bz2")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as file:
        file.writestr("b/two.wav", b"2")
    for name in ("a.tar.bz2", "b.zip"):
        unpack(tmp_path / name, tmp_path / "out")
    assert (tmp_path / "out/a/one.wav").read_bytes() == b"1" and (tmp_path / "out/b/two.wav").read_bytes() == b"2"


@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "link"])
def test_tar_members_outside_of_the_folder_are_refused(tmp_path, name):
    archive = tar(tmp_path / "a.tar", {name: None if name == "link" else b"x"}, "w")
    with pytest.raises(UserError, match="outside of its folder .*; do not use it"):
        unpack(archive, tmp_path / "out")
    assert left(tmp_path) == ["a.tar", "out"] and not left(tmp_path / "out")


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt", "link"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_nothing_is_written_outside_of_the_folder(tmp_path, name, kind):
    archive = tmp_path / f"a.{kind}"
    if kind == "tar":
        tar(archive, {name: b"x" if name == "/out.txt" else None}, "w")
    else:
        info = zipfile.ZipInfo(name)
        info.external_attr = (0o120777 if name == "link" else 0o100644) << 16
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="do not use it"):
        unpack(archive, tmp_path / "out")
    assert left(tmp_path) == [archive.name, "out"]
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


def test_a_python_without_safe_unpacking_is_an_error(tmp_path, monkeypatch):
    archive = tar(tmp_path / "a.tar", {"a.wav": b"x"}, "w")
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(UserError, match=r"use 3.10.12, 3.11.4 or later, or unpack it into .* by hand"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("suffix", ["tar.gz", "tar.bz2", "tar", "zip"])
def test_damaged_archives_are_named(tmp_path, suffix):
    archive = tmp_path / f"a.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("a.bin", CONTENT)
    else:
        tar(archive, {"a.bin": CONTENT}, f"w:{suffix[4:]}")
    content = archive.read_bytes()
    archive.write_bytes(content[:-100] if suffix == "zip" else content[: len(content) // 2])
    with pytest.raises(UserError, match="damaged.*delete it and download it again"):
        unpack(archive, tmp_path / "out")


def test_interrupted_unpacking_is_repeated_without_a_download(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    tar(folder / "c.tar.gz", {"corpus/a.wav": b"abc"})
    fetch(Archive("https://127.0.0.1:9/c.tar.gz", folder="below"), folder)
    assert (folder / "below/corpus/a.wav").read_bytes() == b"abc" and left(folder) == ["below"]
