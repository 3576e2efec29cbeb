"""The npm package kokoro-js, which has the voices of Kokoro-82M."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from v2skit.corpora.archive import unpack
from v2skit.errors import UserError
from v2skit.system.temporary import temporary_folder

PACKAGE = "kokoro-js@1.2.1"
TIMEOUT_SECONDS = 600.0


def fetch_kokoro_js(folder: Path, key: str) -> Path:
    """Fetch the package (27 MB) with npm, by its settings, and unpack it, unless that was done.

    Args:
        folder: for its content; it is complete or does not exist.
        key: of the corpus in the config, for messages.

    Returns:
        ``folder``, which may be made absolute.

    Raises:
        UserError: there is no npm, or it fails.
    """
    if folder.is_dir():
        return folder
    by_hand = (
        f"run 'npm pack {PACKAGE}' where there is npm and a network, unpack the file that it makes, and give its "
        f"folder 'package' with --set {key}.kokoro_js_dir=DIR"
    )
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(f"the voices are in the npm package {PACKAGE}, and npm is not installed; {by_hand}")
    folder = folder.resolve()  # npm runs in another folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder) as scratch:
        command = [npm, "pack", PACKAGE, "--loglevel", "error", "--pack-destination", str(scratch)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, cwd=scratch, timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise UserError(f"'npm pack {PACKAGE}' took more than {TIMEOUT_SECONDS:g} s; {by_hand}") from error
        except subprocess.CalledProcessError as error:
            reason = " ".join(error.stderr.split())[:300] or f"exit status {error.returncode}"
            raise UserError(f"'npm pack {PACKAGE}' failed ({reason}); {by_hand}") from error
        (archive,) = scratch.glob("*.tgz")
        unpack(archive, scratch)
        (scratch / "package").rename(folder)
    return folder
