"""Downloads that resume, and are checked against published checksums."""

from __future__ import annotations

import errno
import hashlib
import http.client
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

from v2skit.errors import UserError
from v2skit.system.atomic import waiting_lock
from v2skit.system.progress import ProgressBar

ATTEMPTS = 5
"""Consecutive connections without new bytes, after which the download fails."""

WAIT_SECONDS = 2.0
"""Before the second of them; each further wait is twice as long."""

TIMEOUT_SECONDS = 60.0
BLOCK_BYTES = 1 << 20
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
"""HTTP statuses that are worth another attempt."""


def download(url: str, path: Path, sha256: str | None = None, md5: str | None = None, size: int | None = None) -> Path:
    """Download a file. An incomplete download is kept as ``<name>.part`` and resumed.

    Args:
        url: http or https.
        path: of the file; it is complete or does not exist.
        sha256: published checksum.
        md5: published checksum.
        size: bytes.

    Returns:
        ``path``.

    Raises:
        UserError: the server can't be reached or refuses, the disk is full, or the checksum or size differs.
    """
    if path.exists():
        _check(path, url, sha256, md5, size)
        return path
    if not url.startswith(("http://", "https://")):
        raise UserError(f"{url} is no http address; give one that begins with https://")
    part = path.with_name(f"{path.name}.part")
    with waiting_lock(path):
        if path.exists():  # another process has downloaded it
            return path
        _download(url, part, size)
        _check(part, url, sha256, md5, size)
        part.replace(path)
        _tag(part).unlink(missing_ok=True)
        return path


def _download(url: str, part: Path, size: int | None) -> None:
    """Download a file, or what is missing of it, with several attempts."""
    path, attempt = part.with_suffix(""), 0
    while True:
        before = _size(part)
        try:
            _resume(url, part, size)
            return
        except urllib.error.HTTPError as error:
            if error.code not in TRANSIENT:
                raise UserError(
                    f"{url} answers {error.code} ({error.reason}); see whether it has moved, or download {path.name} "
                    f"by hand into {path.parent}"
                ) from error
            reason: Exception = error
        except (http.client.HTTPException, urllib.error.URLError, ConnectionError, TimeoutError) as error:
            reason = error
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise disk_full(part, f"{_size(part) / 1e9:.2f} GB are downloaded") from error
        attempt = 1 if _size(part) > before else attempt + 1
        if attempt >= ATTEMPTS:
            raise UserError(
                f"{url} can't be reached ({getattr(reason, 'reason', None) or reason or type(reason).__name__}) after "
                f"{ATTEMPTS} attempts; check the network, then run the same command: it resumes after "
                f"{_size(part) / 1e6:.1f} MB"
            ) from reason
        time.sleep(WAIT_SECONDS * 2 ** (attempt - 1))


def disk_full(path: Path, state: str) -> UserError:
    """The error for a full disk, which the file at ``path`` does not fit on."""
    free = shutil.disk_usage(path.parent).free / 1e9
    return UserError(
        f"the disk of {path.parent} is full: {state}, {free:.2f} GB are free; free some space, or choose another "
        "folder for the corpus (corpus_dir), then run the same command: it resumes"
    )


def _resume(url: str, part: Path, size: int | None) -> None:
    """Download the rest over one connection. Raises HTTPException where it ends too early."""
    start, tag = _size(part), _tag(part)
    headers = {"User-Agent": "v2skit", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if tag.exists():  # a file that changed on the server is sent from its beginning
            headers["If-Range"] = tag.read_text(encoding="utf-8")
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # range not satisfiable: no bytes after the downloaded ones
            raise
        length = (error.headers.get("Content-Range") or "").rpartition("/")[2]
        if length.isdecimal() and int(length) == start:
            return
        part.unlink()
        raise http.client.HTTPException("the partial download was of another file and is deleted") from error
    with response:
        if response.status != 206:
            start = 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else size
        missing = (total or start) - start
        if missing > shutil.disk_usage(part.parent).free:
            raise disk_full(part, f"{missing / 1e9:.2f} GB are missing")
        version = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if version and not version.startswith("W/"):
            tag.write_text(version, encoding="utf-8")
        _copy(response, part, start, total)
    if total is not None and _size(part) < total:
        raise http.client.HTTPException(f"the connection ended after {_size(part)} of {total} bytes")


def _copy(response: IO[bytes], part: Path, start: int, total: int | None) -> None:
    with (
        part.open("r+b" if start else "wb") as file,
        ProgressBar(desc=part.stem, initial=start, total=total, unit="B", unit_scale=True) as progress,
    ):
        file.seek(start)
        while block := response.read(BLOCK_BYTES):
            file.write(block)
            progress.update(len(block))


def _check(path: Path, url: str, sha256: str | None, md5: str | None, size: int | None) -> None:
    """Delete the file and raise UserError where it is not the published one."""
    if size is not None and _size(path) != size:
        found, published = f"{_size(path)} bytes", f"{size}"
    elif sha256 and (checksum := _checksum(path, "sha256")) != sha256:
        found, published = f"sha256 {checksum}", sha256
    elif md5 and (checksum := _checksum(path, "md5")) != md5:
        found, published = f"md5 {checksum}", md5
    else:
        return
    path.unlink()
    _tag(path).unlink(missing_ok=True)
    raise UserError(
        f"{url} has {found}, published is {published}: the download is damaged or another file, and is deleted; run "
        "the same command again, and if the error remains, ask the distributor whether the file has changed"
    )


def _checksum(path: Path, name: str) -> str:
    checksum = hashlib.new(name, usedforsecurity=False)
    progress = ProgressBar(desc=f"checking {path.stem}", total=_size(path), unit="B", unit_scale=True)
    with path.open("rb") as file, progress:
        while block := file.read(BLOCK_BYTES):
            checksum.update(block)
            progress.update(len(block))
    return checksum.hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _tag(part: Path) -> Path:
    """The file with the server's name (ETag) of the version that is being downloaded."""
    return part.with_name(f"{part.name}.tag")
