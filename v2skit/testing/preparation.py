"""The contracts of corpora and trackers, which data is prepared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from v2skit.config.features import Crop
from v2skit.data.data_dir import check_id
from v2skit.errors import UserError
from v2skit.tracking.tracker import check_pose


def check_corpus(make: Callable[[], Any]) -> None:
    """Raises AssertionError where a corpus breaks its contract, see :class:`v2skit.corpora.corpus.Corpus`.

    Args:
        make: builds the corpus; always the same, in the same folder, where it can be obtained.
    """
    corpus = make()
    for _ in range(2):
        line = corpus.obtain()
        assert isinstance(line, str) and line.strip() and "\n" not in line, f"obtain() returns {line!r}, not one line"
    splits = corpus.splits()
    assert splits and any(splits.values()), "it has no utterance"
    assert make().splits() == splits, "splits() of another process differ; sort what a folder lists"
    grammar = corpus.grammar()
    assert grammar is None or grammar.startswith("#JSGF"), "grammar() is neither None nor JSGF"
    found: dict[str, str] = {}
    for split, utterances in splits.items():
        for utterance in utterances:
            _check_utterance(utterance)
            assert utterance.id not in found, f"'{utterance.id}' is in {found.get(utterance.id)} and in {split}"
            found[utterance.id] = split


def _check_utterance(utterance: Any) -> None:
    name = utterance.id
    try:
        check_id(name, "an utterance", "change it in splits()")
    except UserError as error:
        raise AssertionError(str(error)) from error
    assert name.startswith(utterance.speaker), f"'{name}' does not begin with its speaker '{utterance.speaker}'"
    assert utterance.audio or utterance.video, f"'{name}' has neither audio nor video"
    for path in (utterance.audio, utterance.video):
        assert path is None or Path(path).is_file(), f"'{name}': {path} does not exist"
    end = float("inf") if utterance.end is None else utterance.end
    assert 0 <= utterance.start < end, f"'{name}' lasts from {utterance.start} to {end} s"
    assert utterance.text is None or utterance.text == utterance.text.upper(), f"'{name}': its text is not upper case"


def check_tracker(
    tracker: Any,
    frames: Sequence[np.ndarray],
    fps: int = 25,
    video: Path | None = None,
    crop: Crop = Crop(),
    finds: bool = True,
) -> None:
    """Raises AssertionError where a tracker breaks its contract, see :class:`v2skit.tracking.tracker.Tracker`.

    Args:
        tracker: the component.
        frames: of a video, upright, RGB uint8 (H,W,3).
        fps: frames a second.
        video: the file of the frames, for a tracker that needs it.
        crop: settings of the mouth crop.
        finds: it has to find a face in one of the frames.
    """
    runs = []
    for part in (frames, frames[: len(frames) // 2], frames):
        tracker.start(video, fps)
        poses = []
        for frame in part:
            given = frame.copy()
            poses.append(tracker.update(given))
            assert np.array_equal(given, frame), "update() changes the frame"
            try:
                check_pose(poses[-1], tracker, frame, crop.eye_distances)
            except UserError as error:
                raise AssertionError(str(error)) from error
        tracker.finish()
        runs.append(poses)
    assert not finds or any(pose is not None for pose in runs[0]), "it finds no face in any of the frames"
    assert runs[2] == runs[0], "start() leaves state of the video before: the same frames have other poses"
