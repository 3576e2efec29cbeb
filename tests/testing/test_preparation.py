"""Corpora and trackers: the checks accept good ones and refuse the others."""

from dataclasses import replace

import numpy as np
import pytest

from v2skit import testing
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.tracking.tracker import MouthPose

FRAMES = [np.full((32, 40, 3), value, np.uint8) for value in (0, 80, 160, 240)]


class Folder:
    """A corpus of two files."""

    def __init__(self, folder):
        self.folder = folder

    def obtain(self):
        for name in ("s1-a", "s2-b"):
            (self.folder / f"{name}.wav").touch()
        return f"two files in {self.folder}"

    def splits(self):
        found = [CorpusUtterance(p.stem, p.stem[:2], p, text="BIN BLUE") for p in sorted(self.folder.glob("*.wav"))]
        return {"train": found[:1], "test": found[1:]}

    def grammar(self):
        return None


class Overlapping(Folder):
    def splits(self):
        return {**super().splits(), "valid": super().splits()["train"]}


class WithoutPrefix(Folder):
    def splits(self):
        return {name: [replace(u, speaker="x") for u in found] for name, found in super().splits().items()}


class LowerCase(Folder):
    def splits(self):
        return {name: [replace(u, text="bin") for u in found] for name, found in super().splits().items()}


class Unsorted(Folder):
    calls = 0

    def splits(self):
        Unsorted.calls += 1
        return {
            name: found[:: (-1) ** self.calls] for name, found in {"train": sum(super().splits().values(), [])}.items()
        }


class MissingFile(Folder):
    def splits(self):
        (self.folder / "s1-a.wav").unlink(missing_ok=True)
        return {"train": [CorpusUtterance("s1-a", "s1", self.folder / "s1-a.wav")]}


class InFolders(Folder):
    def splits(self):
        return {name: [replace(u, id=f"{u.speaker}/a") for u in found] for name, found in super().splits().items()}


class LongId(Folder):
    def splits(self):
        return {name: [replace(u, id=u.id + "x" * 300) for u in found] for name, found in super().splits().items()}


@pytest.mark.parametrize(
    "bad, message",
    [
        (InFolders, r"no '/' and no control characters, 's1/a' is no such id; change it in splits\(\)"),
        (LongId, "longer than 240 bytes"),
        (Overlapping, "'s1-a' is in train and in valid"),
        (WithoutPrefix, "does not begin with its speaker 'x'"),
        (LowerCase, "its text is not upper case"),
        (Unsorted, "sort what a folder lists"),
        (MissingFile, "does not exist"),
    ],
)
def test_corpora(tmp_path, bad, message):
    testing.check_corpus(lambda: Folder(tmp_path))
    with pytest.raises(AssertionError, match=message):
        testing.check_corpus(lambda: bad(tmp_path))


class Bright:
    """The mouth is where the frame is bright; it drifts to there."""

    def start(self, video, fps):
        self.x = 0.0

    def update(self, frame):
        if not frame.any():
            return None
        self.x = 0.5 * self.x + frame.mean() / 10
        return MouthPose(self.x, 16.0, 10.0)

    def finish(self):
        pass


class KeepsItsState(Bright):
    x = 0.0

    def start(self, video, fps):
        pass


class ChangesTheFrame(Bright):
    def update(self, frame):
        frame //= 2
        return super().update(frame)


class NotFinite(Bright):
    def update(self, frame):
        return MouthPose(float("nan"), 16.0, 10.0)


class FindsNone(Bright):
    def update(self, frame):
        return None


@pytest.mark.parametrize(
    "bad, message",
    [
        (KeepsItsState, "leaves state of the video before"),
        (ChangesTheFrame, "changes the frame"),
        (NotFinite, "not finite"),
        (FindsNone, "finds no face"),
    ],
)
def test_trackers(bad, message):
    testing.check_tracker(Bright(), FRAMES)
    with pytest.raises(AssertionError, match=message):
        testing.check_tracker(bad(), FRAMES)
