"""TCD-TIMIT (Harte and Gillen 2015): TIMIT's sentences, read to a camera by 3 lipspeakers and 59 volunteers."""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from pathlib import Path

from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.info import CorpusInfo
from v2skit.corpora.transcript import words
from v2skit.errors import UserError, suggestion
from v2skit.system.text_file import read_text

LIPSPEAKERS = ("Lipspkr1", "Lipspkr2", "Lipspkr3")
UNSEEN = {
    "test": "08F 09F 15F 18M 25M 28M 33F 34M 36F 41M 44F 45F 49F 54M 55F 56M 58F".split(),
    "valid": "05F 19M 38F 52M".split(),
    "train": "01M 02M 03F 04M 06M 07F 10M 11F 12M 13F 14M 16M 17F 20M 21M 22M 23M 24M 26M 29M 30F 31F 32F 37F 39M 40F "
    "42M 43F 46F 47M 48M 50F 51F 57M 59F".split(),
}
"""The corpus's test volunteers; the four of validation are chosen here from its 39 for training."""

SPLITS = {"lipspeaker1": LIPSPEAKERS[:1], "lipspeakers": LIPSPEAKERS, "volunteers": sorted(sum(UNSEEN.values(), []))}
PATTERNS = ("{group}/{speaker}/Clips/{camera}", "{group}/{speaker}/{camera}", "{speaker}/Clips/{camera}")
"""Layouts of the clips: as published, and common variants."""

SUFFIXES = (".mp4", ".mov", ".avi", ".mkv")


class TcdTimit:
    """TCD-TIMIT, from ``lipspeakers/Lipspkr1/Clips/straightcam/sa1.mp4``, ``sa1.wav`` and ``SA1.txt``.

    Args:
        corpus_dir: the corpus's folder, relative to the recipe's folder.
        split: ``lipspeaker1`` (the first one only), ``lipspeakers`` (the three) or ``volunteers``.
        camera: ``straightcam`` or ``30degcam``.

    Raises:
        UserError: unknown split or camera.
    """

    info = CorpusInfo(
        where="ask for TCD-TIMIT at sigmedia.tcd.ie (an account, for research), unpack it and give its folder with "
        "{corpus_dir}",
        counts={"lipspeakers": 1131, "volunteers": 5782},
    )

    def __init__(
        self, work_dir: Path, corpus_dir: str = "", split: str = "lipspeakers", camera: str = "straightcam"
    ) -> None:
        if split not in SPLITS:
            raise UserError(f"split: TCD-TIMIT has no split '{split}'{suggestion(split, SPLITS)}")
        if camera not in ("straightcam", "30degcam"):
            raise UserError(f"camera '{camera}' is neither straightcam nor 30degcam")
        self.directory = Path(work_dir) / corpus_dir if corpus_dir else None
        self.split, self.camera = split, camera
        self.group = "volunteers" if split == "volunteers" else "lipspeakers"

    def obtain(self) -> str:
        """Find the corpus. Raises UserError, with where to obtain it, where speakers are missing."""
        splits = self.splits()
        utterances = [utterance for found in splits.values() for utterance in found]
        untranscribed = sum(utterance.text is None for utterance in utterances)
        # The published count of volunteers includes three who are in no split because of their accents.
        counted = {"lipspeakers": len(utterances)} if self.split == "lipspeakers" else {}
        lines = [
            f"TCD-TIMIT at {self.directory}: {len(utterances)} clips of {len(SPLITS[self.split])} speakers",
            self.info.differences(counted),
            f"untranscribed: {untranscribed}" if untranscribed else None,
            ", ".join(f"{name} {len(found)}" for name, found in splits.items()),
        ]
        return "; ".join(line for line in lines if line)

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """``train``, ``valid`` and ``test`` below the split's name. Raises UserError where speakers are missing."""
        found: dict[str, list[CorpusUtterance]] = {f"{self.split}/{part}": [] for part in ("train", "valid", "test")}
        for speaker, clips in self._clips.items():
            for path in clips:
                sentence = path.stem.lower()
                utterance = CorpusUtterance(f"{speaker}-{sentence}", speaker, _sound(path), path, _text(path))
                found[f"{self.split}/{self._part(speaker, sentence)}"].append(utterance)
        return found

    def grammar(self) -> None:
        """Open vocabulary."""

    def _part(self, speaker: str, sentence: str) -> str:
        if self.split == "volunteers":
            return next(part for part, speakers in UNSEEN.items() if speaker in speakers)
        # The lipspeakers read the same sentences: without the speaker in the hash, no sentence is in two parts.
        place = int.from_bytes(hashlib.sha256(sentence.encode()).digest()[:4], "big") % 20
        return {0: "valid", 1: "test"}.get(place, "train")

    @cached_property
    def _clips(self) -> dict[str, list[Path]]:
        """Speaker -> clips, sorted by name."""
        speakers = SPLITS[self.split]
        layout = f"clips of {', '.join(speakers)} ({self.group}/{speakers[0]}/Clips/{self.camera}/*.mp4)"
        root = self.info.root(self.directory, ("", "TCDTIMIT", "TCD-TIMIT"), self._has_clips, layout)
        clips = {speaker: self._of_speaker(root, speaker) for speaker in speakers}
        missing = [speaker for speaker, found in clips.items() if not found]
        if missing:
            raise self.info.error(
                f"{root} has no clips of {', '.join(missing)} ({self.group}/{missing[0]}/Clips/{self.camera}/*.mp4), "
                f"which split '{self.split}' needs"
            )
        return clips

    def _has_clips(self, root: Path) -> bool:
        return any(self._of_speaker(root, speaker) for speaker in SPLITS[self.split])

    def _of_speaker(self, root: Path, speaker: str) -> list[Path]:
        for pattern in PATTERNS:
            folder = root / pattern.format(group=self.group, speaker=speaker, camera=self.camera)
            files = folder.iterdir() if folder.is_dir() else ()
            clips = [p for p in files if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
            if clips:
                return sorted(clips)
        return []


def _sound(clip: Path) -> Path:
    """The .wav file next to a clip, otherwise the clip's own audio."""
    recording = clip.with_suffix(".wav")
    return recording if recording.is_file() else clip


def _text(clip: Path) -> str | None:
    """The words of a clip, each line of the text being a word or sentence after its start and end times."""
    for path in (clip.with_suffix(".txt"), clip.with_name(f"{clip.stem.upper()}.txt")):
        if path.is_file():
            lines = read_text(path, errors="replace").splitlines()
            return words(" ".join(re.sub(r"^\s*[\d.]+\s+[\d.]+\s+", "", line) for line in lines))
    return None
