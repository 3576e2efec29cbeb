"""A headless Chromium, for tests of pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def headless_chromium(*arguments: str) -> Iterator[Any]:
    """The browser; the test is skipped where Playwright or Chromium is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing; pip install playwright")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    with playwright.sync_playwright() as started:
        own = started.chromium.executable_path
        if found is None and not Path(own).exists():
            pytest.skip("no Chromium is here; install one (Debian: chromium), or: playwright install chromium")
        browser = started.chromium.launch(executable_path=found or own, args=list(arguments))
        yield browser
        browser.close()
