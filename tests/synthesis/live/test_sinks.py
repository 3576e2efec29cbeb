"""Samples arrive as they were given, in a file, on standard output or at a sound device."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from v2skit.errors import UserError
from v2skit.synthesis.live.sinks import open_sink

RATE = 24000
SOUND = np.linspace(-1.5, 1.5, 1000, dtype=np.float32)
HEARD = np.clip(SOUND, -1, 1)


@pytest.mark.parametrize("name", ["speech.wav", "speech.flac", "new/folder/speech.wav"])
def test_a_file_is_there_once_the_run_ends(tmp_path, name):
    path = tmp_path / name
    with open_sink(str(path), RATE) as sink:
        for piece in np.array_split(SOUND, 7):
            sink(piece)
        assert not path.exists()
    samples, rate = soundfile.read(path)
    assert rate == RATE and samples == pytest.approx(HEARD, abs=1e-4)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert soundfile.info(path).subtype == "PCM_16"


def test_an_error_leaves_no_half_file(tmp_path):
    with pytest.raises(ValueError), open_sink(str(tmp_path / "speech.wav"), RATE) as sink:
        sink(SOUND)
        raise ValueError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["speech.wav", "speech.flac"])
def test_what_was_written_is_kept_where_writing_fails(tmp_path, monkeypatch, name):
    write, pieces = soundfile.SoundFile.write, []

    def fails(file, samples):
        pieces.append(samples)
        if len(pieces) == 2:
            raise soundfile.LibsndfileError(2)
        write(file, samples)

    monkeypatch.setattr(soundfile.SoundFile, "write", fails)
    with open_sink(str(tmp_path / name), RATE) as sink:
        sink(SOUND)
        with pytest.raises(UserError, match=r"can't be written: .*; the speech so far is kept$"):
            sink(SOUND)
    assert soundfile.read(tmp_path / name)[0] == pytest.approx(HEARD, abs=1e-4)


@pytest.mark.parametrize("name", ["speech.mp3", "speech", "folder/"])
def test_other_files_are_refused(name):
    with pytest.raises(UserError, match="a .wav or .flac file, to device, or to -"), open_sink(name, RATE):
        pass


def test_raw_samples_are_two_bytes_each(monkeypatch):
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=out))
    with open_sink("-", RATE) as sink:
        sink(SOUND[:400])
        assert len(out.getvalue()) == 800  # at once
        sink(SOUND[400:])
    assert np.frombuffer(out.getvalue(), "<i2") / 32767 == pytest.approx(HEARD, abs=1e-4)


class Sounddevice:
    """Stands in for the package."""

    class PortAudioError(Exception):
        pass

    def __init__(self, known=("speaker",)):
        self.known, self.played, self.asked, self.state = known, [], None, "closed"

    def query_devices(self):
        outputs = [{"name": name, "max_output_channels": 2} for name in self.known]
        return [*outputs, {"name": "microphone", "max_output_channels": 0}]

    def OutputStream(self, samplerate, device, channels, dtype, latency):
        if not self.known or device not in (None, *self.known):
            raise (ValueError if self.known else self.PortAudioError)(f"No output device matching {device!r}")
        self.asked = samplerate, device, channels, dtype
        return self

    def write(self, samples):
        assert samples.dtype == np.float32 and samples.shape[1] == 1 and samples.flags.c_contiguous
        self.played.append(samples[:, 0].copy())

    def start(self):
        self.state = "open"

    def __enter__(self):
        assert self.state == "open"

    def __exit__(self, *error):
        self.state = "closed"


@pytest.mark.parametrize(("name", "device"), [("device", None), ("device:speaker", "speaker")])
def test_a_device_plays_what_it_is_given(monkeypatch, name, device):
    package = Sounddevice()
    monkeypatch.setitem(sys.modules, "sounddevice", package)
    with open_sink(name, RATE) as sink:
        assert package.state == "open" and package.asked == (RATE, device, 1, "float32")
        for piece in np.array_split(HEARD, 3):
            sink(piece)
    assert package.state == "closed" and np.array_equal(np.concatenate(package.played), HEARD)


def test_a_device_that_is_unplugged_is_a_sentence(monkeypatch):
    package = Sounddevice()
    monkeypatch.setitem(sys.modules, "sounddevice", package)
    with open_sink("device", RATE) as sink:
        sink(HEARD)
        monkeypatch.setattr(package, "write", lambda samples: (_ for _ in ()).throw(package.PortAudioError("gone")))
        with pytest.raises(UserError, match=r"^the sound device fails \(gone\); is it still connected\?$"):
            sink(HEARD)
    assert package.state == "closed"


def test_devices_that_are_not_there_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", Sounddevice())
    with (
        pytest.raises(UserError, match="can't be opened .*'loud'.*; available: speaker$"),
        open_sink("device:loud", RATE),
    ):
        pass
    monkeypatch.setitem(sys.modules, "sounddevice", Sounddevice(()))
    with pytest.raises(UserError, match="available: none"), open_sink("device", RATE):
        pass


def test_a_missing_package_names_the_extra_and_a_missing_library_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UserError, match=r"pip install 'v2skit\[stream\]'"), open_sink("device", RATE):
        pass
    monkeypatch.delitem(sys.modules, "sounddevice")
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match="library not found.*libportaudio2"), open_sink("device", RATE):
        pass
