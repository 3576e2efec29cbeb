"""The page of one synthesis: self-contained except for the video, safe for any text, small for any length."""

import base64
import io
import re
import tracemalloc
from html import unescape
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

from tests.media_files import every, make_video
from v2skit.errors import UserError
from v2skit.evaluation.video_report import write_report
from v2skit.tracking.crop import Track

FPS = 25


def make_track(frames=100, lost=(), silent=()):
    """Still, but for spans of frames (from, to) that are lost and silent."""
    place = np.tile(np.float32([100, 80, 40, 0]), (frames, 1))
    flags = np.zeros((2, frames), bool)
    for row, spans in zip(flags, ((*lost, *silent), silent)):
        for start, end in spans:
            row[start:end] = True
    place[flags[1]] = np.nan
    return Track(FPS, place, *flags)


def make_speech(path, seconds=4.0, rate=24000):
    noise = 0.1 * np.random.default_rng(1).standard_normal(round(seconds * rate))
    soundfile.write(path, np.clip(noise, -1, 1), rate, subtype="PCM_16")
    return path


class Page(HTMLParser):
    """Tags with their attributes, and the text; every tag must be closed in order."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert not self.open
        self.text = " ".join("".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def pictures(self):
        start = "data:image/png;base64,"
        assert all(image["src"].startswith(start) and image["alt"] for image in self.of("img"))
        return [imread(io.BytesIO(base64.b64decode(image["src"][len(start) :]))) for image in self.of("img")]


def test_a_page_holds_all_but_the_video(tmp_path):
    video = make_video(tmp_path / "videos/clip.mp4", every(FPS, 4.0)[:60])
    crops = np.stack([np.full((96, 96), 2 * n, np.uint8) for n in range(100)])
    track = make_track(lost=[(10, 12)], silent=[(50, 70)])
    path = tmp_path / "pages/clip.html"
    write_report(path, video, make_speech(tmp_path / "clip.wav"), track, crops, {"voice": "s1", "speed": "31 x"})
    page = Page(path)
    sources = [a[key] for _, a in page.tags for key in ("src", "href") if key in a and not a[key].startswith("data:")]
    assert sources == ["../videos/clip.mp4"] * 2 and not page.of("script") and "url(" not in path.read_text()
    sound, mouth, *strip = page.pictures()
    assert sound.shape == (340, 800, 4) and mouth.shape[1] == 800
    shown = [round(float(picture[..., 0].mean()) * 255 / 2) for picture in strip]
    assert shown == [0, 9, 18, 27, 36, 45, 54, 63, 72, 81, 90, 99]
    times = re.findall(r"(\d:\d\d\.\d)( ?no face)?", page.text.split("0:02.8.")[1])
    assert [t for t, _ in times] == [f"0:0{n / FPS:.1f}" for n in shown]
    assert [bool(lost) for _, lost in times] == [bool(track.lost[n]) for n in shown]
    assert "No face in 22.0% of 100 frames. The speech is silent there for 0.8 s: 0:02.0–0:02.8." in page.text
    assert "voice" in page.text and "31 x" in page.text


def test_the_times_of_a_clips_strip_are_those_of_its_frames(tmp_path):
    """``strip`` of a clip holds every 2nd, 4th, 8th... frame."""
    video, track = make_video(tmp_path / "clip.mp4", every(FPS, 1.0)), make_track(19 * 512 + 1)
    crops = np.zeros((20, 32, 32), np.uint8)
    write_report(tmp_path / "a.html", video, make_speech(tmp_path / "clip.wav"), track, crops, {})
    times = re.findall(r"\d:\d\d\.\d", Page(tmp_path / "a.html").text)
    assert len(times) == 12 and times[0] == "0:00.0" and times[-1] == "6:29.1"  # 19 * 512 / 25 s = 389.12 s


def test_any_name_and_text_is_shown_as_it_is(tmp_path):
    name = 'a & "b" <i>#1?%20é'
    video, speech = make_video(tmp_path / f"{name}.mp4", every(FPS, 0.4)), make_speech(tmp_path / f"{name}.wav", 0.4)
    facts = {"<b>model</b>": "</table><script>alert('x')</script>"}
    write_report(tmp_path / "page.html", video, speech, make_track(10), None, facts)
    page = Page(tmp_path / "page.html")
    assert not page.of("script") and not page.of("b") and not page.of("i")
    assert name in page.text and all(word in page.text for item in facts.items() for word in item)
    source = page.of("video")[0]["src"]
    assert set(source).isdisjoint(' "<>#?') and unquote(source) == f"{name}.mp4" == unescape(unquote(source))
    assert "A face in every frame." in page.text and len(page.of("img")) == 2


def test_a_video_that_browsers_cannot_show_is_named_and_the_speech_is_there(tmp_path):
    video = make_video(tmp_path / "clip.mkv", every(FPS, 0.4))
    write_report(tmp_path / "page.html", video, make_speech(tmp_path / "clip.wav", 0.4), make_track(10), None, {})
    page = Page(tmp_path / "page.html")
    assert not page.of("video") and page.of("audio")[0]["src"] == "clip.wav" and page.of("a")[0]["href"] == "clip.mkv"
    assert "Not every browser can show this video (h264 in .mkv)" in page.text


def test_the_picture_of_the_speech_shows_pitch_and_time(tmp_path):
    rate, video = 16000, make_video(tmp_path / "clip.mp4", every(FPS, 0.4))
    rows = {}
    for hertz in (1000, 6000):
        tone = 0.5 * np.sin(2 * np.pi * hertz * np.arange(4 * rate) / rate)
        tone[2 * rate :] = 0  # sound in the first half only
        soundfile.write(tmp_path / "tone.wav", tone, rate)
        write_report(tmp_path / "page.html", video, tmp_path / "tone.wav", make_track(), None, {})
        bright = Page(tmp_path / "page.html").pictures()[0][125:285, 80:760, :3].sum(-1)
        bright[bright > 2.9] = 0  # ground of the page
        rows[hertz] = bright[:, :300].mean(1).argmax()
        assert bright[rows[hertz], :330].mean() > 5 * bright[rows[hertz], 370:].mean()
    assert rows[1000] > rows[6000] + 80


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_speech_of_any_rate(tmp_path, rate):
    video, speech = make_video(tmp_path / "clip.mp4", every(FPS, 0.4)), make_speech(tmp_path / "clip.wav", 0.4, rate)
    write_report(tmp_path / "page.html", video, speech, make_track(10), None, {})
    assert len(Page(tmp_path / "page.html").pictures()) == 2


def test_a_long_speech_needs_little_memory(tmp_path):
    """Three minutes; their spectrogram alone, at once, would be 70 MB."""
    video, speech, rate = make_video(tmp_path / "clip.mp4", every(FPS, 0.4)), tmp_path / "long.wav", 24000
    soundfile.write(speech, np.full(180 * rate, 1000, np.int16), rate)
    write_report(tmp_path / "page.html", video, make_speech(tmp_path / "short.wav"), make_track(), None, {})
    tracemalloc.start()
    write_report(tmp_path / "page.html", video, speech, make_track(180 * FPS), None, {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6 and (tmp_path / "page.html").stat().st_size < 500_000


def test_many_silent_spans_are_summed_up(tmp_path):
    video = make_video(tmp_path / "clip.mp4", every(FPS, 0.4))
    track = make_track(10_000, silent=[(n, n + 50) for n in range(0, 3000, 100)])
    write_report(tmp_path / "page.html", video, make_speech(tmp_path / "clip.wav"), track, None, {})
    assert "silent there for 60.0 s: 0:00.0–0:02.0" in Page(tmp_path / "page.html").text
    assert "1:16.0–1:18.0 and 10 more." in Page(tmp_path / "page.html").text


def test_what_cannot_be_read_says_so(tmp_path):
    video, speech = make_video(tmp_path / "clip.mp4", every(FPS, 0.4)), make_speech(tmp_path / "clip.wav", 0.4)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 24000)
    for wrong, sound, message in [
        (tmp_path / "nowhere.mp4", speech, "nowhere.mp4 can't be read"),
        (speech, speech, "clip.wav can't be read"),
        (video, tmp_path / "nowhere.wav", "nowhere.wav can't be read"),
        (video, tmp_path / "empty.wav", "empty.wav is empty"),
    ]:
        with pytest.raises(UserError, match=message):
            write_report(tmp_path / "page.html", wrong, sound, make_track(10), None, {})
    assert not (tmp_path / "page.html").exists()
