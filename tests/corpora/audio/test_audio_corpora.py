"""The audio-only corpora, each on a miniature of its official layout, from its archive to a trained model."""

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from tests.conftest import ISTFT, ROOT, TINY, stages
from v2skit.corpora.audio.common_voice import CommonVoice
from v2skit.corpora.audio.hifi_tts import HifiTts
from v2skit.corpora.audio.librispeech import LibriSpeech
from v2skit.corpora.audio.libritts import LibriTts
from v2skit.corpora.audio.ljspeech import LjSpeech
from v2skit.corpora.audio.mls import Mls
from v2skit.corpora.audio.spoken_wikipedia import SpokenWikipedia, _pieces
from v2skit.corpora.audio.vctk import Vctk
from v2skit.corpora.audio_corpus import drawn, estimate_hours
from v2skit.data.data_dir import read_manifest
from v2skit.errors import UserError
from v2skit.media.audio import read_audio

SAID = "Don't panic: it's No. 5!"
WORDS = "DON'T PANIC IT'S NO 5"


def hum(path: Path, seconds: float = 0.52, rate: int = 24000) -> Path:
    """An audio file that the recipes' filters keep, in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, round(seconds * rate)), rate)
    return path


def lay(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def librispeech(folder: Path) -> None:
    for part, speaker in (("train-clean-100", 19), ("dev-clean", 84), ("test-clean", 61)):
        chapter, names = folder / f"LibriSpeech/{part}/{speaker}/198", [f"{speaker}-198-000{n}" for n in range(4)]
        for name in names:
            hum(chapter / f"{name}.flac", rate=16000)
        lay(chapter / f"{speaker}-198.trans.txt", "".join(f"{name} {WORDS}\n" for name in names))


def libritts(folder: Path) -> None:
    for part, speaker in (("train-clean-360", 14), ("dev-other", 116), ("test-other", 367)):
        chapter, names = folder / f"LibriTTS/{part}/{speaker}/208", [f"{speaker}_208_00000{n}_000000" for n in range(4)]
        for name in names:
            hum(chapter / f"{name}.wav")
            lay(chapter / f"{name}.normalized.txt", SAID)
        lay(chapter / f"{speaker}_208.trans.tsv", "".join(f"{name}\traw\t{SAID}\n" for name in names))


def vctk(folder: Path) -> None:
    for speaker in ("p225", "s5"):
        for number in ("001", "002", "003"):
            for microphone in (1, 2):
                name = f"{speaker}/{speaker}_{number}"
                hum(folder / f"VCTK-Corpus-0.92/wav48_silence_trimmed/{name}_mic{microphone}.flac", rate=48000)
            lay(folder / f"VCTK-Corpus-0.92/txt/{name}.txt", SAID + "\n")


def ljspeech(folder: Path) -> None:
    names = [f"LJ001-000{n}" for n in range(1, 7)]
    for name in names:
        hum(folder / f"LJSpeech-1.1/wavs/{name}.wav", rate=22050)
    lay(folder / "LJSpeech-1.1/metadata.csv", "".join(f'{name}|"raw|{SAID}\n' for name in names))


def hifi_tts(folder: Path) -> None:
    for reader, quality in ((92, "clean"), (11614, "other")):
        for part in ("train", "dev", "test"):
            files = [f"audio/{reader}_{quality}/10425/windfairies_00_{part}_000{n}.flac" for n in range(3)]
            for file in files:
                hum(folder / "hi_fi_tts_v0" / file, rate=44100)
            rows = [{"audio_filepath": file, "text": "raw", "text_normalized": SAID} for file in files]
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            lay(folder / f"hi_fi_tts_v0/{reader}_manifest_{quality}_{part}.json", lines)


def common_voice(folder: Path) -> None:
    heads = "client_id\tpath\tsentence_id\tsentence\tup_votes\n"
    tables = {"validated": "aaabbcc", "dev": "b", "test": "c"}
    for part, speakers in tables.items():
        rows = [(s * 64, f"common_voice_en_{s}{speakers[:i].count(s)}.mp3") for i, s in enumerate(speakers)]
        for _, name in rows:
            hum(folder / "en/clips" / name, rate=32000)
        lay(folder / f"en/{part}.tsv", heads + "".join(f'{s}\t{name}\t0\t"{SAID}\t2\n' for s, name in rows))


def mls(folder: Path) -> None:
    for part, speaker in (("train", 10148), ("dev", 10226), ("test", 10367)):
        names = [f"{speaker}_10119_00000{n}" for n in range(4)]
        for name in names:
            hum(folder / f"mls_polish/{part}/audio/{speaker}/10119/{name}.flac", rate=16000)
        lay(folder / f"mls_polish/{part}/transcripts.txt", "".join(f"{name}\t{SAID.lower()}\n" for name in names))


def spoken_wikipedia(folder: Path) -> None:
    for article, reader in (("Ant", "Jane Doe"), ("Ant (film)", "")):
        place = folder / "english" / article
        for number in (1, 2):
            hum(place / f"audio{number}.ogg", seconds=10, rate=44100)
        lay(place / "info.json", json.dumps({"audio_files": [{"offset": 0.0}, {"offset": 10.0}]}))
        spans = [(1.0, 2.5), (2.7, 4.7), (11.0, 13.0), (9.5, 10.5)]  # the last is in both files
        sentence = "".join(
            f'<s><t>No.<n pronunciation="number" start="{a * 1000:.0f}" end="{a * 1000 + 200:.0f}"/></t>'
            f'<t>5<n pronunciation="five" start="{b * 1000 - 200:.0f}" end="{b * 1000:.0f}"/></t><t>.</t></s>'
            for a, b in spans
        )
        half = '<s><t>a<n pronunciation="a" start="6000" end="6100"/></t><t>b<n pronunciation="b"/></t></s>'
        meta = f'<meta><prop key="reader.name" value="{reader}"/></meta>'
        lay(place / "aligned.swc", f"<article>{meta}<d><p>{sentence}{half}</p></d></article>")


class Case:
    """A corpus: its class, its miniature, the arguments that go with it, and what is in ``audio`` of that."""

    def __init__(self, corpus, make, speakers: set[str], utterances: int, text: str | None = WORDS, **arguments):
        self.corpus, self.make, self.speakers, self.utterances = corpus, make, speakers, utterances
        self.text, self.arguments = text, arguments


CASES = {
    "librispeech": Case(LibriSpeech, librispeech, {"19"}, 4),
    "libritts": Case(LibriTts, libritts, {"14"}, 4),
    "vctk": Case(Vctk, vctk, {"p225", "s5"}, 4),
    "ljspeech": Case(LjSpeech, ljspeech, {"lj"}, 4),
    "hifi_tts": Case(HifiTts, hifi_tts, {"92", "11614"}, 6),
    "common_voice": Case(CommonVoice, common_voice, {"a" * 16}, 3),
    "mls": Case(Mls, mls, {"10148"}, 4, language="polish"),
    "spoken_wikipedia": Case(SpokenWikipedia, spoken_wikipedia, {"jane_doe", "ant_film"}, 8, None),
}
BY_NAME = pytest.mark.parametrize("name", CASES)


def build(name: str, folder: Path, **more):
    case = CASES[name]
    return case.corpus(folder, "corpus", **{"held_out": 1, **case.arguments, **more})


@BY_NAME
def test_the_official_layout(name, tmp_path):
    case = CASES[name]
    case.make(tmp_path / "corpus")
    corpus = build(name, tmp_path)
    splits = corpus.splits()
    assert list(splits) == ["audio", "audio_valid", "audio_test"]
    assert [len(found) for found in splits.values()] == [case.utterances, 1, 1]
    everything = [utterance for found in splits.values() for utterance in found]
    assert {s.speaker for s in splits["audio"]} == case.speakers
    assert all(s.id.startswith(f"{s.speaker}-") and s.id.split() == [s.id] and "/" not in s.id for s in everything)
    assert len({s.id for s in everything}) == len(everything)
    assert all(s.audio.is_file() and not s.video for s in everything)
    if case.text:
        assert {s.text for s in everything} == {case.text}
    assert splits == build(name, tmp_path).splits(), "and again"
    message = corpus.obtain()
    assert message.startswith(f"{case.corpus.title} at {tmp_path / 'corpus'}: ") and "audio_valid 1" in message
    assert "\n" not in message and "about 0.0 h" in message


@BY_NAME
def test_the_folder_below_will_do(name, tmp_path):
    CASES[name].make(tmp_path / "corpus")
    (below,) = (tmp_path / "corpus").iterdir()
    whole, inside = build(name, tmp_path), CASES[name].corpus(tmp_path, str(below), held_out=1, **CASES[name].arguments)
    assert whole.splits() == inside.splits()


@BY_NAME
def test_what_is_missing_is_named(name, tmp_path):
    case = CASES[name]
    (tmp_path / "empty").mkdir()
    for folder, message in (("", "no corpus given"), ("nowhere", "is not a folder"), ("empty", "has no ")):
        with pytest.raises(UserError, match=message) as error:
            case.corpus(tmp_path, folder, **case.arguments).obtain()
        assert case.corpus.info.remedy in str(error.value) and "--corpus_dir" in str(error.value)
    case.make(tmp_path / "corpus")
    for path in (tmp_path / "corpus").rglob("*"):
        if path.suffix in (".wav", ".flac", ".mp3", ".ogg"):
            path.unlink()
    with pytest.raises(UserError, match="no audio files"):
        build(name, tmp_path).splits()


@BY_NAME
def test_download_is_offered_for_freely_available_corpora(name, tmp_path):
    case = CASES[name]
    assert ("{download}" in case.corpus.info.where) == bool(case.corpus.archives)
    for archive in case.corpus.archives.values():
        assert archive.url.startswith("https://") and len(archive.sha256 or "0" * 64) == 64
    if case.corpus.archives:
        assert case.corpus(tmp_path, download=True).directory == tmp_path / "corpus"
        assert not case.corpus(tmp_path, "c").download


@BY_NAME
def test_the_recipe_has_the_same_figures(name):
    info = CASES[name].corpus.info
    text = (ROOT / f"egs/{name}/README.md").read_text(encoding="utf-8")
    assert f"| size | {info.hours:,g} h; speakers: " in text
    assert all(f"| {part} | {count:,} |" in text for part, count in info.counts.items())


def test_parts(tmp_path):
    librispeech(tmp_path / "corpus")
    corpus = build("librispeech", tmp_path, parts=["train-clean-100", "dev-clean", "test-clean"])
    splits = corpus.splits()
    assert len(splits["audio"]) == 10 and not {s.id for s in splits["audio"]} & {s.id for s in splits["audio_test"]}
    assert "missing or not in parts: train-clean-360, train-other-500, dev-other, test-other" in corpus.obtain()
    with pytest.raises(UserError, match="lacks train-clean-360, which parts names"):
        build("librispeech", tmp_path, parts=["train-clean-100", "train-clean-360"]).obtain()
    with pytest.raises(UserError, match="no part 'train-clean-10'; did you mean 'train-clean-100'"):
        build("librispeech", tmp_path, parts=["train-clean-10"])
    with pytest.raises(UserError, match="held_out 0"):
        LibriSpeech(tmp_path, "corpus", held_out=0)


def test_a_part_is_fetched_once(tmp_path, monkeypatch):
    fetched = []
    monkeypatch.setattr("v2skit.corpora.audio_corpus.fetch", lambda archive, folder: fetched.append(archive.name))
    librispeech(tmp_path / "corpus")
    (tmp_path / "corpus/dev-clean.tar.gz").touch()  # unpacking was interrupted
    build("librispeech", tmp_path, parts=["train-clean-100"], download=True).obtain()
    assert fetched == ["dev-clean.tar.gz", "dev-other.tar.gz", "test-other.tar.gz"]
    fetched.clear()
    build("librispeech", tmp_path).obtain()
    assert not fetched
    hifi_tts(tmp_path / "corpus")
    build("hifi_tts", tmp_path, download=True).obtain()
    assert not fetched


def test_held_out_utterances_do_not_depend_on_what_else_is_there(tmp_path):
    ljspeech(tmp_path / "corpus")
    first = build("ljspeech", tmp_path).splits()
    hum(tmp_path / "corpus/LJSpeech-1.1/wavs/LJ001-0099.wav")
    changed = [s for s in build("ljspeech", tmp_path).splits()["audio_valid"] if s not in first["audio_valid"]]
    assert all(s.id.endswith("0099") for s in changed)


def test_speakers_to_test_are_not_trained_on(tmp_path):
    common_voice(tmp_path / "corpus")
    splits = build("common_voice", tmp_path).splits()
    held_out = {s.speaker for s in (*splits["audio_valid"], *splits["audio_test"])}
    assert held_out == {"b" * 16, "c" * 16} and not {s.speaker for s in splits["audio"]} & held_out
    (tmp_path / "corpus/en/dev.tsv").write_text("path\tsentence\n")
    with pytest.raises(UserError, match="no column 'client_id'"):
        build("common_voice", tmp_path).splits()


def test_microphones_and_older_releases(tmp_path):
    vctk(tmp_path / "corpus")
    assert {s.audio.stem[-4:] for s in build("vctk", tmp_path, microphone=2).splits()["audio"]} == {"mic2"}
    with pytest.raises(UserError, match="microphone 3"):
        build("vctk", tmp_path, microphone=3)
    hum(tmp_path / "old/wav48/p226/p226_001.wav")
    hum(tmp_path / "old/wav48/p226/p226_002.wav")
    hum(tmp_path / "old/wav48/p226/p226_003.wav")
    assert {s.speaker for s in Vctk(tmp_path, "old").splits()["audio"]} == {"p226"}


def test_mls_takes_so_many_hours(tmp_path):
    lines = [f"1_2_{n:06d}" for n in range(400)]
    for line in lines:
        path = tmp_path / f"corpus/mls_polish_opus/train/audio/1/2/{line}.opus"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    lay(tmp_path / "corpus/mls_polish_opus/train/transcripts.txt", "".join(f"{line}\tword\n" for line in lines))
    found = sum(map(len, build("mls", tmp_path, hours=103.65 / 2).splits().values()))
    assert 170 < found < 230 and sum(map(len, build("mls", tmp_path, hours=None).splits().values())) == 400
    with pytest.raises(UserError, match="did you mean 'polish'"):
        build("mls", tmp_path, language="polsh")
    with pytest.raises(UserError, match="hours 0"):
        build("mls", tmp_path, hours=0)


def test_hifi_manifests_that_are_cut_are_named(tmp_path):
    hifi_tts(tmp_path / "corpus")
    path = tmp_path / "corpus/hi_fi_tts_v0/92_manifest_clean_train.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(UserError, match="92_manifest_clean_train.json:3 names no file"):
        build("hifi_tts", tmp_path).splits()


def test_articles_are_cut_at_sentences(tmp_path):
    spoken_wikipedia(tmp_path / "corpus")
    splits = build("spoken_wikipedia", tmp_path).splits()
    pieces = sorted((s for found in splits.values() for s in found if s.speaker == "jane_doe"), key=lambda s: s.id)
    spans = [(s.audio.stem, round(s.start, 2), round(s.end, 2), s.text) for s in pieces]
    assert spans == [
        ("audio1", 0.8, 2.6, "NUMBER FIVE"),
        ("audio1", 2.6, 4.9, "NUMBER FIVE"),
        ("audio1", 4.9, 10.0, None),
        ("audio2", 0.8, 3.2, "NUMBER FIVE"),
        ("audio2", 3.2, 10.0, None),
    ]
    single = build("spoken_wikipedia", tmp_path, unaligned=False).splits()
    assert {s.text for found in single.values() for s in found} == {"NUMBER FIVE"}
    (tmp_path / "corpus/english/Ant/aligned.swc").write_text("<article>")
    assert re.search(r"can't be read: 1, e.g. .*Ant/aligned.swc", build("spoken_wikipedia", tmp_path).obtain())


def test_pieces_cover_a_recording_without_overlap():
    random = np.random.default_rng(1)
    starts = np.sort(random.uniform(0, 300, 40))
    sentences = [(float(s), float(s + random.uniform(0.5, 9)), "word") for s in starts]
    pieces = list(_pieces(sentences, 320.0))
    assert all(a < b for a, b, _ in pieces)
    assert all(p[1] <= q[0] + 1e-9 for p, q in pairwise(pieces))
    assert pieces[-1][1] <= 320 and sum(b - a for a, b, _ in pieces) > 300
    assert all(b - a <= 12 + 1e-9 for a, b, text in pieces if not text)
    assert list(_pieces([], 30.0)) == [(0.0, 10.0, ""), (10.0, 20.0, ""), (20.0, 30.0, "")]


def test_hours_are_estimated(tmp_path, monkeypatch):
    ljspeech(tmp_path / "corpus")
    utterances = [s for found in build("ljspeech", tmp_path).splits().values() for s in found]
    assert estimate_hours(utterances) * 3600 == pytest.approx(6 * 0.52, rel=1e-3)
    monkeypatch.setattr("v2skit.corpora.audio_corpus.SAMPLE", 2)
    assert estimate_hours(utterances) * 3600 == pytest.approx(6 * 0.52, rel=1e-3)
    assert estimate_hours([]) == 0 and len(drawn(utterances, 4)) == 4 == len({s.id for s in drawn(utterances, 4)})
    utterances[0].audio.write_text("no sound")
    assert estimate_hours(utterances) > 0


@BY_NAME
def test_every_stage_of_a_vocoder(name, tmp_path):
    """The recipe's own config, with tiny networks: from the corpus to the table."""
    CASES[name].make(tmp_path / "corpus")
    tiny = {key: TINY[key] for key in ("networks", "pretrain")}
    tiny["networks"] = {**tiny["networks"], "speaker": {"type": "none"}}
    small = {"multi_resolution_stft": {"type": "log_mel", "weight": 1.0}}
    arguments = {"corpus_dir": str(tmp_path / "corpus"), "held_out": 2, **CASES[name].arguments}
    config = {
        "base": str(ROOT / f"egs/{name}/conf/vocoder_istft.yaml"),
        **tiny,
        "corpus": arguments,
        "vocoder": ISTFT,
        "losses": small,
        "prepare": {"jobs": 1},
        "scoring": {"bootstrap": 100, "jobs": 1, "metrics": dict.fromkeys(("pesq_wb", "pesq_nb", "estoi", "mcd"))},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    names = ("obtain", "prepare", "pretrain", "transfer", "finetune", "synth", "score")
    assert stages(tmp_path, tmp_path / "tiny.yaml", *names) == 0
    lengths = {s.id: s.end - s.start if s.end else 0.52 for s in build(name, tmp_path, held_out=2).splits()["audio"]}
    utterances = read_manifest(tmp_path / "data/audio")
    assert {u.id for u in utterances} == set(lengths)
    for utterance in utterances:
        assert len(read_audio(utterance.audio, 24000)) == 960 * utterance.frames
        assert abs(utterance.frames - 25 * lengths[utterance.id]) <= 2
    assert "copy_synthesis" in (tmp_path / "exp/tiny/results.json").read_text()
