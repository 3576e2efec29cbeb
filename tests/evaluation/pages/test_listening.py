"""Listening tests: blind pages with everything in them, keys, and answers."""

import base64
import io
import json

import numpy as np
import pytest
import soundfile

from tests.evaluation.pages.page_parser import ParsedPage
from tests.evaluation.pages.scored import LEVELS, scored_experiment
from v2skit.cli import listen
from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.evaluation.pages.listening import KINDS, LEVEL_DB, Plan, levelled, low_passed, modulated_noise, write_test

SYSTEMS = ("ground truth", "copy synthesis", "from scratch", "pre-trained")
TRIALS = {"mos": 3 * len(SYSTEMS) + 2, "ab": 3 * 3 + 2, "mushra": 3}
"""Of three clips and two checks."""


@pytest.fixture
def exp(tmp_path, tiny):
    return scored_experiment(tmp_path, tiny)


def made(exp, name="listen.html", **plan):
    page = exp / name
    key = write_test(page, [exp], Plan(clips=3, checks=2, **plan))
    return ParsedPage(page), json.loads(key.read_text())


def decoded(sound):
    return soundfile.read(io.BytesIO(base64.b64decode(sound)), dtype="float32")


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_whole_and_blind(exp, kind):
    page, key = made(exp, kind=kind)
    page.check_whole()
    page.check_script()
    trials = page.data("settings")["trials"]
    assert len(trials) == len(key["trials"]) == TRIALS[kind]
    assert all(name not in page.source for name in (*SYSTEMS, *LEVELS, "modulated", "anchor", "s1-3", "s0-3"))
    for trial, answer in zip(trials, key["trials"], strict=True):
        assert trial["id"] == answer["id"] and trial["stimuli"] == list(answer["systems"])
        assert len(page.data(f"sounds-{trial['id']}")) == len(trial["stimuli"]) + trial["reference"]
    tokens = [token for trial in trials for token in trial["stimuli"]]
    assert len(tokens) == len(set(tokens))


@pytest.mark.parametrize("kind", KINDS)
def test_checks_have_a_right_answer(exp, kind):
    _, key = made(exp, kind=kind)
    checks = [trial for trial in key["trials"] if trial["limits"]]
    assert len(checks) == (3 if kind == "mushra" else 2)
    for trial in checks:
        ((token, _),) = trial["limits"].items()
        assert trial["systems"][token] == ("modulated noise" if kind == "mos" else "ground truth")
        assert trial["counts"] == (kind == "mushra")


def test_the_same_seed_makes_the_same_test_and_another_one_does_not(exp):
    first, again, other = made(exp, seed=1)[1], made(exp, seed=1)[1], made(exp, "other.html", seed=2)[1]
    assert first == again and first["test"] != other["test"]


def test_other_speech_makes_another_test_and_keeps_the_page_and_the_key_of_the_first(exp):
    first = made(exp)[1]
    page, key = (exp / f"listen{suffix}" for suffix in (".html", ".key.json"))
    before = page.read_bytes(), key.read_bytes()
    for path in (exp / "synth/pretrained").glob("*.wav"):  # as after training and synthesis with the same names
        waveform, rate = soundfile.read(path, dtype="float32")
        soundfile.write(path, waveform[::-1], rate)
    with pytest.raises(UserError, match="listen.key.json is the key of another test, whose answers need it"):
        made(exp)
    assert (page.read_bytes(), key.read_bytes()) == before
    second = made(exp, "again.html")[1]
    assert first["test"] != second["test"] and first["trials"] == second["trials"]


def test_a_report_and_a_test_do_not_replace_each_other(exp, capsys):
    for made_first, made_second, kind in [("listen", "report", "report"), ("report", "listen", "listening test")]:
        page = exp / f"{made_first}-page.html"
        few = {"listen": ["--clips", "2"], "report": []}
        assert main([made_first, str(exp), "-o", str(page), *few[made_first]]) == 0
        content = page.read_bytes()
        assert main([made_second, str(exp), "-o", str(page), *few[made_second]]) == 1
        assert f"{page} is no {kind} of v2skit; move it away" in capsys.readouterr().err
        assert page.read_bytes() == content
        assert main([made_first, str(exp), "-o", str(page), *few[made_first]]) == 0


def test_all_sounds_have_one_level(exp):
    page, key = made(exp, kind="mushra")
    for trial in key["trials"]:
        for sound, system in zip(page.data(f"sounds-{trial['id']}")[1:], trial["systems"].values(), strict=True):
            level = 10 * np.log10(np.mean(np.square(decoded(sound)[0])))
            assert "anchor" in system or level == pytest.approx(LEVEL_DB, abs=0.1)


def test_signals_of_checks_and_anchors():
    rate, random = 24000, np.random.default_rng(0)
    time = np.arange(rate) / rate
    low, high = (np.sin(2 * np.pi * hertz * time).astype(np.float32) for hertz in (1000, 6000))
    assert np.allclose(low_passed(low + high, rate)[500:-500], low[500:-500], atol=0.01)
    noise = modulated_noise(low, random) - low
    assert 10 * np.log10(np.mean(low**2) / np.mean(noise**2)) == pytest.approx(-20, abs=0.2)
    assert np.array_equal(levelled(np.zeros(9, np.float32)), np.zeros(9))
    assert low_passed(low, 7000) is low


def test_rows_are_chosen_by_label(exp):
    _, key = made(exp, kind="ab", rows=["pre-trained", "ground truth"])
    assert {trial["group"] for trial in key["trials"]} == {"pre-trained or ground truth", ""}
    for plan, message in [
        ({"rows": ["pretraind"]}, "did you mean 'pre-trained'"),
        ({"kind": "ab", "rows": ["pre-trained"]}, "needs two systems"),
        ({"clips": 99}, "all systems have speech for 8 clips only"),
        ({"clips": 0}, "0 clips and 3 checks"),
        ({"work_dir": exp}, "test set is not found"),
    ]:
        with pytest.raises(UserError, match=message):
            write_test(exp / "page.html", [exp], Plan(**plan))


def test_commands_make_and_score_a_test(exp, capsys):
    assert tuple(KINDS) == listen.KINDS
    assert main(["listen", str(exp), "--clips", "2", "--kind", "mos"]) == 0
    key = exp / "listen.key.json"
    assert str(key) in capsys.readouterr().out
    content = json.loads(key.read_text())
    rated = {"modulated noise": 1, "ground truth": 5, "copy synthesis": 4, "from scratch": 2, "pre-trained": 3}
    answers = [
        {"trial": trial["id"], "ratings": {token: rated[system] for token, system in trial["systems"].items()}}
        for trial in content["trials"]
    ]
    file = exp / "answers.json"
    file.write_text(json.dumps({"test": content["test"], "listener": "p1", "answers": answers}))
    assert main(["listen-score", str(key), str(file), "-o", str(exp / "listened.json")]) == 0
    assert "| pre-trained | 3.00 [3.00, 3.00] | 2 |" in capsys.readouterr().out
    rows = json.loads((exp / "listened.json").read_text())["rows"]
    assert {row["system"]: row["mean"] for row in rows} == {k: v for k, v in rated.items() if k in SYSTEMS}
