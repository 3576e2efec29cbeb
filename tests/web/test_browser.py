"""The page in a headless Chromium: its controls and results, and that it connects to no other server."""

from __future__ import annotations

import threading
from urllib.parse import urlsplit

import pytest
import soundfile

import v2skit
from tests.headless import headless_chromium
from tests.media_files import every, make_video
from tests.web.page_server import Humming, page_server
from v2skit.registry.component import Component
from v2skit.web.worker import Limits

for package in ("starlette", "uvicorn", "python_multipart"):
    pytest.importorskip(package, reason=f"{package} is missing; pip install 'v2skit[serve]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing; pip install playwright")

SHOWN = "e => e.complete && e.naturalWidth > 300 && e.naturalHeight > 100"
DROPPED = "data => { const t = new DataTransfer(); t.items.add(new File([new Uint8Array(data)], 'a.mp4')); return t }"
WEBCAM = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="module")
def browser():
    with headless_chromium(*WEBCAM) as started:
        yield started


@pytest.fixture
def page(browser):
    """A page that notes whom it asks and what goes wrong in its script."""
    page = browser.new_page()
    page.set_default_timeout(15_000)
    page.asked, page.wrong = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda message: page.wrong.append(message.text) if message.type == "error" else None)
    yield page
    assert page.wrong == []
    assert {urlsplit(url).hostname for url in page.asked if not url.startswith(("blob:", "data:"))} <= {"127.0.0.1"}
    page.close()


def wait_until(page, condition: str) -> None:
    """Waits for a condition in JavaScript; the page's own policy keeps Playwright from doing that."""
    for _ in range(150):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"waited in vain for {condition}")


def wait_for_speech(page) -> float:
    """Waits until the speech can be played and both pictures are visible. Returns its length, seconds."""
    page.wait_for_selector("#result", state="visible")
    wait_until(page, "document.getElementById('sound').readyState >= 2")
    for picture in ("#spectrogram", "#track"):
        page.wait_for_selector(picture, state="visible")
        wait_until(page, f"({SHOWN})(document.querySelector('{picture}'))")
    assert page.locator("#error").is_hidden()
    return page.evaluate("document.getElementById('sound').duration")


def test_speech_and_pictures_of_a_chosen_video_are_shown(page, tmp_path):
    video, model = make_video(tmp_path / "clip.mp4", every(25, 2.0)), Humming(["s1", "s2"])
    with page_server(model) as address:
        page.goto(address)
        playwright.expect(page.locator("#model")).to_have_text("test.v2s")
        assert page.locator("#limits").inner_text() == "up to 60 s and 200 MB"
        assert page.locator("#go").is_disabled() and page.locator("#recordings").is_hidden()
        page.set_input_files("#file", video)
        page.select_option("#voice", "s2")
        page.click("#go")
        assert wait_for_speech(page) == pytest.approx(2.0, abs=0.001)
        assert page.locator("#found").inner_text() == "2.00 s of speech; no face was found in 10.0% of the frames."
        page.evaluate("document.getElementById('sound').play()")
        wait_until(page, "(e => !e.paused && e.currentTime > 0.2)(document.getElementById('preview'))")  # goes along
        with page.expect_download() as saved:
            page.click("#download")
        assert saved.value.suggested_filename == "speech.wav" and soundfile.info(saved.value.path()).frames == 48000
    assert model.requests == [("s2", None)]


def test_a_video_that_is_dropped_and_a_recording_of_the_voice(page, tmp_path):
    model = Humming(accepts_recording=True)
    data = list(make_video(tmp_path / "clip.mp4", every(25, 0.4)).read_bytes())
    with page_server(model) as address:
        page.goto(address)
        page.wait_for_selector("#recordings", state="visible")
        dropped = page.evaluate_handle(DROPPED, data)
        page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
        page.set_input_files("#recording", {"name": "me.wav", "mimeType": "audio/wav", "buffer": b"sound"})
        page.click("#go")
        assert wait_for_speech(page) == pytest.approx(0.4, abs=0.001)
    assert model.requests[0][0].name == "recording.wav"


def test_an_error_is_one_sentence_and_the_next_video_is_processed(page, tmp_path):
    (tmp_path / "text.mp4").write_text("this is no video")
    (tmp_path / "large.mp4").write_bytes(bytes(1_100_000))
    long = make_video(tmp_path / "long.mp4", every(25, 1.2))
    with page_server(Humming(), limits=Limits(1, 1)) as address:
        page.goto(address)
        error = page.locator("#error")
        page.set_input_files("#file", tmp_path / "text.mp4")
        page.click("#go")
        playwright.expect(error).to_contain_text("text.mp4 is no media file")
        assert page.locator("#hint").is_visible() and page.locator("#result").is_hidden()
        page.set_input_files("#file", long)
        playwright.expect(error).to_be_hidden()
        page.click("#go")
        playwright.expect(error).to_have_text("The video is too long: the limit is 1 s; give a shorter one.")
        page.set_input_files("#file", tmp_path / "large.mp4")
        playwright.expect(error).to_have_text("large.mp4 is too large: it has 1.1 MB, the limit is 1 MB.")
        page.set_input_files("#file", make_video(tmp_path / "good.mp4", every(25, 0.4)))
        page.click("#go")
        assert wait_for_speech(page) == pytest.approx(0.4, abs=0.001)


def test_a_webcam_recording_is_processed(page):
    with page_server(Humming()) as address:
        page.goto(address)
        page.click("#camera")
        page.wait_for_selector("#drop.live")
        playwright.expect(page.locator("#name")).to_have_text("Recording: 2 s")
        page.click("#camera")
        playwright.expect(page.locator("#name")).to_contain_text("webcam.")
        assert page.evaluate("document.getElementById('preview').srcObject") is None  # the camera is off
        page.click("#go")
        assert 1 < wait_for_speech(page) < 4


def test_the_webcam_stops_at_the_limit(page):
    with page_server(Humming(), limits=Limits(seconds=2)) as address:
        page.goto(address)
        page.click("#camera")
        playwright.expect(page.locator("#name")).to_contain_text("webcam.")
        page.click("#go")
        assert 0.4 < wait_for_speech(page) <= 2


def test_processing_can_be_stopped_and_a_dead_server_is_reported(page, tmp_path):
    stopped = threading.Event()
    video = make_video(tmp_path / "clip.mp4", every(25, 0.4))
    with page_server(Humming(before=lambda path: stopped.wait(10))) as address:
        page.goto(address)
        page.set_input_files("#file", video)
        page.click("#go")
        playwright.expect(page.locator("#status")).to_contain_text("Processing")
        page.click("text=Stop")
        playwright.expect(page.locator("#go")).to_have_text("Synthesise")
        assert page.locator("#error").is_hidden() and page.locator("#result").is_hidden()
        stopped.set()
    page.click("#go")
    playwright.expect(page.locator("#error")).to_contain_text("The server does not answer")
    page.wrong.clear()  # the browser's note of that


def test_a_trained_model_synthesises_speech(page, mel_run, tmp_path):
    video = make_video(tmp_path / "clip.mp4", every(25, 1.0), (96, 96))
    with page_server(v2skit.load(mel_run, device="cpu"), tracker=Component("none", {})) as address:
        page.goto(address)
        page.wait_for_selector("#voices", state="visible")
        assert page.locator("#voice option").all_inner_texts() == ["default: mean of its voices", "s0", "s1"]
        page.set_input_files("#file", video)
        page.click("#go")
        assert wait_for_speech(page) == pytest.approx(1.0, abs=0.001)
        assert page.locator("#found").inner_text() == "1.00 s of speech; the mouth was found in every frame."
