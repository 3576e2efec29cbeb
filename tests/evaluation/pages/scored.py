"""A scored experiment as the stages leave it, without training: folders, logs, speech and scores."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import yaml

from tests.conftest import make_data
from v2skit.config.load import load_config, to_tree
from v2skit.evaluation.file_scores import FileScores
from v2skit.evaluation.report import write_results
from v2skit.evaluation.score import SCORES, SystemScores
from v2skit.evaluation.wer import count_edits
from v2skit.media.audio import read_audio, write_audio

CLIPS = 8
LEVELS = {"ground_truth": 0.95, "copy_synthesis": 0.9, "scratch": 0.3, "pretrained": 0.5}
DIRECTIONS = {"estoi": True, "wer": False}


def scored_experiment(recipe: Path, config: Path, name: str = "tiny", seed: int = 3) -> Path:
    """The folder of an experiment of a recipe's folder; clip number n has the ESTOI of its row plus n / 100."""
    test = recipe / "data/test"
    utterances = make_data(test, CLIPS, seed=seed)
    exp, settings = recipe / "exp" / name, to_tree(load_config(config, ["finetune.steps=7"]))
    rows = {}
    for row, level in LEVELS.items():
        files = []
        for number, utterance in enumerate(utterances):
            words, heard = utterance.text.split(), ["</script>", *utterance.text.split()[1:]]
            edits = count_edits(words, heard)
            values = {"estoi": level + number / 100, "wer": edits.errors / edits.words}
            files.append(FileScores(utterance.id, values, {}, edits, words, heard, speaker=utterance.speaker))
            if row != "ground_truth":
                sound = read_audio(utterance.audio, 24000)
                write_audio(exp / "synth" / row / f"{utterance.id}.wav", level * sound, 24000)
        rows[row] = SystemScores(files, dict.fromkeys(DIRECTIONS, "of <b>a test</b>"), DIRECTIONS)
        if row != "ground_truth":
            lines = "".join(json.dumps(dataclasses.asdict(file)) + "\n" for file in files)
            (exp / "synth" / row / SCORES).write_text(lines)
    write_results(rows, exp, bootstrap=100)
    for run in ("pretrain", "transfer", "finetune"):
        (exp / run).mkdir()
        (exp / run / "config.yaml").write_text(yaml.safe_dump({**settings, "made_from": {"data": "x"}}))
    losses = 1 / np.arange(1, 601)
    log = [
        {"step": 10 * n, "kind": "train", "total": loss, "l1": loss / 2, "seconds_per_step": 0.5, "waiting_share": 0.1}
        for n, loss in enumerate(losses, 1)
    ]
    log += [{"step": step, "kind": "valid", "total": 0.1} for step in (3000, 6000)]
    log.append({"step": 6001, "kind": "train", "total": float("nan")})
    (exp / "finetune/log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in log) + '{"step": 60')
    entry = {"tensor": "decoder.w", "part": "decoder", "status": "copied", "shape": [2, 3], "source_shape": [2, 3]}
    ledger = {"entries": [{**entry, "source": None, "change": "look-ahead 7 -> 0"}], "shares": {"decoder": 1.0}}
    (exp / "transfer/ledger.json").write_text(json.dumps(ledger))
    return exp
