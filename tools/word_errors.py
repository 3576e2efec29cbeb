"""Scores by talker, and the word errors of a grammar by slot, from the scores that stage 6 writes.

    tools/venv/bin/python tools/word_errors.py egs/grid/exp/cpu/synth/*/scores.jsonl
    tools/venv/bin/python tools/word_errors.py egs/grid/exp/cpu/synth/pretrained/scores.jsonl --confusions 4

The first table has a row per talker. A second one follows where all references have the same number of words: the
share of references whose word of a slot was substituted or deleted, in %. Hypotheses are aligned to references with the
fewest edits; insertions belong to no slot. ``--confusions`` adds the most frequent substitutions and deletions of a
slot.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from v2skit.data.data_dir import read_manifest
from v2skit.evaluation.wer import PERCENT

ALL = "all"
"""Label of the row of all talkers."""
Score = dict[str, Any]
"""A line of ``scores.jsonl``."""


def aligned(reference: list[str], hypothesis: list[str]) -> list[str | None]:
    """For each word of the reference the hypothesis's word, None where it was deleted, with the fewest edits; ties
    favour substitutions."""
    row: list[tuple[int, list[str | None]]] = [(j, []) for j in range(len(hypothesis) + 1)]
    for i, word in enumerate(reference, 1):
        above, row = row, [(i, [None] * i)]
        for j, other in enumerate(hypothesis, 1):
            paths = [
                (above[j - 1][0] + (word != other), [*above[j - 1][1], other]),
                (above[j][0] + 1, [*above[j][1], None]),
                (row[j - 1][0] + 1, row[j - 1][1]),
            ]
            row.append(min(paths, key=lambda path: path[0]))
    return row[-1][1]


def by_talker(scores: list[Score], speakers: dict[str, str] | None) -> dict[str, list[Score]]:
    """Scores of each talker, and of all of them where there are several.

    Args:
        scores: of one system.
        speakers: utterance id -> talker; None: the part of the id before the first hyphen.
    """
    found: dict[str, list[Score]] = defaultdict(list)
    for score in scores:
        name = score["id"].partition("-")[0] if speakers is None else speakers.get(score["id"])
        if name is None:
            raise SystemExit(
                f"the data directory has no utterance {score['id']}; give that of these scores with --data"
            )
        found[name].append(score)
    return dict(found) if len(found) == 1 else {**found, ALL: scores}


def cells(scores: list[Score]) -> list[str]:
    """Number of clips, mean ESTOI and PESQ-WB, and WER in %, pooled over words; a hyphen where there is none."""
    found = [str(len(scores))]
    for name, decimals in (("estoi", 3), ("pesq_wb", 2)):
        values = [score["values"][name] for score in scores if name in score["values"]]
        found.append(f"{sum(values) / len(values):.{decimals}f}" if values else "-")
    edits = [score["edits"] for score in scores if score["edits"]]
    words = sum(each["words"] for each in edits)
    wrong = sum(each[kind] for each in edits for kind in ("substitutions", "deletions", "insertions"))
    return [*found, f"{PERCENT * wrong / words:.1f}" if words else "-"]


def pairs(scores: Iterable[Score]) -> list[list[tuple[str, str | None]]]:
    """Of each clip that was recognised, its reference's words, each with that of the hypothesis."""
    recognised = [score for score in scores if score["edits"]]
    return [list(zip(s["reference"], aligned(s["reference"], s["hypothesis"]), strict=True)) for s in recognised]


def print_table(*rows: Iterable[object]) -> None:
    """Print the header and the rows of a Markdown table."""
    header, *others = [[str(cell) for cell in row] for row in rows]
    for row in (header, ["---"] * len(header), *others):
        print(f"| {' | '.join(row)} |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path, nargs="+", help="scores.jsonl in folders of synthesised speech")
    parser.add_argument("--data", type=Path, help="data directory that names the talkers of the utterances")
    parser.add_argument("--confusions", type=int, metavar="SLOT", help="number of the word in the sentence, from 1")
    parser.add_argument("--top", type=int, default=10, help="number of confusions")
    options = parser.parse_args()
    speakers = {u.id: u.speaker for u in read_manifest(options.data)} if options.data else None
    systems = {
        str(path.parent): list(map(json.loads, path.read_text(encoding="utf-8").splitlines()))
        for path in options.scores
    }
    rows = [
        (system, talker, *cells(of_talker))
        for system, scores in systems.items()
        for talker, of_talker in by_talker(scores, speakers).items()
    ]
    print_table(("speech", "talker", "n", "ESTOI", "PESQ-WB", "WER %"), *rows)
    sentences = {system: found for system, scores in systems.items() if (found := pairs(scores))}
    lengths = {len(sentence) for found in sentences.values() for sentence in found}
    if len(lengths) != 1:
        if options.confusions:
            raise SystemExit("--confusions needs recognised sentences that all have the same number of words")
        return
    slots = range(1, lengths.pop() + 1)
    print("\nErrors by word of the sentence, %:\n")
    shares = [
        (system, *(f"{PERCENT * sum(s[k - 1][0] != s[k - 1][1] for s in found) / len(found):.0f}" for k in slots))
        for system, found in sentences.items()
    ]
    print_table(("speech", *slots), *shares)
    if options.confusions is None:
        return
    if options.confusions not in slots:
        raise SystemExit(f"--confusions {options.confusions}: give a number from 1 to {slots[-1]}")
    print(f"\nConfusions of word {options.confusions}:\n")
    confused = []
    for system, found in sentences.items():
        said = [sentence[options.confusions - 1] for sentence in found]
        occurrences = Counter(word for word, _ in said)
        for (word, heard), count in Counter(pair for pair in said if pair[0] != pair[1]).most_common(options.top):
            confused.append((system, word, heard or "(deleted)", f"{count} of {occurrences[word]}"))
    print_table(("speech", "reference", "recognised", "clips"), *confused)


if __name__ == "__main__":
    main()
