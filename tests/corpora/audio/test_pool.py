"""Several audio corpora as one: overlap, excluded speakers and hours."""

import pytest
import yaml

from tests.conftest import ROOT, TINY, stages
from tests.corpora.audio.test_audio_corpora import WORDS, hum, lay, libritts, ljspeech, vctk
from v2skit.config.load import load_config
from v2skit.corpora.audio.audio_folder import AudioFolder
from v2skit.corpora.audio.hifi_tts import HifiTts
from v2skit.corpora.audio.librispeech import LibriSpeech
from v2skit.corpora.audio.libritts import LibriTts
from v2skit.corpora.audio.ljspeech import LjSpeech
from v2skit.corpora.audio.pool import Pool
from v2skit.corpora.audio.vctk import Vctk
from v2skit.data.data_dir import read_manifest
from v2skit.errors import UserError
from v2skit.registry import plugins
from v2skit.registry.build import build


def chapter(folder, name, part, reader, number, utterances=3):
    """A chapter of LibriSpeech or LibriTTS."""
    mark, suffix = ("-", "flac") if name == "LibriSpeech" else ("_", "wav")
    for n in range(utterances):
        hum(folder / f"{name}/{part}/{reader}/{number}" / f"{mark.join((reader, number, f'000{n}'))}.{suffix}")


def test_names_are_prefixed(tmp_path):
    ljspeech(tmp_path / "lj")
    vctk(tmp_path / "vctk")
    pool = Pool(tmp_path, {"lj": LjSpeech(tmp_path, "lj", held_out=1), "vctk": Vctk(tmp_path, "vctk", held_out=1)})
    splits = pool.splits()
    assert {name: len(found) for name, found in splits.items()} == {"audio": 8, "audio_valid": 2, "audio_test": 2}
    assert {s.speaker for s in splits["audio"]} == {"lj-lj", "vctk-p225", "vctk-s5"}
    everything = [s for found in splits.values() for s in found]
    assert len({s.id for s in everything}) == 12 and all(s.id.startswith(f"{s.speaker}-") for s in everything)
    first, *rest = pool.obtain().splitlines()
    assert first == "pool of 2 corpora: about 0.0 h; audio 8, audio_valid 2, audio_test 2"
    assert rest[0] == "  lj: about 0.0 h, 6 utterances; published are 24 h" and "published are 44 h" in rest[1]


def test_the_hours_are_checked_against_the_published_ones(tmp_path, monkeypatch):
    ljspeech(tmp_path / "lj")
    for hours, expected in ((23.9, False), (20.0, True)):
        monkeypatch.setattr("v2skit.corpora.audio.pool.estimate_hours", lambda utterances, hours=hours: hours)
        message = Pool(tmp_path, {"lj": LjSpeech(tmp_path, "lj")}).obtain()
        assert f"about {hours:.1f} h" in message and ("published are 24 h" in message) == expected


def test_a_chapter_in_two_corpora_is_used_once(tmp_path):
    for reader, number in (("19", "198"), ("19", "227"), ("26", "495")):
        chapter(tmp_path / "a", "LibriSpeech", "train-clean-100", reader, number)
    for reader, number in (("19", "198"), ("19", "300"), ("27", "495")):
        chapter(tmp_path / "b", "LibriTTS", "train-clean-100", reader, number)
    corpora = {"speech": LibriSpeech(tmp_path, "a", held_out=1), "tts": LibriTts(tmp_path, "b", held_out=1)}
    monkey = {"audio_valid": [], "audio_test": []}
    for corpus in corpora.values():  # otherwise held-out utterances exclude their speakers from the other corpus
        everything = [s for found in corpus.splits().values() for s in found]
        corpus.splits = lambda found=everything: {"audio": found, **monkey}
    ids = {s.id.rpartition("-")[0] for s in Pool(tmp_path, corpora).splits()["audio"]}
    assert ids == {"speech-19-198", "speech-19-227", "speech-26-495", "tts-19-300", "tts-27-495"}
    assert "tts: about 0.0 h, 6 utterances, without 3 (also in speech)" in Pool(tmp_path, corpora).obtain()


def test_without_chapters_the_speaker_is_used_once(tmp_path):
    lines = ""
    for part in ("train", "dev", "test"):
        file = f"audio/92_clean/10425/wind_{part}.flac"
        hum(tmp_path / "a" / file)
        lines = f'{{"audio_filepath": "{file}"}}\n'
        lay(tmp_path / f"a/92_manifest_clean_{part}.json", lines)
    for reader, number in (("92", "198"), ("19", "198")):
        chapter(tmp_path / "b", "LibriTTS", "train-clean-100", reader, number, 20)
    corpora = {"hifi": HifiTts(tmp_path, "a"), "tts": LibriTts(tmp_path, "b", held_out=1)}
    splits = Pool(tmp_path, corpora).splits()
    assert {s.speaker for s in splits["audio"]} == {"hifi-92", "tts-19"}


def test_held_out_speakers_are_excluded_from_training_in_all_corpora(tmp_path):
    chapter(tmp_path / "a", "LibriSpeech", "train-clean-100", "19", "1")
    chapter(tmp_path / "a", "LibriSpeech", "train-clean-100", "61", "2", 9)
    chapter(tmp_path / "a", "LibriSpeech", "dev-clean", "84", "3")
    chapter(tmp_path / "a", "LibriSpeech", "test-clean", "85", "3")
    chapter(tmp_path / "b", "LibriTTS", "test-clean", "61", "4")
    chapter(tmp_path / "b", "LibriTTS", "dev-clean", "62", "4")
    chapter(tmp_path / "b", "LibriTTS", "train-clean-100", "14", "4")
    corpora = {"speech": LibriSpeech(tmp_path, "a"), "tts": LibriTts(tmp_path, "b")}
    pool = Pool(tmp_path, corpora)
    assert {s.speaker for s in pool.splits()["audio"]} == {"speech-19", "tts-14"}
    assert "without 9 (their speakers held out in another corpus)" in pool.obtain()


def test_speakers_can_be_excluded(tmp_path):
    vctk(tmp_path / "vctk")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/talkers.txt").write_text("vctk-p225\n\nvctk-s5-001\n")
    pool = Pool(tmp_path, {"vctk": Vctk(tmp_path, "vctk")}, exclude=["lists/talkers.txt"])
    assert {s.id for found in pool.splits().values() for s in found} == {"vctk-s5-002", "vctk-s5-003"}
    assert "without 4 (excluded)" in pool.obtain()
    with pytest.raises(UserError, match="no corpus has 'vctk-p226'; did you mean 'vctk-p225'"):
        Pool(tmp_path, {"vctk": Vctk(tmp_path, "vctk")}, exclude=["vctk-p226"]).obtain()
    with pytest.raises(UserError, match="talker.txt is not a file"):
        Pool(tmp_path, {"vctk": Vctk(tmp_path, "vctk")}, exclude=["lists/talker.txt"])


def test_a_missing_corpus_is_named(tmp_path):
    with pytest.raises(UserError, match=r"corpora.vctk: .*--set corpus.corpora.vctk=null leaves it out") as error:
        Pool(tmp_path, {"vctk": Vctk(tmp_path, "vctk")}).obtain()
    with pytest.raises(UserError, match=r"corpora.vctk: .*corpora.vctk=null leaves it out"):
        Pool(tmp_path, {"vctk": Vctk(tmp_path, "vctk")}).splits()
    key = "--set corpus.corpora.vctk"
    assert f"{key}.download=true, or give its folder with {key}.corpus_dir=DIR" in str(error.value)
    folder = Pool(tmp_path, {"own": AudioFolder(tmp_path, ["nowhere"])})
    with pytest.raises(UserError, match=r"corpora.own: audio folder .* --set corpus.corpora.own.OPTION=VALUE sets"):
        folder.obtain()
    with pytest.raises(UserError, match="corpora is empty"):
        Pool(tmp_path, {})


def test_the_recipe_runs_without_some_corpora(tmp_path):
    """egs/audio3500h's own config, without four of its corpora, and with a tiny network."""
    if not [e for e in plugins.registry().entries("corpus") if e.name == "pool"]:
        plugins.registry().add("corpus", "pool", "v2skit.corpora.audio.pool:Pool", "v2skit")
    libritts(tmp_path / "all/libritts")
    vctk(tmp_path / "all/vctk")
    recipe = ROOT / "egs/audio3500h/conf/mel.yaml"
    corpora = load_config(recipe).corpus.args["corpora"]
    assert list(corpora) == ["hifi_tts", "libritts", "common_voice", "spoken_wikipedia", "vctk", "ljspeech"]
    absent = dict.fromkeys(set(corpora) - {"libritts", "vctk"})
    small = {key: TINY[key] for key in ("networks", "vocoder", "pretrain")}
    config = {"base": str(recipe), **small, "corpus": {"corpus_dir": "all", "corpora": absent}, "prepare": {"jobs": 1}}
    config["networks"] = {**small["networks"], "speaker": {"type": "none"}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    assert stages(tmp_path, tmp_path / "tiny.yaml", "obtain", "prepare", "pretrain") == 0
    found = read_manifest(tmp_path / "data/audio")
    assert {u.speaker for u in found} == {"libritts-14", "vctk-p225", "vctk-s5"}
    assert WORDS in {u.text for u in found}
    assert isinstance(build("corpus", load_config(recipe).corpus, work_dir=tmp_path), Pool)


def test_another_recipe_trains_on_prepared_data(tmp_path):
    """``data.pretrain`` names data directories of other recipes by their way from its own data folder."""
    from tests.conftest import make_data

    make_data(tmp_path / "egs/vctk/data/audio", video=False)
    make_data(tmp_path / "egs/mine/data/train", seed=1)
    make_data(tmp_path / "egs/mine/data/valid", 3, seed=2)
    config = {**TINY, "data": {"pretrain": ["train", "../../vctk/data/audio"]}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    assert stages(tmp_path / "egs/mine", tmp_path / "tiny.yaml", "pretrain", "transfer", "finetune") == 0
