"""Report and listening test in a headless Chromium: players, keys, widths, and that nothing goes wrong or is loaded."""

import json

import pytest

from tests.evaluation.pages.scored import LEVELS, scored_experiment
from tests.headless import headless_chromium
from v2skit.evaluation.listening_scores import score
from v2skit.evaluation.pages.listening import Plan, write_test
from v2skit.evaluation.pages.report import write_report

CHECKED = "document.querySelector('.clip [type=radio]:checked').value"
POSITION = "Number(document.querySelector('.clip .seek').value)"


@pytest.fixture(scope="module")
def browser():
    with headless_chromium() as started:
        yield started


@pytest.fixture
def opened(browser):
    """Opens a file; at the end nothing may have gone wrong, or have been loaded from elsewhere."""
    wrong, pages = [], []

    def open_page(path, **options):
        page = browser.new_page(**options)
        page.on("request", lambda request: wrong.append(request.url) if request.url.startswith("http") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.goto(path.as_uri())
        pages.append(page)
        return page

    yield open_page
    assert wrong == []
    for page in pages:
        page.close()


@pytest.fixture
def exp(tmp_path, tiny):
    return scored_experiment(tmp_path, tiny)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_the_screen(exp, opened, width, scheme):
    write_report(exp / "report.html", [exp])
    write_test(exp / "listen.html", [exp], Plan("mushra", clips=2))
    for name in ("report.html", "listen.html"):
        page = opened(exp / name, viewport={"width": width, "height": 800}, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_switching_systems_keeps_the_position(exp, opened):
    write_report(exp / "report.html", [exp])
    page = opened(exp / "report.html")
    page.check(".clip .loop")
    page.click(".clip .play")
    page.wait_for_function(f"{POSITION} > 0.2")
    page.keyboard.press("3")
    assert page.evaluate(CHECKED) == "2"
    page.click(".clip .play")
    stopped = page.evaluate(POSITION)
    assert stopped > 0.1 and page.get_attribute(".clip .play", "aria-label") == "Play"
    page.keyboard.press("1")
    assert page.evaluate(CHECKED) == "0" and page.evaluate(POSITION) == stopped
    page.keyboard.press("ArrowUp")
    assert page.evaluate(CHECKED) == str(len(LEVELS) - 1) and page.evaluate(POSITION) == stopped
    page.keyboard.press("ArrowDown")
    assert page.evaluate(CHECKED) == "0"
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(POSITION) == pytest.approx(max(0, stopped - 0.25), abs=0.02)


@pytest.mark.parametrize("kind", ["mos", "ab", "mushra"])
def test_a_listener_answers_with_the_file_that_is_scored(exp, opened, kind, tmp_path):
    key = write_test(exp / "listen.html", [exp], Plan(kind, clips=2, checks=0))
    page = opened(exp / "listen.html", accept_downloads=True)
    page.fill("#listener", "anna")
    page.keyboard.press("Enter")
    while page.is_visible("#trial"):
        assert page.is_disabled("#next")
        for button in page.query_selector_all("button.sound:visible"):
            button.click()
            page.wait_for_function("current.heard.has(current.player.chosen)")
        for field in page.query_selector_all("fieldset.rating"):
            slider = field.query_selector("input[type=range]")
            if slider:
                slider.fill("95")
            else:
                field.query_selector("input").check()
        page.click("#next")
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "answers.json")
    assert json.loads((tmp_path / "answers.json").read_text())["listener"] == "anna"
    rows = score(key, [tmp_path / "answers.json"], resamples=50)["rows"]
    expected = {"mos": 5.0, "mushra": 95.0}
    assert all(row["mean"] == expected.get(kind, row["mean"]) for row in rows)
    assert len(rows) == {"mos": len(LEVELS), "ab": 6, "mushra": len(LEVELS) + 1}[kind]
