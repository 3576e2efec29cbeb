"""Downloads that go on where they broke off, are checked, and are unpacked nowhere but into their folder."""

from __future__ import annotations

import errno
import hashlib
import http.client
import shutil
import stat
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from tqdm import tqdm

from v2skit.errors import UserError

ATTEMPTS = 5
"""Connections in a row that bring nothing new, before it is given up."""

WAIT_SECONDS = 2.0
"""Before the second of them; each further wait is twice as long."""

TIMEOUT_SECONDS = 60.0
BLOCK = 1 << 20
PASSING = {408, 425, 429, 500, 502, 503, 504}
"""HTTP answers that may be others later."""


@dataclass(frozen=True)
class Archive:
    """A file of a corpus that may be fetched.

    Args:
        url: where it is given out.
        sha256: its published checksum, or None where none is known.
        md5: likewise.
        size: bytes, or None where that is not known.
        folder: below the corpus's folder, where it is unpacked.
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
    """Download an archive into a folder and unpack it there; the archive is deleted once it is unpacked.

    Raises:
        UserError: as :func:`download` and :func:`unpack`.
    """
    path = directory / archive.name
    download(archive.url, path, archive.sha256, archive.md5, archive.size)
    unpack(path, directory / archive.folder)
    path.unlink()


def download(url: str, path: Path, sha256: str | None = None, md5: str | None = None, size: int | None = None) -> Path:
    """Fetch a file. What is there of it is kept as ``<name>.part``, and fetching goes on from there.

    Args:
        url: http or https.
        path: where it goes; it is whole or not there.
        sha256: published checksum.
        md5: published checksum.
        size: bytes.

    Returns:
        ``path``.

    Raises:
        UserError: it is not to be had, the disk is full, or the checksum or the size is another.
    """
    if path.exists():
        _check(path, url, sha256, md5, size)
        return path
    if not url.startswith(("http://", "https://")):
        raise UserError(f"{url} is no http address; give one that begins with https://")
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    attempt = 0
    while True:
        before = _size(part)
        try:
            _continue(url, part, size)
            break
        except urllib.error.HTTPError as error:
            if error.code not in PASSING:
                raise UserError(
                    f"{url} answers {error.code} ({error.reason}); see whether it has moved, or fetch {path.name} by "
                    f"hand and put it into {path.parent}"
                ) from error
            reason: Exception = error
        except (http.client.HTTPException, urllib.error.URLError, ConnectionError, TimeoutError) as error:
            reason = error
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise _full(part, f"{_size(part) / 1e9:.2f} GB are there") from error
        attempt = 1 if _size(part) > before else attempt + 1
        if attempt >= ATTEMPTS:
            raise UserError(
                f"{url} can't be reached ({getattr(reason, 'reason', None) or reason or type(reason).__name__}) after "
                f"{ATTEMPTS} attempts; see to the network, then run the same command: it goes on after "
                f"{_size(part) / 1e6:.1f} MB"
            ) from reason
        time.sleep(WAIT_SECONDS * 2 ** (attempt - 1))
    _check(part, url, sha256, md5, size)
    part.replace(path)
    _tag(part).unlink(missing_ok=True)
    return path


def _continue(url: str, part: Path, size: int | None) -> None:
    """One connection. Raises HTTPException where it ends too early."""
    start, tag = _size(part), _tag(part)
    headers = {"User-Agent": "v2skit", "Accept-Encoding": "identity"}
    if start and tag.exists():  # another file at this address comes from its beginning
        headers |= {"Range": f"bytes={start}-", "If-Range": tag.read_text(encoding="utf-8")}
    elif start:
        headers |= {"Range": f"bytes={start}-"}
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # nothing after what is there
            raise
        there = (error.headers.get("Content-Range") or "").rpartition("/")[2]
        if there.isdecimal() and int(there) == start:
            return
        part.unlink()
        raise http.client.HTTPException("what was there is of another file and deleted") from error
    with response:
        if response.status != 206:
            start = 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else size
        missing = (total or start) - start
        if missing > shutil.disk_usage(part.parent).free:
            raise _full(part, f"{missing / 1e9:.2f} GB are to come")
        known = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if known and not known.startswith("W/"):
            tag.write_text(known, encoding="utf-8")
        _copy(response, part, start, total)
    if total is not None and _size(part) < total:
        raise http.client.HTTPException(f"the connection ended after {_size(part)} of {total} bytes")


def _copy(response: IO[bytes], part: Path, start: int, total: int | None) -> None:
    with (
        part.open("r+b" if start else "wb") as file,
        tqdm(desc=part.stem, initial=start, total=total, unit="B", unit_scale=True, mininterval=1.0) as progress,
    ):
        file.seek(start)
        while block := response.read(BLOCK):
            file.write(block)
            progress.update(len(block))


def _check(path: Path, url: str, sha256: str | None, md5: str | None, size: int | None) -> None:
    """Raises UserError, and deletes the file, where it is not the published one."""
    found: str | None
    published: str | None
    if size is not None and _size(path) != size:
        found, published = f"{_size(path)} bytes", f"{size}"
    else:
        for name, published in (("sha256", sha256), ("md5", md5)):
            found = _hash(path, name) if published else None
            if found != published:
                found = f"{name} {found}"
                break
        else:
            return
    path.unlink()
    _tag(path).unlink(missing_ok=True)
    raise UserError(
        f"{url} came with {found}, published is {published}: it was damaged on the way or is another file, and is "
        "deleted; run the same command again, and if that says the same, ask where it is given out whether it has "
        "changed"
    )


def _hash(path: Path, name: str) -> str:
    digest = hashlib.new(name, usedforsecurity=False)
    progress = tqdm(desc=f"checking {path.stem}", total=_size(path), unit="B", unit_scale=True, mininterval=1.0)
    with path.open("rb") as file, progress:
        while block := file.read(BLOCK):
            digest.update(block)
            progress.update(len(block))
    return digest.hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _tag(part: Path) -> Path:
    """What the server calls the version that is being fetched."""
    return part.with_name(f"{part.name}.tag")


def _full(path: Path, what: str) -> UserError:
    free = shutil.disk_usage(path.parent).free / 1e9
    return UserError(
        f"the disk of {path.parent} is full: {what}, {free:.2f} GB are free; make room, or take another folder with "
        "--corpus_dir, then run the same command: it goes on"
    )


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .tar, .tar.gz, .tar.bz2 or .zip of files and folders; links, devices and ways out of it are refused.

    Raises:
        UserError: it is damaged, no archive, holds something else, or the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inside = folder.resolve()
    try:
        for name, kind, opened in tqdm(_members(archive), f"unpacking {archive.name}", unit="file", mininterval=1.0):
            target = (folder / name).resolve()
            if not target.is_relative_to(inside) or kind == "other":
                raise UserError(
                    f"{archive} holds '{name}', which is {'no file' if kind == 'other' else 'outside of its folder'}; "
                    "do not use it, and fetch it from where the corpus is given out"
                )
            if kind == "folder":
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened() as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, BLOCK)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        raise UserError(f"{archive} is damaged or no archive ({reason}); delete it and fetch it again") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(folder / archive.name, f"{archive.name} is unpacked in part") from error
        if error.errno is None:  # gzip and bz2 say so of damaged content
            raise UserError(f"{archive} is damaged ({error}); delete it and fetch it again") from error
        raise


def _extracted(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """The content of a file. Raises TarError where the member is something else."""
    content = tar.extractfile(member)
    if content is None:
        raise tarfile.TarError(f"{member.name} is no file")
    return content


def _members(archive: Path) -> Iterator[tuple[str, str, Callable[[], IO[bytes]]]]:
    """Name; ``file``, ``folder`` or ``other``; and how to read it."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as file:
            for info in file.infolist():
                link = stat.S_ISLNK(info.external_attr >> 16)
                kind = "folder" if info.is_dir() else "other" if link else "file"
                yield info.filename, kind, partial(file.open, info)
    else:
        with tarfile.open(archive) as tar:
            for member in tar:
                kind = "file" if member.isfile() else "folder" if member.isdir() else "other"
                yield member.name, kind, partial(_extracted, tar, member)
