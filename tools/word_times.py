"""How far the word times of a head that reads lips are from a reference alignment, on the clips of a data directory.

    tools/venv/bin/python tools/word_times.py egs/grid/data/s1/test /data/grid/align [--model MODEL]

The alignment of a clip is ``<its id>.align``, or the last part of the id after a hyphen, in GRID's form: lines of
start, end (1/25000 s) and word.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import v2skit
from v2skit.data.data_dir import read_silent
from v2skit.media.crops import read_crops
from v2skit.text.timed import Timed

GRID_RATE = 25000
SILENCE = ("sil", "sp")


def main(arguments: list[str] | None = None) -> None:
    """Print the differences of starts and ends, over the words that were read right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("align", type=Path, help="folder of the reference alignments")
    parser.add_argument("--model", help="default: the installed one")
    options = parser.parse_args(arguments)
    model, clips = v2skit.load(options.model, "cpu"), read_silent(options.data_dir)
    reader, head = model.model.speaker.reader(options.data_dir), model.reading_heads[0]
    found: list[tuple[float, float]] = []
    words = 0
    for clip in clips:
        lips = model.lip_reader(head, reader(clip.id, clip.speaker))
        lips.push(read_crops(clip.video))
        wanted = reference(options.align, clip.id)
        words += len(wanted)
        found += differences(list(lips.finish().words), wanted)
    print(f"{len(clips)} clips, {len(found)} of {words} words read right, in clips with the right number of words")
    for name, values in zip(("start", "end"), np.array(found).reshape(-1, 2).T):
        size = np.abs(values)
        print(f"{name}: mean {values.mean():+.3f} s, absolute mean {size.mean():.3f}, median {np.median(size):.3f}")


def reference(folder: Path, key: str) -> list[Timed]:
    """The words of a clip with their times."""
    names = (folder / f"{name}.align" for name in (key, key.rpartition("-")[2]))
    lines = next(path for path in names if path.exists()).read_text(encoding="utf-8").splitlines()
    rows = (line.split() for line in lines)
    return [
        Timed(word, int(start) / GRID_RATE, int(end) / GRID_RATE) for start, end, word in rows if word not in SILENCE
    ]


def differences(read: list[Timed], wanted: list[Timed]) -> list[tuple[float, float]]:
    """Differences of start and end, s, of the words that were read right; none where their number is another one."""
    if len(read) != len(wanted):
        return []
    pairs = zip(read, wanted, strict=True)
    return [(ours.start - theirs.start, ours.end - theirs.end) for ours, theirs in pairs if ours.text == theirs.text]


if __name__ == "__main__":
    main()
