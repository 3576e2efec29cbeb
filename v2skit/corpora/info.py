"""What is published of a corpus, where it is available, and how the copy on disk differs from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from v2skit.errors import UserError


@dataclass(frozen=True)
class CorpusInfo:
    """What is published of a corpus.

    Args:
        where: where to obtain it, the remedy in an error; ``{corpus_dir}`` and ``{download}`` are replaced by the
            options for its folder and for downloading it.
        hours: of speech; None where unknown.
        counts: utterances by part.
        key: of the corpus in the config.
    """

    where: str
    hours: float | None = None
    counts: dict[str, int] = field(default_factory=dict)
    key: str = "corpus"

    @property
    def remedy(self) -> str:
        """Where to obtain the corpus, with the options of the command line."""
        folder = "--corpus_dir" if self.key == "corpus" else f"--set {self.key}.corpus_dir=DIR"
        return self.where.format(corpus_dir=folder, download=f"--set {self.key}.download=true")

    def error(self, problem: str) -> UserError:
        """An error that names where to obtain the corpus."""
        return UserError(f"{problem}; {self.remedy}", key=self.key)

    def differences(self, found: dict[str, int]) -> str | None:
        """How the utterances found, by part, differ from the published counts; None where they are the same."""
        differs = [
            f"{part} {count} of {self.counts[part]}"
            for part, count in found.items()
            if part in self.counts and count != self.counts[part]
        ]
        return f"not the published counts: {', '.join(differs)}" if differs else None

    def check_folder(self, directory: Path | None) -> Path:
        """The user's folder. Raises UserError where there is none."""
        if directory is None:
            raise self.error("no corpus given")
        if not directory.is_dir():
            raise self.error(f"{directory} is not a folder")
        return directory

    def root(self, directory: Path | None, folders: Iterable[str], has: Callable[[Path], bool], layout: str) -> Path:
        """The folder that contains the corpus.

        Args:
            directory: the user's folder, or None.
            folders: where the corpus may be in it, ``""`` for itself.
            has: whether a folder contains the corpus.
            layout: description of the corpus's files, for the message.

        Raises:
            UserError: no folder is given or exists, or it does not contain the corpus; with where to obtain it.
        """
        directory = self.check_folder(directory)
        root = next((directory / folder for folder in folders if has(directory / folder)), None)
        if root is None:
            raise self.error(f"{directory} has no {layout}")
        return root
