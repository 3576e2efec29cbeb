"""Whether a model follows the voice that is named: its speech in each of its voices, compared with all of them.

    tools/venv/bin/python tools/voice_similarity.py egs/grid/data_cpu/available/test v2skit/pretrained/grid.v2s

A row of the table is a voice that was named, and has the mean cosine of the d-vector of the speech and that of each
voice; speech without a d-vector, as silence is, is left out. A model that follows the named voice has its largest
values on the diagonal; equal rows mean that it has another source of the voice, such as the face. Needs a packed model
with d-vectors as voices.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

import v2skit
from v2skit.cli.failures import status_of
from v2skit.data.data_dir import read_manifest
from v2skit.errors import UserError
from v2skit.media.crops import read_crops
from v2skit.models.speakers.d_vector import voice_encoder


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path, help="data directory with mouth crops")
    parser.add_argument("model", type=Path, help="packed model")
    parser.add_argument("--clips", type=int, default=8, help="clips, evenly spaced in the directory; default: 8")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.clips < 1:
        parser.error("--clips must be 1 or more")
    model, embed = v2skit.load(options.model, "cpu"), voice_encoder()
    voices = list(model.packed_voices)
    if len(voices) < 2 or not model.accepts_recording:
        raise UserError(f"{options.model} has no two d-vectors as voices; pack it with --voices DIR")
    table = np.stack([model.voice(name) for name in voices])
    videos = [u.video for u in read_manifest(options.data_dir) if u.video]
    if not videos:
        raise UserError(f"{options.data_dir} has no clips with video; give a data directory with mouth crops")
    videos = [videos[place] for place in np.linspace(0, len(videos) - 1, min(options.clips, len(videos))).astype(int)]
    print(f"| named | {' | '.join(voices)} | clips nearest to it |\n| --- |{' --- |' * (len(voices) + 1)}")
    for row, name in enumerate(voices):
        found = []
        for video in videos:
            vector = embed(model.synthesise_crops(read_crops(video, 0, None), table[row]), model.sample_rate)
            if vector is not None:
                found.append(table @ (vector / np.linalg.norm(vector)))
        cosines = np.array(found).reshape(-1, len(voices))
        means = [f"{value:.2f}" for value in cosines.mean(axis=0)] if found else ["-"] * len(voices)
        nearest = (cosines.argmax(axis=1) == row).sum()
        print(f"| {name} | {' | '.join(means)} | {nearest} of {len(found)} |", flush=True)
        if len(found) < len(videos):
            without = f"{len(videos) - len(found)} of {len(videos)} clips"
            print(f"{name}: the speech of {without} has no d-vector, they are left out", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(status_of(main))
