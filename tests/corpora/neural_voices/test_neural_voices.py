"""The corpus of neural voices, with tones instead of the voices: what is made, resumed, extended and refused."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from tests.conftest import ROOT, TINY, stages
from tests.miniatures import clip, register
from v2skit.corpora.audio.pool import Pool
from v2skit.corpora.grid_grammar import jsgf, unrecorded_codes
from v2skit.corpora.neural_voices.corpus import INDEX, RECORD, NeuralVoices
from v2skit.corpora.neural_voices.kokoro import SAMPLE_RATE, VOICES
from v2skit.corpora.neural_voices.sentences import grid_sentences, plan
from v2skit.data.data_dir import read_manifest
from v2skit.errors import UserError
from v2skit.testing import check_corpus

HOUR = 3600
TEXT = "Don't panic.\n\nIt's No. 5!\nBread, and butter.\n"


@dataclass(frozen=True)
class Tones:
    """A tenth of a second of noise a word, whose level is that of the voice. What ``calls`` names counts the calls."""

    folder: Path
    calls: str = "calls"
    version: int = 1
    fails_after: int = 1000

    def synthesise(self, sentence, voice, isolated):
        with (self.folder / self.calls).open("a") as file:
            file.write(f"{voice} {sentence} {isolated}\n")
        if len(self.said()) > self.fails_after:
            raise KeyboardInterrupt
        generator = np.random.default_rng(list(sentence.encode()))
        level = (1 + VOICES.index(voice)) / 100
        return generator.uniform(-level, level, len(sentence.split()) * SAMPLE_RATE // 10).astype(np.float32)

    def made_of(self, voices):
        return {"version": self.version, "sha256": dict.fromkeys(voices, "0" * 64)}

    def said(self):
        path = self.folder / self.calls
        return path.read_text().splitlines() if path.exists() else []


class ToneCorpus(NeuralVoices):
    make_voices = Tones


def corpus(folder, hours=10 / HOUR, make=Tones, **arguments):
    (folder / "tones").mkdir(exist_ok=True)
    made = ToneCorpus(folder, hours=hours, kokoro_js_dir="tones", **{"held_out": 2, "jobs": 1, **arguments})
    made.make_voices = make
    return made


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def everything(made):
    return sorted((s for found in made.splits().values() for s in found), key=lambda s: s.id)


def test_the_contract(tmp_path):
    check_corpus(lambda: corpus(tmp_path))


def test_sentences_of_the_grid_grammar(tmp_path):
    made = corpus(tmp_path)
    message = made.obtain()
    # Six words of 0.1 s a sentence: 17 sentences have 10 s, in the first 17 voices.
    assert message.startswith(f"neural voices at {tmp_path / 'corpus'}: 17 utterances of 17 speakers, about 0.0 h")
    assert {name: len(found) for name, found in made.splits().items()} == {
        "audio": 15, "audio_valid": 1, "audio_test": 1,
    }  # fmt: skip
    utterances = everything(made)
    assert [s.speaker for s in utterances] == list(VOICES[:17]) and made.grammar() == jsgf()
    codes = [s.id.partition("-")[2] for s in utterances]
    assert len(set(codes)) == 17 and set(codes) <= set(unrecorded_codes())
    assert all(soundfile.info(s.audio).duration == pytest.approx(0.6) and len(s.text.split()) == 6 for s in utterances)
    assert all(line.endswith(" True") for line in Tones(tmp_path / "tones").said()), "words are isolated"
    record = json.loads((tmp_path / "corpus" / RECORD).read_text())
    assert record["packages.version"] == 1 and record["settings.seed"] == 0
    assert record[f"packages.sha256.{VOICES[0]}"] == "0" * 64


def test_sentences_of_a_file(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    voices = ("bm_lewis", "af_sky")
    made = corpus(tmp_path, 1.5 / HOUR, text="text.txt", voices=list(voices))
    made.obtain()
    assert made.grammar() is None
    # Three sentences of 0.8 s, then again in the other voice.
    texts = {1: "DON'T PANIC", 3: "IT'S NO 5", 4: "BREAD AND BUTTER"}
    found = {(s.id, s.speaker, s.text) for s in everything(made)}
    assert found == {(f"{voice}-{line:06d}", voice, text) for voice in voices for line, text in texts.items()}
    assert "af_sky Bread, and butter. False" in Tones(tmp_path / "tones").said()


def test_more_processes_make_the_same(tmp_path):
    for jobs in (1, 2):
        folder = tmp_path / str(jobs)
        folder.mkdir()
        corpus(folder, jobs=jobs).obtain()
    one, two = (contents(tmp_path / jobs / "corpus") for jobs in "12")
    assert one.keys() <= two.keys() and one == {path: two[path] for path in one}  # two have begun some more


def test_it_resumes_and_grows(tmp_path):
    tones = Tones(tmp_path / "tones")
    with pytest.raises(KeyboardInterrupt):
        corpus(tmp_path, make=lambda folder: replace(tones, fails_after=5)).obtain()
    assert not (tmp_path / "corpus" / INDEX).exists()
    with pytest.raises(UserError, match=r"has no utterances.tsv; stage 0 synthesises it"):
        corpus(tmp_path).splits()
    corpus(tmp_path).obtain()
    assert len(tones.said()) == 17 + 1, "the sixth twice"
    first = everything(corpus(tmp_path))
    corpus(tmp_path).obtain()
    assert len(tones.said()) == 18
    corpus(tmp_path, 20 / HOUR).obtain()
    longer = everything(corpus(tmp_path, 20 / HOUR))
    assert len(tones.said()) == 34 + 1 and len(longer) == 34 and set(first) < set(longer)
    assert everything(corpus(tmp_path)) == first, "fewer hours are the first of more"


def test_nothing_is_needed_where_it_is_complete(tmp_path):
    corpus(tmp_path).obtain()

    def refuse(folder):
        raise AssertionError

    assert "17 utterances" in corpus(tmp_path, make=refuse).obtain()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": 1}, r"was made with other settings \(seed\)"),
        ({"voices": ["af_sky"]}, r"was made with other settings \(voices\)"),
        ({"text": "text.txt"}, r"was made with other settings \(text\)"),
        (
            {"hours": 1, "make": lambda folder: Tones(folder, version=2)},
            r"other packages \(packages.version\); install those that made_of.json names",
        ),
    ],
)
def test_another_corpus_is_not_mixed_in(tmp_path, arguments, message):
    (tmp_path / "text.txt").write_text(TEXT)
    corpus(tmp_path).obtain()
    before = contents(tmp_path / "corpus")
    with pytest.raises(UserError, match=f"{message}.*delete this one.*--corpus_dir"):
        corpus(tmp_path, **arguments).obtain()
    assert contents(tmp_path / "corpus") == before


def test_files_of_unknown_origin_are_refused(tmp_path):
    corpus(tmp_path).obtain()
    (tmp_path / "corpus" / RECORD).unlink()
    with pytest.raises(UserError, match="has no made_of.json, which says what made its files"):
        corpus(tmp_path).obtain()


def test_a_text_that_is_too_short(tmp_path):
    (tmp_path / "text.txt").write_text("One two three.\n")
    with pytest.raises(UserError, match=r"1 sentences in 2 voices are 0.000167 h, not 0.00277778; set hours to less"):
        corpus(tmp_path, text="text.txt", voices=["af_sky", "am_adam"]).obtain()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hours": 0}, "hours 0 must be above 0"),
        ({"hours": float("nan")}, "hours nan must be above 0"),
        ({"voices": ["af_bela"]}, "no voice 'af_bela'; did you mean 'af_bella'"),
        ({"voices": []}, "voices is empty"),
        ({"voices": ["af_sky", "af_sky"]}, "names a voice twice"),
        ({"jobs": -1}, "must not be negative"),
        ({"text": "nowhere.txt"}, "nowhere.txt can't be read .*; give a UTF-8 text file"),
        ({"text": "empty.txt"}, "empty.txt is empty"),
        ({"text": "dots.txt"}, "dots.txt:2 has no words; delete that line"),
        ({"text": "long.txt"}, "long.txt:1 has 500 characters; divide it into lines of 400"),
        ({"text": "latin.txt"}, "latin.txt can't be read"),
    ],
)
def test_mistakes_are_named_at_once(tmp_path, arguments, message):
    for name, text in {"empty.txt": "\n", "dots.txt": "one\n...\n", "long.txt": "a " * 249 + "ab"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(UserError, match=message):
        corpus(tmp_path, **arguments).obtain()


def test_the_plan_repeats_a_sentence_in_other_voices_only():
    sentences, voices = grid_sentences()[:30], VOICES[:7]
    planned = list(plan(sentences, voices, seed=3))
    assert len(planned) == 210 == len(set(planned)) and [voice for voice, _ in planned[:7]] == list(voices)
    assert {sentence for _, sentence in planned[:30]} == set(sentences)
    assert planned[:30] != list(plan(sentences, voices, seed=4))[:30]


def test_a_damaged_index_is_named(tmp_path):
    corpus(tmp_path).obtain()
    (tmp_path / "corpus" / INDEX).write_text("af_sky-bbaf2n\tsix\tBIN\n")
    with pytest.raises(UserError, match=r"utterances.tsv is damaged .*; delete it"):
        corpus(tmp_path).obtain()
    (tmp_path / "corpus" / INDEX).unlink()
    assert "17 utterances" in corpus(tmp_path).obtain()


def test_it_can_be_in_a_pool(tmp_path):
    pool = Pool(tmp_path, {"neural": corpus(tmp_path)})
    assert "17 utterances" in pool.obtain()
    assert everything(pool)[0].speaker == f"neural-{VOICES[0]}"


def test_the_grid_recipe_pre_trains_on_it(tmp_path):
    """With the voices in the table of speakers; the clips of GRID are mouth crops."""
    names = [f"bbaf{digit}{adverb}" for digit in "123456789z" for adverb in "anps"]
    for name in names:
        clip(tmp_path / f"grid/s1/{name}.mp4")
    register("tone_corpus", f"{ToneCorpus.__module__}:ToneCorpus")
    (tmp_path / "tones").mkdir()
    config = {
        "base": str(ROOT / "egs/grid/conf/mel.yaml"),
        "corpus": {"corpus_dir": "grid"},
        "audio_corpus": {"type": "tone_corpus", "hours": 10 / HOUR, "kokoro_js_dir": "tones", "jobs": 1},
        "data": {"pretrain": ["s1/train", "audio"]},
        "tracker": {"type": "none"},
        "networks": TINY["networks"],
        "pretrain": TINY["pretrain"],
        "prepare": {"jobs": 1},
        "scoring": {"asr": None, "metrics": dict.fromkeys(("pesq_wb", "pesq_nb"))},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    assert stages(tmp_path, tmp_path / "tiny.yaml", "obtain", "prepare", "pretrain") == 0
    assert len(read_manifest(tmp_path / "data/audio")) == 15
    log = (tmp_path / "exp/tiny/pretrain/log.jsonl").read_text().splitlines()
    assert any(json.loads(line).get("step") == 4 for line in log)
