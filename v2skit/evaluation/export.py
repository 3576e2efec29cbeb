"""The speech of an experiment, listed for other evaluation toolkits: VERSA and VTS-Eval."""

from __future__ import annotations

import json
from pathlib import Path

from v2skit.data.data_dir import read_clock, read_manifest
from v2skit.errors import UserError
from v2skit.evaluation.other_clips import other_clips
from v2skit.media.audio import read_audio, write_audio
from v2skit.system.atomic import is_unused, write_text

GROUND_TRUTH, LINES = "ground_truth", "gt.jsonl"


def write_lists(speech: Path, data_dir: Path, out: Path, dataset: str) -> dict[str, int]:
    """List the speech of every row, and write the ground truth as WAV beside the lists.

    * ``<row>.scp`` and ``ground_truth.scp``, lines ``id path``, and ``text``, lines ``id words``, are what VERSA reads
      as ``--pred``, ``--gt`` and ``--text`` with ``--io soundfile``;
    * ``gt.jsonl`` is what VTS-Eval reads as ``--gt_jsonl``, with the folder of a row as ``--gen_dir``. Its ``ref_wav``
      is another clip of the talker, never the clip itself.

    Files of a row that are missing are in no list; utterances without ground-truth audio are left out.

    Args:
        speech: folder with a folder of ``<id>.wav`` for each row.
        data_dir: the test set that was synthesised.
        out: folder of the lists; created where there is none.
        dataset: its name in ``gt.jsonl``.

    Returns:
        row -> number of its files, that of the ground truth among them.

    Raises:
        UserError: there is no speech of these utterances, the ground truth can't be read, or the folder has other
            files than those of an earlier call.
    """
    if not is_unused(out) and not (out / LINES).is_file():
        raise UserError(f"{out} has other files than exported scores; give a folder of its own with -o", path=out)
    rate = read_clock(data_dir).sample_rate
    utterances = [u for u in read_manifest(data_dir) if u.audio]
    folders = sorted(path for path in speech.iterdir() if path.is_dir()) if speech.is_dir() else []
    rows = {folder.name: {u.id: folder / f"{u.id}.wav" for u in utterances} for folder in folders}
    found = {row: {id_: path for id_, path in files.items() if path.is_file()} for row, files in rows.items()}
    found = {row: files for row, files in found.items() if files}
    if not found:
        raise UserError(
            f"{speech} has no speech of the utterances of {data_dir}; name the experiment's folder after stage 5, and "
            "the data directory of its test set"
        )
    write_text(out / LINES, "")  # which makes it a folder of exported scores, also if this is interrupted
    truth = {u.id: out / GROUND_TRUTH / f"{u.id}.wav" for u in utterances}
    seconds = {}
    for u in utterances:
        assert u.audio is not None
        waveform = read_audio(u.audio, rate)
        write_audio(truth[u.id], waveform, rate)
        seconds[u.id] = round(len(waveform) / rate, 3)
    others, lines = other_clips(utterances, 1), []
    for u in utterances:
        line = {"id": u.id, "dataset": dataset, "wav": str(truth[u.id].resolve()), "dur": seconds[u.id], "sr": rate}
        line |= {"trans": u.text.lower()} if u.text else {}
        for other in others[u.id]:
            line |= {"ref_wav": str(truth[other.id].resolve()), "ref_dur": seconds[other.id]}
            line |= {"ref_trans": other.text.lower()} if other.text else {}
        lines.append(json.dumps(line, ensure_ascii=False))
    write_text(out / LINES, "".join(f"{line}\n" for line in lines))
    write_text(out / "text", "".join(f"{u.id} {u.text}\n" for u in utterances if u.text))
    lists = {GROUND_TRUTH: truth, **found}
    for row, files in lists.items():
        write_text(out / f"{row}.scp", "".join(f"{id_} {path.resolve()}\n" for id_, path in files.items()))
    return {row: len(files) for row, files in lists.items()}
