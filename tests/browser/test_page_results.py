"""Laws of a result on the page: compared, adjusted, taken home byte for byte as the command line makes it."""

import json
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

from web_browser import differ, photo, run, settled, tile, until, wait_done
from web_server import ENVIRONMENT, QUICK, SETTINGS


@pytest.fixture(scope="module")
def job(server):
    return server.wait(server.post(photo(), "photo.png", request=QUICK).json()["id"], "done")


@pytest.fixture
def page(open_page, job):
    """The page with a result, at 1:1 of four times its size."""
    page = open_page(f"#{job['id']}", permissions=["clipboard-read", "clipboard-write"])
    wait_done(page)
    return page


def mode(page, name):
    page.click(f"#modes >> text={name}")
    return settled(page)


def slide(page, label, value):
    page.locator(f"label.slider:has-text('{label}') input").fill(str(value))


def bright(shown):
    return np.nanmean(shown)


def sides(shown):
    """Return the two panes of "Side by side"."""
    width = shown.shape[1] // 2 - 1
    return shown[:, :width], shown[:, -width:]


def half(shown, right):
    middle = shown.shape[1] // 2
    return shown[:, middle + 20 :] if right else shown[:, : middle - 20]


def test_the_wipe_shows_before_on_the_left_and_after_on_the_right(page):
    wiped, after = mode(page, "Wipe"), mode(page, "After")
    mode(page, "Wipe")
    assert not differ(half(wiped, True), half(after, True))
    assert differ(half(wiped, False), half(after, False))
    box = page.locator("#wipe").bounding_box()
    page.mouse.move(box["x"] + 12, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(page.locator("#canvas").bounding_box()["x"], box["y"] + 200)
    page.mouse.up()
    assert page.get_attribute("#wipe", "aria-valuenow") == "0"
    assert not differ(settled(page), after)


def test_before_and_after_go_through_the_same_window(page):
    slide(page, "Strength", 0)  # both are the same image
    before = mode(page, "Side by side")
    assert not differ(*sides(before))
    page.click("text=Brightness shown")
    slide(page, "White at", 30)
    brighter = settled(page)
    assert bright(brighter) > bright(before) + 10
    assert not differ(*sides(brighter))
    slide(page, "Strength", 1)


def test_the_lens_enlarges_both_versions_under_the_pointer(page):
    plain = mode(page, "After")
    page.hover("#canvas", position={"x": 200, "y": 250})
    page.click("#lens")
    page.hover("#canvas", position={"x": 260, "y": 250})
    through = settled(page)
    assert not differ(through[:60], plain[:60]), "the lens is only where the pointer is"
    assert (through[170:320, 140:380] != plain[170:320, 140:380]).mean() > 0.5
    page.click("#lens")


def test_zoom_and_pan_keep_both_sides_together(page):
    slide(page, "Strength", 0)
    fitted = mode(page, "Side by side")
    for key in ("+", "+", "ArrowRight"):
        page.press("#canvas", key)
    moved = settled(page)
    assert differ(moved, fitted)
    assert not differ(*sides(moved))
    page.press("#canvas", "1")
    until(lambda: page.inner_text("#scale") == "1:1")
    page.press("#canvas", "0")
    assert not differ(settled(page), fitted)
    slide(page, "Strength", 1)


def test_what_was_removed_and_the_spread_are_shown(page):
    after, removed, spread = (mode(page, name) for name in ("After", "Removed", "Spread"))
    assert differ(after, removed)
    assert differ(removed, spread)


def test_the_download_is_what_the_copied_command_writes(page, run_here, tmp_path):
    (tmp_path / "photo.png").write_bytes(photo())
    slide(page, "Fine texture", 0.3)
    slide(page, "Strength", 0.5)
    page.wait_for_selector("a.primary:text-is('Download photo_denoised.png')[href]")
    until(lambda: "--strength 0.5" in copied(page, "command"))
    words = shlex.split(copied(page, "command"))
    assert words[:3] == ["mashpix", "denoise", "photo.png"]
    assert run_here(*words[1:], cwd=tmp_path).returncode == 0
    assert taken(page, "a.primary") == (tmp_path / "photo_denoised.png").read_bytes()
    written = json.loads((tmp_path / "photo_denoised.png.json").read_bytes())
    assert json.loads(taken(page, "text=Recipe"))["output_sha256"] == written["output_sha256"]
    slide(page, "Strength", 1)
    slide(page, "Fine texture", 0)


def taken(page, selector):
    with page.expect_download() as download:
        page.click(selector)
    return download.value.path().read_bytes()


def copied(page, kind):
    page.click(f"text=Copy as {kind}")
    page.wait_for_selector(f"button[aria-disabled=false]:text-is('Copy as {kind}')")
    text = page.evaluate("navigator.clipboard.readText()")
    assert page.inner_text(".copying pre").strip() == text.strip()
    return text


def test_the_copied_python_writes_the_same_bytes(page, server, job, tmp_path):
    (tmp_path / "photo.png").write_bytes(photo())
    subprocess.run([sys.executable, "-c", copied(page, "Python")], cwd=tmp_path, env=ENVIRONMENT, check=True)
    result = server.http.get(f"/api/jobs/{job['id']}/result").content
    assert (tmp_path / "photo_denoised.png").read_bytes() == result


def test_the_copied_curl_makes_the_same_job(page, server, job, tmp_path):
    (tmp_path / "photo.png").write_bytes(photo())
    words = shlex.split(copied(page, "curl"))
    try:
        answer = subprocess.run(words, cwd=tmp_path, capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("no curl is here")
    made = server.wait(json.loads(answer)["id"], "done")
    assert made["outcome"]["sha256"] == server.http.get(f"/api/jobs/{job['id']}").json()["outcome"]["sha256"]
    server.http.delete(f"/api/jobs/{made['id']}")


def test_the_strength_slider_acts_at_once(page, server, job):
    full = mode(page, "After")
    slider = page.locator("label.slider:has-text('Strength') input")
    slider.evaluate("(input) => { input.value = 0; input.dispatchEvent(new Event('input', { bubbles: true })); }")
    none = settled(page)
    assert differ(none, full)
    assert not differ(half(mode(page, "Wipe"), True), half(none, True))
    assert np.abs(tile(server, job, "denoised", strength=0) - tile(server, job, "noisy")).max() <= 1
    assert server.http.get(f"/api/jobs/{job['id']}").json()["request"]["strength"] == 1, "written when let go"


def test_a_result_becomes_an_input(page, server, job):
    page.click("text=Use as input again")
    page.wait_for_selector("#panel h2:text-is('photo_denoised.png')")
    page.wait_for_selector("#panel .primary:text-is('Denoise')")
    again = next(other for other in server.http.get("/api/jobs").json()["jobs"] if other["id"] != job["id"])
    window = {"low": 0, "high": 255}
    assert np.array_equal(tile(server, again, "noisy", **window), tile(server, job, "denoised", **window))
    page.click("[aria-label='Remove photo_denoised.png']")


def test_other_settings_make_another_result(page, server, job):
    page.click("text=Other settings")
    page.locator("details:has-text('Other settings') [name=seed]").fill("7")
    page.click("text=Denoise again")
    until(lambda: server.http.get(f"/api/jobs/{job['id']}").json()["request"]["seed"] == 7)
    again = server.wait(job["id"], "done")
    wait_done(page)
    assert again["request"]["settings"] == SETTINGS
    assert again["outcome"]["sha256"] != job["outcome"]["sha256"]


def test_a_stack_of_16_bits_is_seen_plane_by_plane(open_page, sent, no_jobs, a_stack):
    sent(a_stack, "cells.tif")
    page = open_page()
    page.wait_for_selector("#panel >> text=56 × 48 · T 2 · Z 3 · uint16")
    shown = {}
    for time, depth in ((1, 1), (1, 3), (2, 3)):
        slide(page, "Time", time)
        slide(page, "Depth", depth)
        shown[time, depth] = settled(page)
    assert bright(shown[1, 1]) + 2 < bright(shown[1, 3]) < bright(shown[2, 3]) - 2
    run(page)
    wait_done(page)
    slide(page, "Strength", 0)
    after = mode(page, "After")
    slide(page, "Time", 1)
    assert bright(settled(page)) < bright(after)
    page.wait_for_selector("a.primary[href]")
    with page.expect_download() as download:
        page.click("a.primary")
    assert re.fullmatch(r"cells_denoised\.tif", download.value.suggested_filename)
