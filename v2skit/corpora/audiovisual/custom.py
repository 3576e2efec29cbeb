"""Your own videos: any folder of them, any language."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from functools import cached_property
from pathlib import Path

from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.files import visible_files
from v2skit.corpora.names import fit, path_hash
from v2skit.corpora.transcript import words
from v2skit.errors import UserError
from v2skit.system.text_file import read_text

SUFFIXES = tuple(
    ".mp4 .mov .mkv .avi .webm .mpg .mpeg .m4v .ts .wmv .flv .ogv .3gp .mts .m2ts .vob .mxf .asf .3g2 .dv".split()
)
SOUNDS = (".wav", ".flac")
SPEAKERS = ("folder", "prefix", "none")
REMEDY = "give the folder of your videos with --corpus_dir"

FEW = 6
"""Results have no intervals over fewer clips."""


class Custom:
    """Every video in a folder and its subfolders, in any language.

    A ``.wav`` or ``.flac`` file with the name of a video replaces its audio track, a ``.txt`` file is its text.

    Args:
        corpus_dir: the folder of the videos, relative to the recipe's folder.
        speaker: ``folder``: the name of the video's folder; ``prefix``: the video's name up to the first ``-`` or
            ``_``; ``none``: all videos are of one speaker.
        split: ``seen``: by video; ``unseen``: by speaker, so that each speaker is in one part only; ``test``: all
            videos are for testing a trained model.
        valid_share: share of the videos, or of the speakers, for validation, by a hash of their names; at least one.
        test_share: likewise for testing.

    Raises:
        UserError: ``speaker``, ``split`` or a share is invalid, or ``unseen`` has no speakers.
    """

    def __init__(
        self,
        work_dir: Path,
        corpus_dir: str = "",
        speaker: str = "folder",
        split: str = "seen",
        valid_share: float = 0.05,
        test_share: float = 0.05,
    ) -> None:
        if speaker not in SPEAKERS:
            raise UserError(f"speaker '{speaker}' is none of {', '.join(SPEAKERS)}")
        if split not in ("seen", "unseen", "test"):
            raise UserError(f"split '{split}' is none of 'seen', 'unseen' and 'test'")
        if split == "unseen" and speaker == "none":
            raise UserError("split 'unseen' needs speakers; set speaker to 'folder' or 'prefix'")
        if not (0 < valid_share < 1 and 0 < test_share < 1 and valid_share + test_share < 1):
            shares = f"valid_share {valid_share} and test_share {test_share}"
            raise UserError(f"{shares} must be positive, their sum below 1")
        self.directory = Path(work_dir) / corpus_dir if corpus_dir else None
        self.speaker, self.split = speaker, split
        self.shares = {"valid": valid_share, "test": test_share}

    def obtain(self) -> str:
        """Find the videos. Raises UserError where there are too few to split."""
        splits = self.splits()
        utterances = [utterance for found in splits.values() for utterance in found]
        text = sum(utterance.text is not None for utterance in utterances)
        counts = ", ".join(f"{name} {len(found)}" for name, found in splits.items())
        speakers = len({utterance.speaker for utterance in utterances})
        many = f"{len(utterances)} of {speakers} speaker{'s' * (speakers > 1)}"
        found = f"videos in {self.directory}: {many}, {text} with a text"
        few = 0 < min(len(splits.get(name, ())) for name in self.shares) < FEW
        remedy = (
            "; with so few to test and validate no difference is sure: set corpus.valid_share and corpus.test_share"
        )
        return f"{found}; {counts}{remedy if few and self.split == 'seen' else ''}"

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """``train``, ``valid`` and ``test``, or ``test`` alone. Raises UserError where there are too few videos or
        speakers."""
        if self.split == "test":
            return {"test": self._utterances}
        speakers = sorted({utterance.speaker for utterance in self._utterances})
        if self.split == "unseen" and len(speakers) < 3:
            raise UserError(
                f"{self.directory} has videos of {len(speakers)} speakers ({', '.join(speakers)}), split 'unseen' "
                "needs 3 or more; --set corpus.split=seen splits by video; corpus.speaker names the speakers"
            )
        if len(self._utterances) < 3:
            raise UserError(
                f"{self.directory} has {len(self._utterances)} videos; training, validation and testing need one each, "
                "and intelligible speech needs some hundred: cut long recordings into clips of some seconds"
            )
        # Held out are speakers where they are to be unseen, otherwise videos.
        units = {s.id: s.speaker if self.split == "unseen" else s.id for s in self._utterances}
        rest = sorted(set(units.values()), key=lambda name: hashlib.sha256(name.encode()).digest())
        total = len(rest)
        parts: dict[str, set[str]] = {"train": set()}
        for part, share in self.shares.items():
            count = max(1, min(round(share * total), len(rest) - 2))
            parts[part], rest = set(rest[:count]), rest[count:]
        parts["train"] = set(rest)
        return {name: [s for s in self._utterances if units[s.id] in part] for name, part in parts.items()}

    def grammar(self) -> None:
        """Open vocabulary."""

    @cached_property
    def _utterances(self) -> list[CorpusUtterance]:
        """All videos, by name. Raises UserError where there are none."""
        if self.directory is None:
            raise UserError(f"no videos given; {REMEDY}")
        if not self.directory.is_dir():
            raise UserError(f"{self.directory} is not a folder; {REMEDY}")
        videos = sorted(path for path in visible_files(self.directory) if path.suffix.lower() in SUFFIXES)
        if not videos:
            raise UserError(f"{self.directory} has no videos ({' '.join(SUFFIXES)}); {REMEDY}")
        names = {path: fit(f"{self._speaker(path)}-{fit(path.stem.strip())}") for path in videos}
        counts = Counter(names.values())
        for path, name in names.items():
            if counts[name] > 1:  # from two folders, or of two formats
                names[path] = f"{name}-{path_hash(path.relative_to(self.directory))[:6]}"
        return [CorpusUtterance(names[path], self._speaker(path), _sound(path), path, _text(path)) for path in videos]

    def _speaker(self, path: Path) -> str:
        if self.speaker == "none":
            return "speaker"
        name = path.parent.resolve().name if self.speaker == "folder" else re.split("[-_]", path.stem)[0]
        return fit(name.strip())


def _sound(video: Path) -> Path:
    return _next_to(video, *SOUNDS) or video


def _text(video: Path) -> str | None:
    """The words in a video's ``.txt`` file, upper case. Raises UserError where it is not in UTF-8."""
    path = _next_to(video, ".txt")
    try:
        return words(read_text(path, encoding="utf-8-sig")) if path else None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not in UTF-8; save it so") from error


def _next_to(video: Path, *suffixes: str) -> Path | None:
    """The file of a video's name with the first of these suffixes that there is, which may be in upper case."""
    spelt = (name for suffix in suffixes for name in (suffix, suffix.upper()))
    return next((path for path in map(video.with_suffix, spelt) if path.is_file()), None)
