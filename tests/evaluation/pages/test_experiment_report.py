"""The report of experiments: what is in it, that it needs nothing else, and what it refuses."""

import base64
import io
import json

import numpy as np
import pytest
import soundfile
import yaml
from PIL import Image

from tests.evaluation.pages.page_parser import ParsedPage
from tests.evaluation.pages.scored import CLIPS, LEVELS, scored_experiment
from v2skit.cli.main import main
from v2skit.data.data_dir import read_manifest
from v2skit.errors import UserError
from v2skit.evaluation.file_scores import FileScores
from v2skit.evaluation.pages.clips import choose
from v2skit.evaluation.pages.report import Choice, write_report
from v2skit.media.audio import read_audio


def clip(number):
    return f"s{number % 2}-3{number:03d}"


@pytest.fixture
def exp(tmp_path, tiny):
    return scored_experiment(tmp_path, tiny)


def page_of(exp, **choice):
    write_report(exp / "report.html", [exp], Choice(**choice))
    return ParsedPage(exp / "report.html")


def test_a_page_is_whole_and_small(exp):
    page = page_of(exp)
    page.check_whole()
    page.check_script()
    assert (exp / "report.html").stat().st_size < 3e6


def test_best_median_and_worst_clips_by_the_last_row(exp):
    page = page_of(exp)
    shown = [a["aria-label"] for a in page.of("section") if a.get("class") == "clip"]
    assert shown == [f"Clip {clip(n)}" for n in (CLIPS - 1, (CLIPS - 1) // 2 + 1, 0)]
    assert all(word in page.text for word in ("best", "median", "worst")) and "asked for" not in page.text


def test_wanted_clips_come_first(exp):
    page = page_of(exp, clips=[clip(0), clip(2)], each=2)
    shown = [a["aria-label"].split()[1] for a in page.of("section") if a.get("class") == "clip"]
    assert shown[:2] == [clip(0), clip(2)] and len(shown) == len(set(shown))
    assert page_of(exp, each=0, clips=[clip(1)]).text.count("asked for") == 1


def test_clips_without_the_ranking_score_are_shown_as_such():
    unscored = {name: FileScores(name) for name in "abc"}
    assert choose(unscored, "estoi", True, 2, ["c"]) == {"c": "asked for", "a": "not ranked", "b": "not ranked"}


def test_every_system_can_be_heard_without_loss(exp):
    page = page_of(exp, each=0, clips=[clip(2)])
    sounds = page.data("sounds-1")
    radios = [a for a in page.of("input") if a["type"] == "radio"]
    assert len(sounds) == len(radios) == len(LEVELS) and [a["value"] for a in radios] == list("0123")
    utterance = next(u for u in read_manifest(exp.parents[1] / "data/test") if u.id == clip(2))
    for row, sound in zip(LEVELS, sounds, strict=True):
        decoded, rate = soundfile.read(io.BytesIO(base64.b64decode(sound)), dtype="float32")
        path = utterance.audio if row == "ground_truth" else exp / "synth" / row / f"{utterance.id}.wav"
        assert rate == 24000 and np.array_equal(decoded, read_audio(path, 24000))


def test_strip_and_spectrograms_have_the_clips_time(exp):
    page = page_of(exp, each=0, clips=[clip(2)])
    utterance = next(u for u in read_manifest(exp.parents[1] / "data/test") if u.id == clip(2))
    pictures = [Image.open(io.BytesIO(base64.b64decode(a["src"].partition(",")[2]))) for a in page.of("img")]
    strip, *spectrograms = pictures
    assert strip.size == (72 * 16, 72)
    assert {picture.size for picture in spectrograms} == {(utterance.frames * 4, 80)} and len(spectrograms) == 4
    brightness = [np.asarray(picture).mean() for picture in spectrograms]
    truth, copied, scratch, pretrained = brightness
    assert truth > copied > pretrained > scratch  # as loud as LEVELS


def test_numbers_logs_ledger_and_config_are_there(exp):
    page = page_of(exp)
    for text in (
        "ESTOI ↑ 0.535",
        "pre-trained − from scratch",
        "50 min 00 s",
        "+0.200 +0.200 to +0.200",
        "0.5 s",
        "1 copied",
        "2×3",
        "copied, look-ahead 7 -> 0",
    ):
        assert text in page.text, text
    assert "steps: 7" in page.text and "made_from" not in page.text
    lines = [a["d"] for a in page.of("path") if a.get("class", "").startswith("line")]
    assert max(line.count("L") for line in lines) < 240 and not any("nan" in line for line in lines)
    dots = [a for a in page.of("circle") if a["class"] == "dot"]
    assert len(dots) == 2 * 3 * CLIPS  # metrics, rows with scores of clips


def test_ledgers_of_earlier_versions_have_no_source(exp):
    path = exp / "transfer/ledger.json"
    ledger = json.loads(path.read_text())
    del ledger["entries"][0]["source"]
    path.write_text(json.dumps(ledger))
    assert "1 copied" in page_of(exp).text


def test_the_config_is_compared_with_its_bases(exp, tiny):
    changed = tiny.parent / "changed.yaml"
    changed.write_text(yaml.safe_dump({"base": tiny.name, "seed": 5, "pretrain": {"steps": 9}}))
    page = page_of(exp, config=changed)
    start = page.text.index("What changed.yaml and --set give")
    table = page.text[start : page.text.index("The whole config")]
    assert "finetune.steps 4 7 --set" in table
    assert "pretrain.steps 4 4" not in table  # the experiment's own value counts, which is that of the base
    assert "seed default 1 --set" in table


def test_breakdowns_are_tables(exp):
    page = page_of(exp)
    start = page.text.index("By talker")
    assert page.text[start:].startswith("By talker system talker n ESTOI WER % ground truth s0 4 ")
    assert "By word of the sentence" in page.text and "| ---" not in page.text


def test_text_is_escaped(exp):
    page = page_of(exp)
    assert not [a for a in page.of("b") if a.get("id")] and "of <b>a test</b>" in page.text
    assert page.text.count("</script>") > 0


def test_several_experiments_are_in_one_page(tmp_path, tiny, exp):
    other = scored_experiment(tmp_path, tiny, "other")
    write_report(tmp_path / "both.html", [exp, other])
    page = ParsedPage(tmp_path / "both.html")
    page.check_whole()
    assert "tiny: pre-trained" in page.text and "other: pre-trained" in page.text
    assert len(page.data("sounds-1")) == 2 * len(LEVELS) - 1  # one row of ground truth


def test_a_report_without_data_and_speech_still_has_the_scores(exp, tmp_path):
    page = page_of(exp, work_dir=tmp_path / "nowhere")
    page.check_whole()
    assert "name the recipe's folder with --work_dir" in page.text and "0.535" in page.text


def test_what_does_not_exist_is_named(exp, tmp_path):
    for folder, choice, message in [
        (tmp_path, {}, "has no results.json with scores; stage 6 makes it"),
        (exp, {"clips": ["s1-3009"]}, "did you mean"),
        (exp, {"clips": ["s1-3001"], "work_dir": tmp_path / "nowhere"}, "name the recipe's folder with --work_dir"),
        (exp, {"metric": "estoy"}, "did you mean 'estoi'"),
        (exp, {"each": -1}, "--each -1"),
    ]:
        with pytest.raises(UserError, match=message):
            write_report(tmp_path / "page.html", [folder], Choice(**choice))
    assert not (tmp_path / "page.html").exists()


def test_the_command_names_the_page(exp, capsys):
    assert main(["report", str(exp), "--metric", "wer"]) == 0
    assert f"report: {exp / 'report.html'}" in capsys.readouterr().out
    assert "Ranked by WER" in ParsedPage(exp / "report.html").text
