"""Comparisons of scored systems: intervals, verdicts, and what is not ranked."""

import json

import numpy as np
import pytest
import yaml

from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.evaluation.compare import ONE_SEED, TOO_FEW, Group, compare
from v2skit.evaluation.markdown import compared
from v2skit.evaluation.systems import read_system
from v2skit.evaluation.text_table import WIDTH

PROTOCOLS = {"estoi": "ESTOI of a test", "wer": "WER of a test"}
CONDITIONS = {"sample_rate": 24000, "normaliser": "upper case", "speaker_reference": "none", "trimming": "none"}


def experiment(folder, level, seed=1, clips=40, talkers=8, conditions=CONDITIONS, protocols=PROTOCOLS, **more):
    """An experiment after stage 6 whose ESTOI lies around ``level``; ``unseen``: of its split, ``protocol``: a tree."""
    random, difficulty = np.random.default_rng([seed, round(1000 * level)]), np.random.default_rng(0)
    rows = folder / "synth/pretrained"
    rows.mkdir(parents=True)
    protocol, unseen, lines = more.get("protocol"), more.get("unseen", False), []
    for clip in range(clips):
        estoi = level + difficulty.normal(0, 0.1) + random.normal(0, 0.01)
        wrong = round(6 * (1 - level))
        lines.append({
            "id": f"s{clip % talkers}-{clip:03d}", "speaker": f"s{clip % talkers}", "failures": {},
            "values": {"estoi": estoi, "wer": wrong / 6}, "protocol": protocol and protocol["fingerprint"],
            "edits": {"substitutions": wrong, "deletions": 0, "insertions": 0, "words": 6},
            "aligned": {"id": f"s{clip % talkers}-{clip:03d}", "values": {"estoi": estoi + 0.1, "lag_ms": 1.0}},
        })  # fmt: skip
    (rows / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    results = {
        "rows": {"ground_truth": {}, "pretrained": {}}, "protocols": protocols, "protocol": protocol,
        "higher_is_better": {"estoi": True, "wer": False},
    }  # fmt: skip
    if conditions is not None:
        split = {"clips": read_system(str(rows)).conditions["split"]["clips"], "count": clips, "unseen_talkers": unseen}
        results["conditions"] = {"split": split, **conditions}
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "finetune").mkdir()
    config = {"seed": seed, "finetune": {"steps": 10, **more.get("training", {})}, "made_from": {"data": f"{seed}"}}
    (folder / "finetune/config.yaml").write_text(yaml.safe_dump(config))
    return str(folder)


def group(name, *folders):
    return Group(name, [read_system(folder) for folder in folders])


def cells(text):
    """The rows of tables, without the spaces that line them up."""
    return [" | ".join(cell.strip() for cell in line.split("|")[1:-1]) for line in text.splitlines()]


def difference(*groups, **options):
    found = compare(groups, **{"resamples": 300, **options})
    return found["differences"][groups[1].name], found


def seeds(folder, name, level, count=3, **more):
    return group(name, *(experiment(folder / f"{name}{s}", level, seed=s, **more) for s in range(1, count + 1)))


def test_one_seed_has_an_interval_and_never_a_verdict(tmp_path):
    a, b = (group(name, experiment(tmp_path / name, level)) for name, level in (("a", 0.4), ("b", 0.6)))
    entries, found = difference(a, b)
    assert 0.19 < entries["estoi"]["clips"]["low"] < entries["estoi"]["clips"]["mean"] < 0.21
    assert entries["wer"]["clips"]["mean"] == pytest.approx(-100 * 2 / 6, abs=1e-4)
    assert {entry["verdict"] for entry in entries.values()} == {ONE_SEED}
    text = compared(found)
    assert "better" not in text and "## b minus a" in text
    assert any(row.startswith("a | 1 | 40 | 0.3") for row in cells(text))
    of_three, _ = difference(seeds(tmp_path, "c", 0.4), b)
    assert of_three["estoi"]["verdict"] == ONE_SEED


def test_several_seeds_have_a_verdict_in_each_metric(tmp_path):
    a, b = seeds(tmp_path, "a", 0.4), seeds(tmp_path, "b", 0.6)
    entries, _ = difference(a, b)
    assert [entries[name]["verdict"] for name in ("estoi", "wer")] == ["better", "better"]
    entries, _ = difference(b, a)
    assert [entries[name]["verdict"] for name in ("estoi", "wer")] == ["worse", "worse"]
    levels = (0.30, 0.40, 0.50)
    spread = group("spread", *(experiment(tmp_path / f"s{x}", x, seed=n) for n, x in enumerate(levels)))
    entries, _ = difference(spread, group("c", *(experiment(tmp_path / f"c{s}", 0.45, seed=s) for s in (1, 2))))
    assert entries["estoi"]["verdict"] == "no clear difference"


def test_unseen_talkers_have_an_interval_of_their_own_which_decides_too(tmp_path):
    a, b = seeds(tmp_path, "a", 0.4, unseen=True), seeds(tmp_path, "b", 0.6, unseen=True)
    entries, found = difference(a, b)
    assert entries["estoi"]["talkers"]["n"] == 8 and entries["estoi"]["verdict"] == "better"
    assert "over 40 clips, [" in compared(found) and "over 8 talkers: better" in compared(found)
    c, d = (seeds(tmp_path, name, level, unseen=True, talkers=4) for name, level in (("c", 0.4), ("d", 0.6)))
    assert difference(c, d)[0]["estoi"]["verdict"] == TOO_FEW
    entries, _ = difference(seeds(tmp_path, "e", 0.4), seeds(tmp_path, "f", 0.6))
    assert "talkers" not in entries["estoi"]
    entries, _ = difference(c, seeds(tmp_path, "g", 0.6, unseen=None, talkers=4))
    assert entries["estoi"]["verdict"] == TOO_FEW


def test_talkers_who_differ_widen_the_interval_over_talkers(tmp_path):
    a, b = (experiment(tmp_path / name, 0.5, unseen=True, clips=80) for name in "ab")
    path = tmp_path / "b/synth/pretrained/scores.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row["values"]["estoi"] += 0.1 * (int(row["speaker"][1:]) - 3)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    entry = difference(group("a", a), group("b", b))[0]["estoi"]
    widths = [entry[unit]["high"] - entry[unit]["low"] for unit in ("clips", "talkers")]
    assert widths[1] > 2 * widths[0]


def test_other_conditions_are_named_and_not_ranked(tmp_path, capsys):
    a = experiment(tmp_path / "a", 0.4)
    b = experiment(tmp_path / "b", 0.6, conditions={**CONDITIONS, "sample_rate": 16000})
    c = experiment(tmp_path / "c", 0.6, clips=39)
    d = experiment(tmp_path / "d", 0.6)
    assert main(["compare", a, b, c, d, "--bootstrap", "100"]) == 1
    out, error = capsys.readouterr()
    assert f"{a} and {b} can't be ranked" in error and f"sample_rate: 24000 in {a}, 16000 in {b}" in error
    assert "--protocol" in error
    assert f"## {b} and {a}: not ranked" in out and f"* split.count: 39 in {c}, 40 in {a}" in out
    assert f"## {d} minus {a}" in out and f"## {b} minus {a}" not in out
    assert any(row.startswith(f"{b} | 1 | 40 | ") for row in cells(out))
    assert main(["compare", a, d, "--bootstrap", "100"]) == 0


def named(fingerprint, **fields):
    return {"name": "p@1", "fingerprint": fingerprint, "fields": {"alignment": "none", "metrics": {}, **fields}}


def test_other_protocols_are_named_by_their_fields(tmp_path):
    a = group("a", experiment(tmp_path / "a", 0.4, protocol=named("1" * 12, sample_rate=24000)))
    b = group("b", experiment(tmp_path / "b", 0.6, protocol=named("2" * 12, sample_rate=16000)))
    refused = compare([a, b], 100)["refused"]["b"]
    assert [(d.key, d.before, d.now) for d in refused] == [("sample_rate", 24000, 16000)]
    alone = tmp_path / "alone"
    (tmp_path / "b/synth/pretrained").rename(alone)
    refused = compare([a, group("alone", str(alone))], 100)["refused"]["alone"]
    assert [d.key for d in refused] == ["fingerprint of the protocol"]


def test_a_column_that_is_computed_in_another_way_is_left_out_unless_the_protocol_permits_it(tmp_path):
    a = group("a", experiment(tmp_path / "a", 0.4))
    other = {**PROTOCOLS, "wer": "another recogniser"}
    entries, found = difference(a, group("b", experiment(tmp_path / "b", 0.6, protocols=other)))
    assert list(entries) == ["estoi"] and [d.key for d in found["left_out"]["b"]] == ["wer"]
    assert (
        "* WER % is computed in another way, not compared: 'another recogniser' in b, 'WER of a test' in a"
        in compared(found)
    )
    protocol = named("1" * 12, recogniser="recogniser")
    c = group("c", experiment(tmp_path / "c", 0.6, protocols=other, protocol=protocol))
    entries, _ = difference(group("d", experiment(tmp_path / "d", 0.6, protocol=protocol)), c)
    assert list(entries) == ["estoi", "wer"]


def test_a_protocol_may_compare_time_aligned_scores(tmp_path):
    protocol = named("1" * 12, alignment="lag")
    found = compare([group(n, experiment(tmp_path / n, 0.4, protocol=protocol)) for n in "ab"], 100)
    assert found["systems"]["a"]["metrics"]["estoi"]["mean"] == pytest.approx(0.5, abs=0.05)
    assert found["systems"]["a"]["metrics"]["wer"]["n"] == 40


def test_time_aligned_scores_are_not_ranked_against_plain_ones(tmp_path):
    protocol = named("1" * 12, alignment="lag")
    groups = [
        group("a", experiment(tmp_path / "a", 0.4)),
        group("b", experiment(tmp_path / "b", 0.4, protocol=protocol)),
    ]
    found = compare(groups, 100)
    assert [(d.key, d.before, d.now) for d in found["refused"]["b"]] == [("alignment", "none", "lag")]
    assert not found["differences"]


def test_clips_that_fail_are_counted_and_left_out_of_both(tmp_path):
    a, b = experiment(tmp_path / "a", 0.4), experiment(tmp_path / "b", 0.6)
    path = tmp_path / "b/synth/pretrained/scores.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    del rows[0]["values"]["estoi"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    entries, found = difference(group("a", a), group("b", b))
    assert entries["estoi"]["clips"]["n"] == 39 and entries["wer"]["clips"]["n"] == 40
    assert [found["systems"][name]["metrics"]["estoi"]["failed"] for name in "ab"] == [0, 1]
    text = compared(found)
    assert "left out of both systems" in text and f"* b, ESTOI: 1 of 40 ({rows[0]['id']})" in text
    assert "over 39 of 40 clips" in text and any("(1 failed)" in row for row in cells(text))


def test_clips_that_fail_may_count_with_the_worst_score(tmp_path):
    a, b = experiment(tmp_path / "a", 0.4), experiment(tmp_path / "b", 0.6)
    for name, numbers in (("a", (0,)), ("b", (0, 1))):
        path = tmp_path / name / "synth/pretrained/scores.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for number in numbers:
            rows[number].update(values={}, edits=None, reference=list("ABCDEF"))
            rows[number]["failures"] = dict.fromkeys(("estoi", "wer"), "missing")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    plain, _ = difference(group("a", a), group("b", b))
    entries, found = difference(group("a", a), group("b", b), failed="worst")
    estoi = {
        name: [f.values["estoi"] for f in read_system(x).files.values() if f.values] for name, x in zip("ab", (a, b))
    }
    expected = (sum(estoi["b"]) + min(estoi["a"] + estoi["b"]) - sum(estoi["a"])) / 39  # the clip of both stays out
    assert (
        entries["estoi"]["clips"]["mean"] == pytest.approx(expected, abs=1e-5) and entries["estoi"]["clips"]["n"] == 39
    )
    assert (plain["wer"]["clips"]["n"], entries["wer"]["clips"]["n"]) == (38, 39)
    assert found["systems"]["b"]["metrics"]["wer"]["mean"] == pytest.approx(100 * (38 * 2 + 6) / (39 * 6), abs=1e-4)
    assert "count with the worst score" in compared(found) and "* b, ESTOI, WER %: 2 of 40" in compared(found)


def test_numbers_that_are_not_finite_and_references_without_words_are_failures(tmp_path, capsys):
    a, b = experiment(tmp_path / "a", 0.4), experiment(tmp_path / "b", 0.6)
    path = tmp_path / "b/synth/pretrained/scores.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[3]["values"]["estoi"] = float("nan")
    rows[4]["edits"] = {"substitutions": 0, "deletions": 0, "insertions": 2, "words": 0}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_system(b).files[rows[3]["id"]].failures == {"estoi": "not finite: nan"}
    assert read_system(b).files[rows[4]["id"]].failures == {"wer": "the reference has no words"}
    assert main(["compare", a, b, "--bootstrap", "100"]) == 0
    out = capsys.readouterr().out
    assert f"* {b}, ESTOI: 1 of 40 ({rows[3]['id']})" in out and f"* {b}, WER %: 1 of 40 ({rows[4]['id']})" in out
    assert "nan" not in out


def test_scores_that_were_cut_short_are_refused(tmp_path, capsys):
    a, b = experiment(tmp_path / "a", 0.4), experiment(tmp_path / "b", 0.6)
    path = tmp_path / "b/synth/pretrained/scores.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    other = {**json.loads(lines[-1]), "id": "s1-other"}
    for text in ("".join(lines[:-1]), "".join([*lines[:-1], json.dumps(other) + "\n"])):
        path.write_text(text)
        assert main(["compare", a, b]) == 1
        assert "not the 40 of the results: scoring was interrupted" in capsys.readouterr().err
    results = json.loads((tmp_path / "b/results.json").read_text())
    del results["conditions"]  # of earlier versions
    (tmp_path / "b/results.json").write_text(json.dumps({**results, "files": {"pretrained": 40}}))
    path.write_text("".join(lines[:-1]))
    with pytest.raises(UserError, match="39 clips, not the 40 .*stage 6 with --force makes it again"):
        read_system(b)


def test_many_systems_and_columns_stay_within_the_width(tmp_path):
    names = [f"metric_{n}" for n in range(9)]
    entry = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 40, "failed": 0}
    systems = {f"exp/system_{n}": {"seeds": 1, "clips": 40, "metrics": dict.fromkeys(names, entry)} for n in range(12)}
    text = compared({
        "systems": systems, "differences": {}, "refused": {}, "left_out": {}, "unrecorded": [], "protocols": {},
        "failed": {}, "failed_are": "drop", "higher_is_better": {}, "bootstrap": {"resamples": 100, "level": 95},
    })  # fmt: skip
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 3 and all(len(table) == 2 + len(systems) for table in tables)
    assert all(len({len(line) for line in table}) == 1 and len(table[0]) <= WIDTH for table in tables)
    assert [name for table in tables for name in cells(table[0])[0].split(" | ")[3:]] == [
        name.upper().replace("_", "-") for name in names
    ]


def test_scores_of_earlier_versions_are_compared_with_a_note(tmp_path):
    a, b = (experiment(tmp_path / name, level, conditions=None) for name, level in (("a", 0.4), ("b", 0.6)))
    for folder in (a, b):
        path = tmp_path / folder / "synth/pretrained/scores.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            del row["speaker"], row["protocol"], row["aligned"]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert {file.speaker for file in read_system(a).files.values()} == {f"s{n}" for n in range(8)}
    _, found = difference(group("a", a), group("b", b))
    assert "Conditions are not recorded of a, b" in compared(found)


def test_the_members_of_a_group_differ_in_the_seed_only(tmp_path):
    a = experiment(tmp_path / "a", 0.4, training={"workers": 2})
    b = experiment(tmp_path / "b", 0.4, seed=2, training={"steps": 20})
    c = experiment(tmp_path / "c", 0.4, seed=2, conditions={**CONDITIONS, "sample_rate": 16000})
    d = experiment(tmp_path / "d", 0.4, seed=2, protocols={**PROTOCOLS, "wer": "another recogniser"})
    for other, key in ((b, "finetune.steps: 10"), (c, "sample_rate: 24000"), (d, "wer: WER of a test")):
        with pytest.raises(UserError, match=f"group g: its members may differ in the seed only \\({key}"):
            group("g", a, other)
    with pytest.raises(UserError, match="have the same seed"):
        group("g", a, experiment(tmp_path / "e", 0.4))
    assert len(group("g", a, experiment(tmp_path / "f", 0.4, seed=2)).members) == 2
    alone = tmp_path / "alone"
    (tmp_path / "a/synth/pretrained").rename(alone)
    with pytest.raises(UserError, match="its seed is unknown"):
        group("g", str(alone), b)


def test_a_system_is_named_by_an_experiment_its_row_its_results_or_a_folder(tmp_path, capsys):
    folder = experiment(tmp_path / "a", 0.4)
    for name in (folder, f"{folder}:pretrained", f"{folder}/results.json", f"{folder}/synth/pretrained",
                 f"{folder}/synth/pretrained/scores.jsonl"):  # fmt: skip
        system = read_system(name)
        assert len(system.files) == 40 and system.exp == tmp_path / "a" and system.config.values["seed"] == 1
    for name, message in (
        (f"{folder}:pretraind", "did you mean 'pretrained'"), (str(tmp_path), "has no scores of clips"),
        (f"{folder}:ground_truth", "has no scores of row 'ground_truth'"), (f"{folder}/none", "has no scores"),
    ):  # fmt: skip
        assert main(["compare", folder, name]) == 1
        assert message in capsys.readouterr().err
    assert main(["compare", folder]) == 1 and "two or more systems" in capsys.readouterr().err
    assert main(["compare", folder, folder]) == 1 and "give each one once" in capsys.readouterr().err
    assert main(["compare", folder, f"{folder}:pretrained"]) == 1
    assert "are the same scores; give each system once" in capsys.readouterr().err
    assert main(["compare", folder, "--group", "x"]) == 1 and "has no experiments" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]\n",
        '{"id": 1}\n{"id": 2, "protocol": "x"}\n',
        '{"values": {}}\n',
        "\xff",
        '{"id": "s1-1", "values": {"estoi": "high"}}\n',
    ],
)
def test_damaged_scores_are_a_sentence(tmp_path, text):
    folder = experiment(tmp_path / "a", 0.4)
    (tmp_path / "a/synth/pretrained/scores.jsonl").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match="is damaged .*; stage 6 with --force makes it again"):
        read_system(folder)


@pytest.mark.parametrize(
    "damage",
    [
        {"rows": 3}, {"rows": {"pretrained": 3}}, {"rows": {"pretrained": {"estoi": {"mean": 1.0}}}},
        {"conditions": 3}, {"conditions": {"split": {}}}, {"protocol": {"name": "p@1"}}, {"protocols": []},
    ],
)  # fmt: skip
def test_damaged_results_are_a_sentence(tmp_path, capsys, damage):
    a, b = (experiment(tmp_path / name, 0.4) for name in "ab")
    path = tmp_path / "b/results.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **damage}))
    for command in (["compare", a, b], ["diff", a, b], ["leaderboard", b]):
        main(command)
        assert "results.json is damaged" in capsys.readouterr().err
