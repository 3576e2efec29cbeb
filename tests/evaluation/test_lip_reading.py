"""Error rates of hypotheses read from silent videos, in results.json and results.md."""

import pytest

from tests.evaluation.test_report import rows, written  # noqa: F401  the fixture
from v2skit.evaluation.lip_reading import Hypothesis, summarise

REFERENCE = "bin blue at f two now"


def read(*texts, reference=REFERENCE):
    return [Hypothesis(f"u{number}", text, reference) for number, text in enumerate(texts)]


def test_error_rates_are_pooled_over_characters_and_words():
    found = summarise({"ctc": {"pretrained": [*read(REFERENCE), Hypothesis("x", "bin", "bit")]}}, [], 50, 1)
    rates = found["ctc"]["rows"]["pretrained"]
    assert rates["cer"]["mean"] == pytest.approx(100 / (len(REFERENCE) + 3), abs=1e-6)
    assert rates["wer"]["mean"] == pytest.approx(100 / 7, abs=1e-6) and rates["wer"]["n"] == 2
    assert rates["cer"]["low"] == 0 and rates["cer"]["high"] == pytest.approx(100 / 3, abs=1e-6)
    assert found["ctc"]["differences"] == {}


def test_an_empty_hypothesis_is_all_deletions_and_a_clip_without_transcript_is_left_out():
    hypotheses = [*read(""), Hypothesis("untranscribed", "bin", "")]
    rates = summarise({"ctc": {"scratch": hypotheses}}, [], 50, 1)["ctc"]["rows"]["scratch"]
    assert rates["cer"]["mean"] == rates["wer"]["mean"] == 100 and rates["cer"]["n"] == 1
    rates = summarise({"ctc": {"scratch": hypotheses[1:]}}, [], 50, 1)["ctc"]["rows"]["scratch"]
    assert rates["cer"] == {"mean": None, "low": None, "high": None, "n": 0}


def test_the_report_has_a_table_for_each_head(rows, tmp_path):  # noqa: F811  pytest gives the fixture
    better, worse = read(*[REFERENCE] * 8), read(*["bin glue at f two now"] * 8)
    results, page = written(rows, tmp_path, readings={"ctc": {"scratch": worse, "pretrained": better}})
    found = results["lip_reading"]["ctc"]
    assert found["rows"]["scratch"]["wer"]["mean"] == pytest.approx(100 / 6, abs=1e-6)
    assert found["differences"]["pretrained - scratch"]["wer"]["high"] < 0
    assert "## Lip reading by head ctc" in page and "| system | CER % ↓ | WER % ↓ |" in page
    assert "| pre-trained | 0.0 [0.0, 0.0] | 0.0 [0.0, 0.0] |" in page
    assert "pre-trained minus from scratch: CER % -4.8 [-4.8, -4.8], 8 files: clear for this seed; WER % -16.7" in page
    assert "lip_reading" not in written(rows, tmp_path)[0]
