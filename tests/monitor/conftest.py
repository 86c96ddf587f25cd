"""A real browser for the tests of the operator page."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: Nothing of these shares a process with anything else, and none may look for updates.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
#: What is awaited comes at once on an idle machine; this is for one that does much else.
PATIENCE_MS = 90_000


@pytest.fixture(scope="session")
def browser(chromium: str) -> "Iterator[Browser]":
    """Chromium, once for all tests."""
    playwright = pytest.importorskip("playwright.sync_api")
    playwright.expect.set_options(timeout=PATIENCE_MS)
    with playwright.sync_playwright() as starter:
        found = starter.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield found
        found.close()


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    """A page that fails its test when a script of it fails or it asks another host for anything."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE_MS)
    found = context.new_page()
    problems: list[str] = []
    asked: list[str] = []
    found.on("pageerror", lambda error: problems.append(str(error)))
    context.on("request", lambda request: asked.append(request.url))
    found.on("websocket", lambda opened: asked.append(opened.url))
    yield found
    context.close()
    assert problems == []
    assert asked
    assert [url for url in asked if not re.match(r"(http|ws)://127\.0\.0\.1:\d+/", url)] == []
