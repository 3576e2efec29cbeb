"""Hostile clients of ``v2skit serve``: slow ones, other sites, and uploads that are not what they seem."""

from __future__ import annotations

import errno
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests.cases.test_hostile_media import SCRIPTS, jumping
from tests.conftest import ROOT
from tests.media_files import every, make_video
from tests.web.page_server import Humming, page_server
from tests.web.test_serve import SERVER, ask, connect, form, wait_for
from v2skit.system.temporary import remove_abandoned
from v2skit.web import app, connections, worker
from v2skit.web.limits import Limits
from v2skit.web.serve import LOCAL_HOSTS


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def video(tmp_path) -> bytes:
    return make_video(tmp_path / "clip.mp4", every(25, 0.4)).read_bytes()


def raw(address: str, data: bytes) -> socket.socket:
    """A connection that has sent some bytes."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(data)
    return connection


def test_uploads_that_name_files_of_the_machine_are_refused(tmp_path, temporary):
    secret = make_video(tmp_path / "secret.mp4", every(25, 0.4))
    with page_server(Humming()) as address:
        for script in SCRIPTS.values():
            for name in ("a.m3u8", "a.mp4", "a.ffconcat"):
                answer = ask(address, form(script(str(secret)).encode(), name))[-1]
                assert answer["error"].startswith(f"{name} is "), answer
    assert not list(temporary.iterdir())


ORIGINS = [  # headers, and whether the request is served; SAME is the address of the page
    ({}, True),
    ({"Origin": "SAME"}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "SAME"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
    ({"Origin": "http://other.example"}, False),
    ({"Origin": "null"}, False),
    ({"Origin": ""}, False),
    ({"Origin": "http://[::1"}, False),
    ({"Origin": "http://127.0.0.1"}, False),
    ({"Origin": "http://localhost.other.example:80"}, False),
    ({"Origin": "http://other.example", "Sec-Fetch-Site": "none"}, False),
    ({"Origin": "SAME", "Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),
]


def test_pages_of_other_sites_are_refused(video):
    with page_server(Humming(), hosts=LOCAL_HOSTS) as address:
        for headers, served in ORIGINS:
            sent = {key: address if value == "SAME" else value for key, value in headers.items()}
            answer = ask(address, form(video), **sent)[-1]
            assert "text" in answer if served else "Other sites" in answer["error"], headers


def test_slow_connections_are_closed_and_keep_nobody_out(video, monkeypatch):
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.5)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 20)
    monkeypatch.setattr(app, "UPLOAD_SECONDS", 1.0)
    body = form(video)
    kind = f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(body)}"
    head = f"POST /synthesise HTTP/1.1\r\nHost: a\r\n{kind}\r\n\r\n".encode()
    heads = [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ", head, head + body[:100]]
    with page_server(Humming()) as address:
        slow = [raw(address, heads[number % len(heads)]) for number in range(100)]
        assert "text" in ask(address, body)[-1]
        end = time.monotonic() + 8
        for connection in slow:
            connection.settimeout(max(0.1, end - time.monotonic()))
            try:
                while connection.recv(1000):
                    pass
            except ConnectionResetError:
                pass
            connection.close()
        assert "text" in ask(address, body)[-1]


def test_a_slow_upload_is_refused_with_the_reason(video, monkeypatch):
    monkeypatch.setattr(app, "UPLOAD_SECONDS", 0.3)

    def trickle():
        for byte in form(video)[:40]:
            yield bytes([byte])
            time.sleep(0.05)

    with page_server(Humming()) as address:
        assert "too slow" in ask(address, trickle())[-1]["error"]


def test_waiting_requests_are_limited(video, monkeypatch):
    monkeypatch.setattr(worker, "MAX_WAITING", 2)
    with page_server(Humming(before=lambda path: time.sleep(0.5))) as address:
        waiting = [connect(address, form(video)) for _ in range(5)]
        answers = [connection.getresponse() for connection in waiting]
        statuses = sorted(answer.status for answer in answers)
        assert statuses[0] == 200 and statuses[-1] == 503
        assert b"Too many videos" in next(answer for answer in answers if answer.status == 503).read()
        for answer in answers:
            answer.read()
        assert "text" in ask(address, form(video))[-1]


def test_small_uploads_that_decode_to_much_are_refused(tmp_path, video):
    Image.new("L", (5000, 4000), 7).save(tmp_path / "large.png")
    Image.new("L", (9000, 9000), 7).save(tmp_path / "huge.png")
    soundfile.write(tmp_path / "long.flac", np.zeros(5000), 1)
    jump = jumping(tmp_path / "jump.mkv", 3e7).read_bytes()
    model, started = Humming(accepts_recording=True), []
    model.before = started.append
    with page_server(model) as address:
        for name in ("large.png", "huge.png"):
            answer = ask(address, form((tmp_path / name).read_bytes()))[-1]
            assert "too large" in answer["error"] or "larger than" in answer["error"]
        recording = (tmp_path / "long.flac").read_bytes()
        assert "recording is too long" in ask(address, form(video, recording=recording))[-1]["error"]
        assert "too long" in ask(address, form(jump, "jump.mkv"))[-1]["error"]
        assert not started
    with page_server(Humming(), limits=Limits(seconds=10**9)) as address:
        assert "jump.mkv has frame times that jump" in ask(address, form(jump, "jump.mkv"))[-1]["error"]


def within_an_instant(path: Path, count: int) -> bytes:
    """A video with so many frames, of which a model sees one or two."""
    return make_video(path, np.arange(count) / 12800).read_bytes()


def test_frames_that_are_never_shown_are_limited(tmp_path, video, temporary):
    with page_server(Humming(), limits=Limits(seconds=1)) as address:
        answer = ask(address, form(within_an_instant(tmp_path / "many.mp4", 600)))[-1]
        assert answer == {"error": "The video has too many frames: the limit is 500; give it a lower frame rate."}
        assert "text" in ask(address, form(within_an_instant(tmp_path / "most.mp4", 500)))[-1]
        assert "text" in ask(address, form(video))[-1]
    assert not list(temporary.iterdir())


class LeavesAfter(threading.Event):
    """Set when it has been asked so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("times", [1, 40, 200])
def test_frames_that_are_never_shown_are_decoded_for_nobody(tmp_path, times):
    disconnected, events = LeavesAfter(times), queue.Queue()
    within_an_instant(tmp_path / "many.mp4", 400)
    served = worker.Worker(Humming(), Limits())
    with (tmp_path / "many.mp4").open("rb") as file:
        served.submit({"video": worker.Upload(file, "many.mp4")}, None, disconnected, events.put)
        while "done" in (last := events.get(timeout=20)):
            pass
    assert last == {"error": "The page was stopped before the speech was finished."} and disconnected.left == -1


def test_a_full_disk_is_one_sentence(video, monkeypatch, temporary, capfd):
    class Full(tempfile.SpooledTemporaryFile):
        def rollover(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("starlette.formparsers.SpooledTemporaryFile", Full)
    with page_server(Humming()) as address:
        response = connect(address, form(bytes(20_000_000))).getresponse()
        assert response.status == 507
        said = json.load(response)["error"]
        assert said.startswith("The server can't store the upload (No space left on device); free some disk space")
        assert "text" in ask(address, form(video))[-1]
    assert "No space left" in capfd.readouterr().err


def test_an_upload_that_would_wait_too_long_is_refused_before_it_is_read(video, monkeypatch):
    monkeypatch.setattr(worker, "MAX_WAITING", 0)
    monkeypatch.setattr(app, "_form", lambda *_: pytest.fail("it is read"))
    with page_server(Humming()) as address:
        response = connect(address, form(video + bytes(5_000_000))).getresponse()
        assert response.status == 503 and "Too many videos" in json.load(response)["error"]


def test_the_next_start_removes_what_a_killed_server_left(video, temporary, tmp_path):
    (temporary / ".v2skit-serve.part").write_text("of another program")
    (temporary / "other").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (temporary / ".serve.v2skit-00000000.part").symlink_to(tmp_path / "elsewhere")
    (temporary / "v2skit-serve-recordings").mkdir()
    (temporary / "v2skit-serve-thesis_1").mkdir()
    (temporary / "v2skit-serve-thesis_1/thesis.tex").touch()
    (temporary / "v2skit-serve-link0000").symlink_to(tmp_path / "elsewhere")
    kept = set(temporary.iterdir())
    (temporary / "v2skit-serve-a1_b2c3d").mkdir()  # of a killed server of version 0.1
    (temporary / "v2skit-serve-a1_b2c3d/video.mp4").touch()
    environment = {**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )
    try:
        connect(process.stdout.readline().split()[4].rstrip(";"), form(video))
        assert process.stdout.readline() == "working\n"
        (left,) = set(temporary.iterdir()) - kept
        assert left.name.startswith(".serve.v2skit-")
        remove_abandoned(temporary)
        assert list(left.iterdir())  # of a running server
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    finally:
        process.kill()
    assert list(left.iterdir())
    with page_server(Humming()):
        assert set(temporary.iterdir()) == kept
    assert (tmp_path / "elsewhere").exists()


def test_no_folder_is_left_by_many_requests(video, temporary):
    with page_server(Humming()) as address:
        for body in (
            form(video),
            form(b""),
            form(b"\0" * 5000, "a\0b"),
            form(video, "a/../../b.mp4"),
            form(video[:300]),
        ):
            ask(address, body)
        assert wait_for(lambda: not list(temporary.iterdir()))
