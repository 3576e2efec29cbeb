"""A pack and its README.md, to a repository on a hub or to a folder that shows what would be pushed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from v2skit.errors import UserError
from v2skit.hub.address import SUFFIX, Address
from v2skit.hub.failure import explained
from v2skit.hub.fetch import client
from v2skit.models.pack_header import read_header
from v2skit.publishing.card import readme
from v2skit.publishing.folder import README, check_generated
from v2skit.system.atomic import atomic_write
from v2skit.system.extras import needs


def dry_run(pack: Path, address: Address, folder: Path, languages: Iterable[str] = ()) -> list[Path]:
    """Write into a folder what :func:`push` would push. Returns the files.

    Args:
        pack: the file.
        address: as that of :func:`push`.
        folder: new, or with these files of an earlier run only, which are replaced.
        languages: as those of :func:`push`.

    Raises:
        UserError: the file is no pack, its name can't be loaded from a hub, or the folder has other files.
    """
    text, names = readme(pack, address, languages), (name_in_repo(pack, address), README)
    check_generated(folder, names)
    files = [folder / name for name in names]
    with atomic_write(files[1]) as part:  # first, since a pack without it counts as another file
        part.write_text(text, encoding="utf-8")
    with atomic_write(files[0]) as part:
        shutil.copyfile(pack, part)
    return files


def push(pack: Path, address: Address, private: bool = False, languages: Iterable[str] = ()) -> str:
    """Push a pack, as it is, with its README.md, in one commit; the repository is created where there is none.

    Args:
        pack: the file.
        address: of the repository, with the branch if it is not the main one, and the name of the pack there if it is
            not that of the file.
        private: the repository is for its owners only.
        languages: codes of those of the speech, such as ``en``.

    Returns:
        The URL of the commit.

    Raises:
        UserError: it is no pack, its name can't be loaded from a hub, huggingface_hub is not installed, the hub refuses
            the request, or the repository is public and ``private`` is set.
    """
    text, name = readme(pack, address, languages), name_in_repo(pack, address)
    with needs("hub", "v2skit push"):
        from huggingface_hub import CommitOperationAdd
    api = client()
    with explained(address, "can't be pushed to"):
        api.create_repo(address.repo, private=private or None, exist_ok=True)
        if private and not api.model_info(address.repo).private:
            raise UserError(f"{address.repo} is public already; make it private on its page, or leave --private out")
        files: dict[str, str | bytes] = {name: str(pack), README: text.encode()}
        operations = [CommitOperationAdd(path, content) for path, content in files.items()]
        message = f"{read_header(pack).card.name or pack.stem}, packed by v2skit"
        commit = api.create_commit(address.repo, operations, commit_message=message, revision=address.revision)
    return str(commit.commit_url)


def name_in_repo(pack: Path, address: Address) -> str:
    """The path of the pack in the repository. Raises UserError where no address can have it."""
    if address.file:
        return address.file
    try:
        return str(replace(address, file=pack.name).file)
    except UserError as error:
        named = replace(address, file=f"model{SUFFIX}")
        raise UserError(
            f"{pack}: a pack of this name can't be loaded from a hub; rename it, or name it in the address: {named}"
        ) from error
