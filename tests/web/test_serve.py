"""The page's server: what it answers, what it refuses, and that it keeps nothing."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import av
import pytest
import soundfile

from tests.conftest import ROOT
from tests.media_files import every, make_video
from tests.web.page_server import Humming, page_server
from v2skit.errors import UserError
from v2skit.web.limits import Limits
from v2skit.web.serve import LOCAL_HOSTS, serve

for package in ("starlette", "uvicorn", "python_multipart"):
    pytest.importorskip(package, reason=f"{package} is missing; pip install 'v2skit[serve]'")

BOUNDARY = "limit-of-parts"


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    """Where the server puts what it needs for a while."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def video(tmp_path) -> Path:
    return make_video(tmp_path / "clip.mp4", every(25, 0.8))


def form(video: bytes, name: str = "clip.mp4", voice: str | None = None, recording: bytes | None = None) -> bytes:
    parts = [(f'name="video"; filename="{name}"', video)]
    parts += [('name="voice"', voice.encode())] if voice is not None else []
    parts += [('name="recording"; filename="voice.wav"', recording)] if recording is not None else []
    body = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + data + b"\r\n"
        for head, data in parts
    )
    return body + f"--{BOUNDARY}--\r\n".encode()


def connect(address: str, body, **headers) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **headers}
    connection.request("POST", "/synthesise", body, headers)
    return connection


def ask(address: str, body, **headers) -> list[dict]:
    """The lines of an answer."""
    response = connect(address, body, **headers).getresponse()
    return [json.loads(line) for line in response.read().decode().splitlines()]


def wait_for(condition) -> bool:
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_a_video_is_processed_and_nothing_of_it_is_kept(video, temporary):
    seen = []
    model = Humming(before=lambda path: seen.extend([path.read_bytes(), *temporary.iterdir()]))
    with page_server(model) as address:
        *events, answer = ask(address, form(video.read_bytes()))
        assert seen[0] == video.read_bytes() and len(seen) == 2
        assert not list(temporary.iterdir())
    assert events[0] == {"done": 0.0, "total": None} and events[-1]["done"] == 0.8
    sound, rate = soundfile.read(io.BytesIO(base64.b64decode(answer["sound"])))
    assert (len(sound), rate) == (20 * 960, 24000)
    assert all(base64.b64decode(answer[name]).startswith(b"\x89PNG") for name in ("spectrogram", "track"))
    assert answer["text"] == "0.80 s of speech; no face was found in 25.0% of the frames."


def test_the_page_says_what_the_model_was_made_for():
    with page_server(Humming()) as address:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
        connection.request("GET", "/model")
        assert json.load(connection.getresponse())["made_for"] == "Hum: tones"


@pytest.mark.parametrize(("rate", "samples"), [(16000, 640), (22050, 882), (44100, 1764), (48000, 1920)], ids=str)
def test_pictures_of_any_sample_rate_have_about_100_frames_a_second(rate, samples):
    from v2skit.config.features import Clock
    from v2skit.web.worker import _mel

    mel = _mel(Clock(rate, 25))
    assert mel.per_frame(Clock(rate, 25)) == samples / mel.hop and 95 < rate / mel.hop < 200


def test_an_error_names_the_file_as_the_user_does(temporary):
    with page_server(Humming()) as address:
        for name in ("notes.mp4", "../../no tes", "x." + "y" * 300):
            sentence = ask(address, form(b"this is no video", name))[-1]["error"]
            assert sentence.startswith(f"{name} is no media file") and str(temporary) not in sentence
    assert not list(temporary.iterdir())


def test_too_large_and_too_long_are_refused_before_the_work(video, tmp_path, temporary):
    started = []
    model, limits = Humming(before=started.append), Limits(1, 1)
    body = form(b"x" * 1_000_001)
    chunks = (body[start : start + 50_000] for start in range(0, len(body), 50_000))  # of unstated length
    with page_server(model, limits=limits) as address:
        assert "the limit is 1 MB" in ask(address, body)[0]["error"]
        assert "the limit is 1 MB" in ask(address, chunks)[0]["error"]
        longer = make_video(tmp_path / "longer.mp4", every(25, 1.2)).read_bytes()
        assert "the limit is 1 s" in ask(address, form(longer))[-1]["error"]
        assert not started
        assert "text" in ask(address, form(video.read_bytes()))[-1]
    assert not list(temporary.iterdir())


def test_a_video_that_hides_its_length_is_stopped_at_the_limit(tmp_path):
    hidden = tmp_path / "hidden.mkv"
    longer = make_video(tmp_path / "longer.mkv", every(25, 1.2))
    with av.open(str(longer)) as given, av.open(str(hidden), "w", options={"live": "1"}) as live:
        stream = live.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                live.mux(packet)
    started = []
    with page_server(Humming(before=started.append), limits=Limits(seconds=1)) as address:
        *events, answer = ask(address, form(hidden.read_bytes(), "hidden.mkv"))
    assert "the limit is 1 s" in answer["error"] and started and events[-1]["done"] == 1.0


def test_an_internal_error_is_one_sentence_for_the_user_and_a_traceback_in_the_terminal(video, temporary, capfd):
    def burst(path):
        raise ZeroDivisionError("a secret")

    with page_server(Humming(before=burst)) as address:
        answer = ask(address, form(video.read_bytes()))[-1]
    assert answer == {"error": "Sorry, this video can't be processed; the terminal of v2skit serve shows the reason."}
    assert "ZeroDivisionError: a secret" in capfd.readouterr().err
    assert not list(temporary.iterdir())


def test_the_page_lists_the_voices_and_names_the_default():
    for voices in (["s1", "s2"], []):
        with page_server(Humming(voices)) as address, urllib.request.urlopen(f"{address}/model", timeout=20) as answer:
            about = json.load(answer)
        assert about["voices"] == voices and about["default_voice"] == (voices[0] if voices else None)


def test_voices_are_the_models_or_a_recording_that_it_takes(video):
    data, model = video.read_bytes(), Humming(["s1"])
    with page_server(model, tracker="tracker") as address:
        assert "text" in ask(address, form(data, voice="s1"))[-1]
        assert "text" in ask(address, form(data, voice=""))[-1]
        assert "no voice '/etc/hostname'" in ask(address, form(data, voice="/etc/hostname"))[-1]["error"]
        assert "accepts no recording" in ask(address, form(data, recording=b"sound"))[-1]["error"]
    assert model.requests == [("s1", "tracker"), (None, "tracker")]
    model = Humming(accepts_recording=True)
    with page_server(model) as address:
        assert "text" in ask(address, form(data, recording=b"sound"))[-1]
    assert model.requests[0][0].name == "recording.wav"


def test_forms_of_another_kind_are_refused(video):
    with page_server(Humming()) as address:
        assert ask(address, form(b"").replace(b'"video"', b'"other"'))[0]["error"].startswith("Give a video")
        assert "can't be read" in ask(address, b"nonsense", **{"Content-Type": "multipart/form-data"})[0]["error"]


def test_other_sites_can_not_use_the_page(video):
    with page_server(Humming(), hosts=LOCAL_HOSTS) as address:
        assert "text" in ask(address, form(video.read_bytes()))[-1]
        assert "Other sites" in ask(address, form(video.read_bytes()), **{"Sec-Fetch-Site": "cross-site"})[0]["error"]
        response = connect(address, form(video.read_bytes()), Host="other.example").getresponse()
        assert response.status == 400 and response.read() == b"Invalid host header"


def test_one_video_at_a_time(video):
    at_once, most = [], []

    def work(path):
        at_once.append(path)
        most.append(len(at_once))
        time.sleep(0.05)
        at_once.remove(path)

    with page_server(Humming(before=work)) as address:
        threads = [threading.Thread(target=ask, args=(address, form(video.read_bytes()))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == [1, 1, 1]


def test_processing_stops_when_the_user_has_left(video, temporary):
    working, left = threading.Event(), threading.Event()

    def work(path):
        working.set()
        left.wait(10)
        time.sleep(0.3)  # until the server has seen it

    model = Humming(before=work)
    with page_server(model) as address:
        connection = connect(address, form(video.read_bytes()))
        assert working.wait(10)
        connection.sock.close()
        left.set()
        assert wait_for(lambda: not list(temporary.iterdir()))
        assert not model.requests
        assert "text" in ask(address, form(video.read_bytes()))[-1]


SERVER = """
import sys, time
from pathlib import Path
from v2skit.synthesis import synthesiser
from tests.web.page_server import Humming
from v2skit.web.serve import serve

class Slow(Humming):
    def synthesise(self, video, voice=None, tracker=None, progress=None, decoded=None):
        print("working", flush=True)
        for second in range(100):
            progress(second, 100)
            time.sleep(0.1)

synthesiser.load = lambda path, device, vocoder: Slow()
serve(Path("model.v2s"), port=0, max_seconds=1000)
print("ended", flush=True)
"""


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_work_and_leaves_nothing(video, temporary, sig):
    environment = {**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", SERVER], **pipes, env=environment, cwd=ROOT)
    try:
        line = process.stdout.readline()
        assert line.startswith("the page is at http://127.0.0.1:"), line
        connection = connect(line.split()[4].rstrip(";"), form(video.read_bytes()))
        assert process.stdout.readline() == "working\n" and list(temporary.iterdir())
        process.send_signal(sig)
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    lines = connection.getresponse().read().decode().splitlines()
    assert "was stopped" in json.loads(lines[-1])["error"]
    assert (output, errors) == ("ended\n" if sig == signal.SIGINT else "", "Hum: tones\n")
    assert not list(temporary.iterdir())


def test_a_used_port_wrong_limits_and_a_missing_package_are_reported(monkeypatch):
    monkeypatch.setattr("v2skit.synthesis.synthesiser.load", lambda *_, **__: pytest.fail("too early"))
    with page_server(Humming()) as address, pytest.raises(UserError, match="port .* give another --host or --port"):
        serve(Path("model.v2s"), port=int(address.rpartition(":")[2]))
    with pytest.raises(UserError, match="give another"):
        serve(Path("model.v2s"), port=70000)
    with pytest.raises(UserError, match="must be positive"):
        serve(Path("model.v2s"), max_seconds=0)
    for name in [name for name in sys.modules if name.startswith("v2skit.web.") or name == "uvicorn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UserError, match=r"pip install 'v2skit\[serve\]'"):
        serve(Path("model.v2s"), port=0)
