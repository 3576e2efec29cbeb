"""Downloads from a server on loopback whose connections break."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from v2skit.corpora import download as module
from v2skit.corpora.download import download
from v2skit.errors import UserError

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves ``content``; as many responses as ``breaks`` has items end after that many bytes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.breaks, self.ranges, self.status, self.tag = CONTENT, [], True, 200, '"one"'
        self.asked: list[str | None] = []
        self.sent = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/data.bin"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        wanted, same = self.headers.get("Range"), self.headers.get("If-Range", server.tag) == server.tag
        server.asked.append(wanted)
        if server.status != 200:
            return self.send_error(server.status)
        start = int(re.match(r"bytes=(\d+)-", wanted)[1]) if wanted and same and server.ranges else 0
        if start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", server.tag)
        self.end_headers()
        body = body[: server.breaks.pop(0)] if server.breaks else body
        server.sent += len(body)
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.0)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def left(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize("check", [{"sha256": SHA256}, {"md5": MD5}, {"size": len(CONTENT)}, {}])
def test_a_broken_download_resumes(server, tmp_path, check):
    server.breaks = [1000, 100_000, 0]
    path = download(server.url, tmp_path / "data.bin", **check)
    assert path.read_bytes() == CONTENT and left(tmp_path) == ["data.bin"]
    assert server.asked == [None, "bytes=1000-", "bytes=101000-", "bytes=101000-"] and server.sent == len(CONTENT)


def test_another_run_resumes(server, tmp_path, monkeypatch):
    server.breaks = [7000] + [0] * 10
    with pytest.raises(UserError, match=r"can't be reached .*5 attempts.*resumes after 0.0 MB"):
        download(server.url, tmp_path / "data.bin", SHA256)
    assert len(server.asked) == 5 and left(tmp_path) == ["data.bin.part", "data.bin.part.tag"]
    server.breaks, server.sent = [], 0
    assert download(server.url, tmp_path / "data.bin", SHA256).read_bytes() == CONTENT
    assert server.sent == len(CONTENT) - 7000
    download(server.url, tmp_path / "data.bin", SHA256)
    assert len(server.asked) == 6, "an existing file is not downloaded again"


def test_a_complete_part_is_not_downloaded_again(server, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(CONTENT)
    assert download(server.url, tmp_path / "data.bin", SHA256).read_bytes() == CONTENT and server.sent == 0


@pytest.mark.parametrize("change", ["no ranges", "another file", "a shorter file"])
def test_a_part_of_another_file_is_downloaded_from_the_beginning(server, tmp_path, change):
    server.breaks = [5000]
    (tmp_path / "data.bin.part").write_bytes(CONTENT + b"more" if change == "a shorter file" else b"x" * 5000)
    if change != "a shorter file":
        (tmp_path / "data.bin.part.tag").write_text('"another"' if change == "another file" else '"one"')
    server.ranges = change != "no ranges"
    assert download(server.url, tmp_path / "data.bin", SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ({"sha256": "0" * 64}, f"has sha256 {SHA256}, published is 0000.*is deleted; run the same command again"),
        ({"md5": "0" * 32}, f"has md5 {MD5}"),
        ({"size": 3}, "has 256000 bytes, published is 3"),
    ],
)
def test_a_wrong_checksum_is_an_error_and_deletes_the_file(server, tmp_path, check, message):
    with pytest.raises(UserError, match=message):
        download(server.url, tmp_path / "data.bin", **check)
    assert not left(tmp_path)


def test_a_missing_file_is_requested_once(server, tmp_path):
    server.status = 404
    with pytest.raises(UserError, match="answers 404 .*by hand"):
        download(server.url, tmp_path / "data.bin")
    assert len(server.asked) == 1
    server.status = 503
    with pytest.raises(UserError, match="5 attempts"):
        download(server.url, tmp_path / "data.bin")
    assert len(server.asked) == 6


def test_no_network_and_no_address(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.0)
    with pytest.raises(UserError, match="can't be reached .*check the network, then run the same command"):
        download("http://127.0.0.1:9/data.bin", tmp_path / "data.bin")
    with pytest.raises(UserError, match="no http address"):
        download("file:///etc/passwd", tmp_path / "data.bin")


def test_a_full_disk_is_an_error_before_and_during(server, tmp_path, monkeypatch):
    usage = module.shutil._ntuple_diskusage(100, 50, 1000)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match="is full: 0.00 GB are missing.*free some space.*it resumes"):
        download(server.url, tmp_path / "data.bin")
    monkeypatch.undo()

    def full(*arguments):
        raise OSError(module.errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_copy", full)
    with pytest.raises(UserError, match="is full"):
        download(server.url, tmp_path / "data.bin")
