"""A server for each module, and pages in a headless Chromium that may complain of nothing."""

import os
import re
from pathlib import Path
from shutil import which

import pytest

from web_browser import SETTINGS, cells, photo
from web_server import Server

WIDE = {"width": 1280, "height": 800}
CHROMIUM = next(filter(None, map(which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("web")


@pytest.fixture(scope="session")
def chromium():
    if CHROMIUM is None:
        pytest.skip("no Chromium is here: install the distribution's package")
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright's Python package is not here")
    options = ["--disable-gpu"] + ["--no-sandbox"] * (os.getuid() == 0)  # root has no sandbox
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def limits():
    """Limits of the server of a module that are not the usual ones."""
    return {}


@pytest.fixture(scope="module")
def server(chromium, tmp_path_factory, limits):
    started = Server(tmp_path_factory.mktemp("jobs"), **limits)
    yield started
    started.end()


@pytest.fixture
def open_page(chromium, server):
    """Opens pages; at the end none may have logged an error, or asked for anything from elsewhere."""
    contexts, faults, allowed = [], [], []

    def note_request(request):
        if not request.url.startswith((server.address, "data:", "blob:")):
            faults.append(f"a request to {request.url}")

    def note_message(message):
        if message.type in ("error", "warning") and not any(re.search(known, message.text) for known in allowed):
            faults.append(message.text)

    def make(path="", *, expected=(), context=None, **how):
        allowed.extend(expected)
        context = context or chromium.new_context(**{"viewport": WIDE, "reduced_motion": "reduce"} | how)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(90_000)
        page.on("filechooser", lambda chooser: None)  # from the start: the first one would be missed
        page.on("request", note_request)
        page.on("console", note_message)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(server.address + path)
        return page

    yield make
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def no_jobs(server):
    for job in server.http.get("/api/jobs").json()["jobs"]:
        server.http.delete(f"/api/jobs/{job['id']}")


@pytest.fixture
def page(no_jobs, open_page):
    """The page of a server without jobs."""
    page = open_page()
    page.wait_for_selector("#formats:not(:empty)", state="attached")
    return page


@pytest.fixture
def sent(server):
    """Sends a file; returns its job when it is in a state."""

    def send(data, name, state="ready", settings=SETTINGS):
        answer = server.post(data, name, request={"settings": settings}, start=state != "ready")
        return server.wait(answer.json()["id"], state)

    return send


@pytest.fixture(scope="session")
def a_photo():
    return photo()


@pytest.fixture(scope="session")
def a_stack():
    return cells()
