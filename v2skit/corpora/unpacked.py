"""Corpora in formats of other toolkits: stage 0 reads them once, into a table of utterances and files it unpacks."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.names import fit
from v2skit.corpora.transcript import words
from v2skit.errors import UserError
from v2skit.system.atomic import atomic_write, exclusive_lock, write_text
from v2skit.system.progress import ProgressBar

TABLE = "utterances.jsonl"


class UnpackedCorpus(ABC):
    """A corpus whose splits are given one by one, each in one or several sources.

    Stage 0 writes ``SPLIT/utterances.jsonl`` below ``corpus_dir``, and beside it the files that it unpacks; it is
    skipped for a split whose sources have not changed since.

    Args:
        splits: data directory -> its source, relative to the recipe's folder. A model for video is trained on
            ``train``, ``valid`` and ``test``, an audio corpus has ``audio``, ``audio_valid`` and ``audio_test``.
        corpus_dir: folder for what stage 0 writes, relative to the recipe's folder.

    Raises:
        UserError: ``splits`` is empty, or a name in it can't be a folder's.
    """

    title: str

    def __init__(self, work_dir: Path, splits: dict[str, str], corpus_dir: str = "unpacked") -> None:
        if not splits:
            raise UserError(
                f"splits is empty; give the {self.title} of each data directory, e.g. {{train: ..., test: ...}}"
            )
        for name in splits:
            if fit(name) != name or "/" in name or name.startswith("."):
                raise UserError(f"splits: '{name}' can't be the name of a data directory")
        self.work_dir, self.sources = Path(work_dir), splits
        self.directory = self.work_dir / corpus_dir

    @abstractmethod
    def files(self, source: Path) -> list[Path]:
        """The files of a source, in order. Raises UserError where there are none."""

    @abstractmethod
    def read(self, source: Path, files: list[Path], folder: Path) -> Iterator[CorpusUtterance]:
        """The utterances of a source; files that it contains are unpacked into a folder.

        Args:
            source: as ``splits`` names it.
            files: of the source.
            folder: an existing one.

        Raises:
            UserError: an utterance or a file can't be used.
        """

    def obtain(self) -> str:
        """Read the sources that are new or have changed. Raises UserError where one is missing or can't be used."""
        for name, source in self.sources.items():
            files = self.files(self.work_dir / source)
            digest = hashlib.sha256(json.dumps([_state(path) for path in files]).encode()).hexdigest()
            with exclusive_lock(self.directory / name):
                if self._digest(name) != digest:
                    self._write(name, files, digest)
        counts = ", ".join(f"{name} {_counted(found)}" for name, found in self.splits().items())
        return f"{self.title} in {', '.join(self.sources.values())}: {counts}; listed in {self.directory}"

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """The utterances of each split. Raises UserError where stage 0 did not read it, or two have the same id."""
        splits, seen = {name: list(self._utterances(name)) for name in self.sources}, dict[str, str]()
        for name, utterances in splits.items():
            for utterance in utterances:
                if seen.setdefault(utterance.id, name) != name:
                    raise UserError(
                        f"'{utterance.id}' is in {self.title} of {seen[utterance.id]} and of {name}; give each source "
                        "to one data directory, or rename one of the two"
                    )
        return splits

    def grammar(self) -> str | None:
        """None: open vocabulary."""
        return None

    def _write(self, name: str, files: list[Path], digest: str) -> None:
        folder, ids = self.directory / name, set[str]()
        if folder.is_dir() and not (folder / TABLE).exists() and any(folder.iterdir()):
            remedy = f"set corpus_dir, which stage 0 unpacks the {self.title} into, to a new folder"
            former = "(or an earlier version, which was interrupted: then delete it)"
            raise UserError(f"{folder} has files that stage 0 did not write {former}; {remedy}", path=folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / TABLE, json.dumps({"sources": None}) + "\n")  # its files may soon be those of others
        with atomic_write(folder / TABLE) as part, part.open("w", encoding="utf-8") as table:
            table.write(json.dumps({"sources": digest}) + "\n")
            read = self.read(self.work_dir / self.sources[name], files, folder)
            for utterance in ProgressBar(read, f"reading {name}", unit="utterance"):
                if utterance.id in ids:
                    raise UserError(f"{self.sources[name]}: '{utterance.id}' is there twice; rename one")
                ids.add(utterance.id)
                row = {key: value for key, value in dataclasses.asdict(utterance).items() if value is not None}
                table.write(json.dumps(row, default=str) + "\n")
            if not ids:
                raise UserError(f"{self.sources[name]} has no utterances")

    def _digest(self, name: str) -> str | None:
        """Of the sources that a split was read from; None where it was not, or not to the end."""
        path = self.directory / name / TABLE
        if not path.is_file():
            return None
        with path.open(encoding="utf-8") as table:
            try:
                return json.loads(table.readline())["sources"]
            except (ValueError, KeyError, TypeError):
                return None  # damaged: it is written again

    def _utterances(self, name: str) -> Iterator[CorpusUtterance]:
        path = self.directory / name / TABLE
        if self._digest(name) is None:
            raise UserError(f"{path} does not exist or is incomplete; stage 0 writes it")
        with path.open(encoding="utf-8") as table:
            next(table, None)
            for number, line in enumerate(table, 2):
                try:
                    row = json.loads(line)
                    paths = {key: Path(row[key]) for key in ("audio", "video") if key in row}
                    yield CorpusUtterance(**{"audio": None, **row, **paths})
                except (ValueError, TypeError) as error:
                    raise UserError(f"{path}:{number} is damaged ({error}); delete it, then run stage 0") from error


def named(key: str, speaker: str) -> tuple[str, str]:
    """An utterance's id, which begins with its speaker, and the speaker, as tables can have them."""
    speaker, key = fit(speaker).replace("/", "-"), fit(key).replace("/", "-")
    return (key if key.startswith(speaker) else fit(f"{speaker}-{key}")), speaker


def normalised(text: str | None) -> str | None:
    """A text as corpora have it; None where it has no words."""
    return words(text) if text else None


def _counted(utterances: list[CorpusUtterance]) -> str:
    videos = sum(utterance.video is not None for utterance in utterances)
    return f"{len(utterances)} ({f'{videos} with a video' if videos else 'audio only'})"


def _state(path: Path) -> tuple[str, int, int]:
    state = path.stat()
    return str(path.absolute()), state.st_size, state.st_mtime_ns
