"""From the name of a model to its file: the one place where addresses on a hub are resolved."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from v2skit.errors import UserError
from v2skit.hub.address import SUFFIX, Address, is_address
from v2skit.hub.failure import UnreachableError, explained
from v2skit.hub.installed import is_installed, named_model
from v2skit.registry.trust import trusts_everything
from v2skit.system.atomic import write_text
from v2skit.system.checksum import sha256_of
from v2skit.system.extras import needs
from v2skit.version import __version__

PICKLES = {".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"}
"""Suffixes of files that run code where they are loaded, or may do so."""

_COMMIT = re.compile("[0-9a-f]{40}")


def local_path(model: str | Path) -> Path:
    """The path of a model.

    Args:
        model: a path; ``installed:NAME``, a pack that is installed with v2skit; or the address of a pack on a hub,
            which is fetched into the cache of huggingface_hub; without a connection the cached one is used, and
            standard error says so.

    Raises:
        UserError: no such pack is installed; huggingface_hub is not; the hub refuses the request; the repository has no
            pack, several ones or pickles; the file there differs from the hub's digest; or there is no connection and
            no cached one.
    """
    if isinstance(model, str) and is_installed(model):
        return named_model(model)
    if isinstance(model, Path) or not is_address(model):
        return Path(model)
    return _found(Address.parse(model))[0]


def pinned(address: Address) -> Address:
    """The address with the commit and the file that it leads to now, so that it names the same weights at any time; the
    pack is fetched. Raises UserError as :func:`local_path`."""
    _, commit, name = _found(address)
    return replace(address, revision=commit, file=name)


def _found(address: Address) -> tuple[Path, str, str]:
    """The pack in the cache, its commit, and its path in the repository. Raises UserError."""
    with needs("hub", f"the address {address}"):
        from huggingface_hub import try_to_load_from_cache
    if address.file and address.revision and _COMMIT.fullmatch(address.revision):  # which does not change
        copy = try_to_load_from_cache(address.repo, address.file, revision=address.revision)
        if isinstance(copy, str):
            return Path(copy), address.revision, address.file
    try:
        with explained(address, "can't be fetched"):
            return _fetched(address)
    except UnreachableError as error:
        return _cached(address, error)


def client() -> Any:
    """The client of the hub that ``HF_ENDPOINT`` names."""
    from huggingface_hub import HfApi

    return HfApi(library_name="v2skit", library_version=__version__)


def _fetched(address: Address) -> tuple[Path, str, str]:
    """As :func:`_found`, after the hub was asked for changes; a copy that differs from the hub's is fetched again.
    Raises UserError where it differs after that too."""
    api = client()
    info = api.model_info(address.repo, revision=address.revision, files_metadata=True)
    files = {file.rfilename: file for file in info.siblings}
    pickles = sorted(name for name in files if PurePosixPath(name).suffix in PICKLES)
    if pickles and not trusts_everything():
        raise UserError(
            f"{address} is refused: {pickles[0]} there is a pickle, which runs code where it is loaded; v2skit loads "
            f"the {SUFFIX} file only: if you trust where it comes from, give --trust-plugins (in Python, "
            "v2skit.load(..., trust_plugins=True))"
        )
    name = _chosen(address, files)
    path = Path(api.hf_hub_download(address.repo, name, revision=info.sha))
    lfs = files[name].lfs
    if lfs and sha256_of(path) != lfs.sha256:
        path = Path(api.hf_hub_download(address.repo, name, revision=info.sha, force_download=True))
        if sha256_of(path) != lfs.sha256:
            raise UserError(f"{address}: {name} does not match the hub's digest of it, fetched twice; push it again")
    snapshot = path.parents[len(PurePosixPath(name).parts) - 1]
    _record(snapshot.parents[1], address.revision or "main", info.sha)
    return path, info.sha, name


def _record(cache: Path, revision: str, commit: str) -> None:
    """Record which commit a revision is, where :func:`_cached` looks it up: in the cache of the repository, as
    huggingface_hub does for what is fetched by the name of the revision."""
    path = cache / "refs" / revision
    if revision != commit and not (path.is_file() and path.read_text() == commit):
        write_text(path, commit)


def _cached(address: Address, why: UnreachableError) -> tuple[Path, str, str]:
    """As :func:`_found`, of the commit that the revision was when it was fetched last."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    reason = why.fields["reason"]
    try:
        folder = snapshot_download(
            address.repo, revision=address.revision, allow_patterns=f"*{SUFFIX}", local_files_only=True
        )
    except LocalEntryNotFoundError:
        raise UserError(
            f"{address} can't be fetched: {reason}, and the cache has no copy of it; load it once with a connection"
        ) from why
    files = [path.relative_to(folder).as_posix() for path in Path(folder).rglob(f"*{SUFFIX}")]
    name, commit = _chosen(address, files), Path(folder).name
    print(f"v2skit: {address}: {reason}; using the copy in the cache, of commit {commit[:12]}", file=sys.stderr)
    return Path(folder, name), commit, name


def _chosen(address: Address, files: Iterable[str]) -> str:
    """The pack that an address names, of the files there. Raises UserError."""
    packs = sorted(name for name in files if name.endswith(SUFFIX))
    if address.file:
        if address.file not in packs:
            raise UserError(f"{address}: there is no such file; {_listed(packs)}", packs=packs)
        return address.file
    if len(packs) != 1:
        number = "several packed models" if packs else "no packed model"
        raise UserError(f"{address} has {number}; {_listed(packs)}", packs=packs)
    return packs[0]


def _listed(packs: Iterable[str]) -> str:
    """What a repository has, with the remedy."""
    return f"name one of {', '.join(packs)}" if packs else f"v2skit pack and v2skit push put a {SUFFIX} file there"
