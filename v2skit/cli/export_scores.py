"""``v2skit export-scores``: an experiment's speech for other evaluation toolkits."""

from __future__ import annotations

import argparse
from pathlib import Path

from v2skit.cli.options import Commands, add_command


def add(commands: Commands) -> None:
    """Add the command."""
    text = "list an experiment's speech, ground truth and transcripts as VERSA and VTS-Eval read them"
    command = add_command(commands, "export-scores", text)
    command.add_argument("exp", type=Path, metavar="EXP", help="the experiment's folder, after stage 5")
    command.add_argument("data_dir", type=Path, metavar="DATA_DIR", help="the data directory of its test set")
    command.add_argument(
        "-o", "--out", type=Path, required=True, help="folder for the lists and the ground truth as WAV"
    )
    command.add_argument("--dataset", default="test", help="name of the test set in gt.jsonl; default: test")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write the lists, and print the commands that read them."""
    from v2skit.evaluation.export import GROUND_TRUTH, write_lists

    speech = options.exp / "synth"
    counts = write_lists(speech, options.data_dir, options.out, options.dataset)
    total = counts[GROUND_TRUTH]
    for row, count in counts.items():
        print(f"{options.out}/{row}.scp: {count} files" + (f", {total - count} are missing" if count < total else ""))
    row, out = next(name for name in counts if name != GROUND_TRUTH), options.out
    print(f"VERSA: --pred {out}/{row}.scp --gt {out}/{GROUND_TRUTH}.scp --text {out}/text --io soundfile")
    print(f"VTS-Eval: --gen_dir {speech}/{row} --gt_jsonl {out}/gt.jsonl --datasets {options.dataset}")
