"""Audio for pre-training: every audio file below some folders."""

from __future__ import annotations

import re
from pathlib import Path

from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.files import visible_files
from v2skit.corpora.names import fit, path_hash
from v2skit.errors import UserError

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac")


class AudioFolder:
    """Every audio file below some folders; the speaker is the folder or the beginning of the name.

    Args:
        directories: folders, searched with their subfolders; relative to the recipe's folder.
        speaker: ``folder``: the folder that holds the file; ``prefix``: its name up to the first ``-`` or ``_``.
        valid_share: share of the files, by a hash of the name, in ``audio_valid`` instead of ``audio``.

    Raises:
        UserError: no folder is given, or ``speaker`` or ``valid_share`` is invalid.
    """

    def __init__(
        self, work_dir: Path, directories: list[str], speaker: str = "prefix", valid_share: float = 0.02
    ) -> None:
        if not directories:
            raise UserError("audio_corpus.directories is empty; give at least one folder")
        if speaker not in ("folder", "prefix"):
            raise UserError(f"speaker '{speaker}' is neither 'folder' nor 'prefix'")
        if not 0 <= valid_share < 1:
            raise UserError(f"valid_share {valid_share} must be in 0..1")
        self.directories = [Path(work_dir) / d for d in directories]
        self.speaker, self.valid_share = speaker, valid_share

    def obtain(self) -> str:
        """Find the files. Raises UserError where a folder is missing or has none, or none is left for training."""
        count = sum(map(len, self.splits().values()))
        return f"audio in {', '.join(map(str, self.directories))}: {count} files"

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """``audio``, and ``audio_valid``, with at least one file, where ``valid_share`` is not 0."""
        found: list[tuple[str, CorpusUtterance]] = []
        for number, path in self._files():
            stem = fit(path.stem)
            speaker = fit(re.split("[-_]", stem)[0] if self.speaker == "prefix" else path.parent.name)
            # The folder's number and a hash of the path distinguish files of the same name.
            key = path_hash(path.relative_to(self.directories[number]))
            found.append((key, CorpusUtterance(f"{fit(f'{speaker}-{stem}')}-{number}{key[:6]}", speaker, path)))
        if not self.valid_share:
            return {"audio": [utterance for _, utterance in found]}
        first = min(key for key, _ in found)
        held_out = [key == first or int(key[:8], 16) / 16**8 < self.valid_share for key, _ in found]
        if all(held_out):
            few = f"{len(found)} audio file{'s' * (len(found) > 1)} in {', '.join(map(str, self.directories))}"
            raise UserError(f"{few}: none is left for training; give more, or set audio_corpus.valid_share to 0")
        return {
            name: [utterance for (_, utterance), held in zip(found, held_out, strict=True) if held == is_valid]
            for name, is_valid in (("audio", False), ("audio_valid", True))
        }

    def grammar(self) -> None:
        """Open vocabulary."""

    def _files(self) -> list[tuple[int, Path]]:
        """(number of the folder, file); a file that several folders lead to is there once."""
        files: dict[Path, tuple[int, Path]] = {}
        for number, directory in enumerate(self.directories):
            if not directory.is_dir():
                raise UserError(f"audio folder {directory} is missing; see audio_corpus.directories")
            here = sorted(p for p in visible_files(directory) if p.suffix.lower() in SUFFIXES)
            if not here:
                raise UserError(f"no audio files ({' '.join(SUFFIXES)}) under {directory}")
            for path in here:
                files.setdefault(path.resolve(), (number, path))
        return list(files.values())
