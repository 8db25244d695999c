"""Laws of access: the keyboard alone, a screen reader's words, narrow screens, contrast, the login."""

import pytest

from web_browser import SETTINGS, SLOW, choose, settled, until, upload, wait_done
from web_server import Server

LISTEN = """window.said = []; new MutationObserver(() => said.push(document.querySelector('#announce').textContent))
  .observe(document.querySelector('#announce'), { childList: true, characterData: true, subtree: true })"""
TOKEN = "a token of the tests, long enough"
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def serious(page):
    """Return what axe-core finds that is serious or critical."""
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="axe-core-python is not here").Axe()
    found = [item for item in axe.run(page)["violations"] if item["impact"] in ("serious", "critical")]
    return [f"{item['id']}: {node['target']} {node['failureSummary']}" for item in found for node in item["nodes"]]


@pytest.fixture(scope="module")
def jobs(server, a_photo, a_stack):
    """Jobs in the states that stay."""
    for data, name, state in (
        (a_photo, "draft.png", "ready"),
        (a_stack, "cells.tif", "ready"),
        (a_photo, "done.png", "done"),
        (b"no image", "bad.png", "failed"),
    ):
        job = server.post(data, name, request={"settings": SETTINGS}, start=state == "done").json()
        until(lambda job=job, state=state: server.http.get(f"/api/jobs/{job['id']}").json()["state"] == state, 300)


def open_all(page):
    """Open everything that can be folded out."""
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing_serious(open_page, jobs, scheme, viewport):
    page = open_page(color_scheme=scheme, viewport=viewport)
    found = {}
    for name in ("draft.png", "cells.tif", "done.png", "bad.png"):
        page.click(f"#rows a >> text={name}")
        page.wait_for_selector(f"#panel h2:text-is('{name}')")
        open_all(page)
        if name == "done.png":
            page.click("text=Copy as Python")
            page.wait_for_selector(".copying pre:visible")
        found[name] = serious(page)
    assert found == {name: [] for name in found}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_the_other_pages(open_page, server, chromium, tmp_path, scheme):
    found = {"docs": serious(open_page("docs", color_scheme=scheme))}
    found["login"] = serious(open_page("login", color_scheme=scheme))
    assert found == {"docs": [], "login": []}


@pytest.mark.parametrize("width", [360, 390, 768])
def test_nothing_is_wider_than_the_screen(open_page, jobs, width):
    page = open_page(viewport={"width": width, "height": 780})
    for name in ("draft.png", "cells.tif", "done.png", "bad.png"):
        page.click(f"#rows a >> text={name}")
        page.wait_for_selector(f"#panel h2:text-is('{name}')")
        open_all(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    for path in ("docs", "login"):
        page.goto(server_of(page) + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def server_of(page):
    return page.evaluate("location.origin") + "/"


def test_buttons_are_large_enough_for_a_finger(open_page, jobs):
    page = open_page(viewport=PHONE, has_touch=True)
    page.click("#rows a >> text=done.png")
    wait_done(page)
    targets = page.locator("button:visible, a.button:visible, summary:visible, input[type=range]:visible")
    boxes = [(target.inner_text(), target.bounding_box()) for target in targets.all()]
    assert [(name, box) for name, box in boxes if min(box["width"], box["height"]) < 24] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_while_work_goes_on(open_page, no_jobs, sent, server, a_photo, scheme):
    page = open_page(color_scheme=scheme)
    page.wait_for_selector("#formats:not(:empty)", state="attached")
    found = {"welcome": serious(page)}
    for name in ("first.png", "second.png"):
        server.post(a_photo, name, request={"settings": SLOW})
    for name, sight in (("first.png", "text=Stop and keep"), ("second.png", "text=1 before it")):
        page.click(f"#rows a >> text={name}")
        page.wait_for_selector(f"#panel >> {sight}")
        found[name] = serious(page)
    assert found == {key: [] for key in ("welcome", "first.png", "second.png")}


def walk_to(page, what):
    """Press Tab until the focus is on something; return what it passed."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if what in page.evaluate("(document.activeElement.ariaLabel ?? '') + document.activeElement.innerText"):
            return
    raise AssertionError(f"Tab does not come to {what!r}")


def test_the_keyboard_is_enough(open_page, server, no_jobs, a_photo):
    page = open_page()
    page.wait_for_selector("#formats:not(:empty)", state="attached")
    walk_to(page, "Choose images")
    with page.expect_file_chooser() as chosen:
        page.keyboard.press("Enter")
    chosen.value.set_files([upload("photo.png", a_photo)])
    page.wait_for_selector("#panel .primary:text-is('Denoise')")
    walk_to(page, "All settings")
    page.keyboard.press("Enter")
    choose(page, SETTINGS)
    walk_to(page, "Denoise")
    page.keyboard.press("Enter")
    wait_done(page)
    assert page.evaluate("document.querySelector('#panel').contains(document.activeElement)"), "the focus stays at hand"
    page.keyboard.press("Shift+Tab")
    walk_to(page, "Download photo_denoised.png")
    with page.expect_download():
        page.keyboard.press("Enter")
    page.reload()
    wait_done(page)
    walk_to(page, "Wipe between before and after")
    for key, now in (("ArrowLeft", "48"), ("Home", "0"), ("End", "100"), ("PageDown", "90")):
        page.keyboard.press(key)
        until(lambda now=now: page.get_attribute("#wipe", "aria-valuenow") == now)
    page.focus("#canvas")
    page.keyboard.press("l")
    assert page.get_attribute("#lens", "aria-pressed") == "true"
    page.keyboard.press("+")
    settled(page)


def test_a_screen_reader_hears_what_happens(open_page, server, no_jobs, a_photo):
    page = open_page()
    page.wait_for_selector("#formats:not(:empty)", state="attached")
    page.evaluate(LISTEN)
    page.set_input_files("#files", [upload("photo.png", a_photo)])
    page.wait_for_selector("#panel .primary:text-is('Denoise')")
    choose(page, SETTINGS | {"steps": 400})
    page.click("#panel .primary:text-is('Denoise')")
    wait_done(page)
    until(lambda: any("done. Verdict" in text for text in page.evaluate("said")))
    said = page.evaluate("said")
    assert said[0] == "1 image added."
    assert "photo.png: ready to be denoised." in said
    assert any("%" in text for text in said)
    assert len(said) < 12, "it is not talked over"


def test_the_token_opens_the_page_and_stays_out_of_the_address(chromium, tmp_path):
    server = Server(tmp_path / "jobs", options=f", token={TOKEN!r}")
    try:
        page = chromium.new_context().new_page()
        page.goto(server.address)
        assert page.url.endswith("/login")
        page.fill("[name=token]", "not the token of this server")
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=alert]:has-text('not the token')")
        page.fill("[name=token]", TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_selector("#formats:not(:empty)", state="attached")
        assert page.url.rstrip("#") == server.address
        page.click("#sample")
        page.wait_for_selector("#panel .primary:text-is('Denoise')")
        page.context.close()
    finally:
        server.end()
