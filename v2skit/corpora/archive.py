"""Archives of corpora: downloaded, unpacked, deleted."""

from __future__ import annotations

import errno
import stat
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from v2skit.corpora.download import disk_full, download
from v2skit.errors import UserError
from v2skit.system.progress import ProgressBar


@dataclass(frozen=True)
class Archive:
    """An archive of a corpus that is freely available.

    Args:
        url: its address.
        sha256: its published checksum, or None where none is known.
        md5: likewise.
        size: bytes, or None where unknown.
        folder: subfolder of the corpus's folder to unpack it into.
    """

    url: str
    sha256: str | None = None
    md5: str | None = None
    size: int | None = None
    folder: str = ""

    @property
    def name(self) -> str:
        """Of the file."""
        return self.url.rpartition("/")[2]


def fetch(archive: Archive, directory: Path) -> None:
    """Download an archive into a folder and unpack it there; the archive is deleted after unpacking.

    Raises:
        UserError: as :func:`download` and :func:`unpack`.
    """
    path = directory / archive.name
    download(archive.url, path, archive.sha256, archive.md5, archive.size)
    unpack(path, directory / archive.folder)
    path.unlink()


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .tar, .tar.gz, .tar.bz2 or .zip file; nothing is written outside of the folder.

    Raises:
        UserError: it is damaged, no archive, has members outside of the folder, or the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    title = f"unpacking {archive.name}"
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as file:
                for member in ProgressBar(file.infolist(), title, unit="file"):
                    _check_member(archive, member.filename, not stat.S_ISLNK(member.external_attr >> 16))
                    file.extract(member, folder)
        else:
            _unpack_tar(archive, folder, title)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        raise UserError(f"{archive} is damaged or no archive ({reason}); delete it and download it again") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(folder / archive.name, f"{archive.name} is unpacked in part") from error
        if error.errno is None:  # gzip and bz2 report damaged content so
            raise UserError(f"{archive} is damaged ({error}); delete it and download it again") from error
        raise


def _unpack_tar(archive: Path, folder: Path, title: str) -> None:
    if not hasattr(tarfile, "data_filter"):
        raise UserError(
            f"{archive} can't be unpacked safely by this Python; use 3.10.12, 3.11.4 or later, or unpack it into "
            f"{folder} by hand and delete it"
        )
    try:
        with tarfile.open(archive) as tar:
            members = ProgressBar(tar, title, unit="file")
            tar.extractall(folder, (_checked(archive, member) for member in members), filter="data")
    except tarfile.FilterError as error:
        raise _suspicious(archive, str(error)) from error


def _checked(archive: Path, member: tarfile.TarInfo) -> tarfile.TarInfo:
    _check_member(archive, member.name, member.isfile() or member.isdir())
    return member


def _check_member(archive: Path, name: str, regular: bool) -> None:
    """Raises UserError where a member is no regular file or folder, or its name leads elsewhere."""
    path = PurePosixPath(name)
    if not regular or path.is_absolute() or ".." in path.parts:
        raise _suspicious(archive, name)


def _suspicious(archive: Path, member: str) -> UserError:
    return UserError(
        f"{archive} has a member that is no file or is outside of its folder ({member}); do not use it, and download "
        "it from where the corpus is distributed"
    )
