"""Laws of a run on the page: the picture clears live; stop, cancel, another tab, a reload, a restart of the server."""

import numpy as np
import pytest

from web_browser import AWAY, SLOW, run, settled, tile, until, wait_done
from web_server import Server


@pytest.fixture
def job(sent, a_photo, no_jobs):
    return sent(a_photo, "photo.png", settings=SLOW)


def start(page):
    page.click("#panel .primary:text-is('Denoise')")
    page.wait_for_selector("text=Stop and keep")


def test_the_picture_clears_and_stop_and_keep_takes_it(open_page, server, job):
    page = open_page()
    start(page)
    page.wait_for_selector("#chip-right:text-is('Clearing')")
    live, noisy = tile(server, job, "live"), tile(server, job, "noisy")
    assert abs(live.mean() - noisy.mean()) < 3, "the live picture is as bright as the noisy one"
    page.click("text=Stop and keep")
    wait_done(page)
    recipe = server.http.get(f"/api/jobs/{job['id']}/recipe").json()
    assert 0 < recipe["settings"]["stop_after"] < SLOW["steps"]
    assert np.abs(tile(server, job, "denoised") - noisy).mean() > 0.5


def test_progress_is_told_in_list_panel_and_title(open_page, job):
    page = open_page()
    start(page)
    until(
        lambda: "%" in page.title() and float(page.evaluate("document.querySelector('.progress progress').value")) > 0
    )
    assert "left" in until(lambda: "left" in page.inner_text(".progress") and page.inner_text(".progress"))
    assert "%" in page.inner_text("#rows .state")


def test_cancel_discards_and_the_next_one_runs(open_page, server, job, sent, a_photo):
    page = open_page()
    start(page)
    page.click("#panel .actions >> text=Cancel")
    page.wait_for_selector("#welcome-title")
    until(lambda: not any(path.is_dir() for path in server.folder.iterdir()))  # the page does not wait for the server
    assert server.http.get("/api/jobs").json()["jobs"] == []
    sent(a_photo, "next.png")
    page.click("#rows a >> text=next.png")
    run(page)
    wait_done(page)


def test_a_reload_finds_the_job_as_it_is(open_page, job):
    page = open_page()
    start(page)
    page.reload()
    page.wait_for_selector("text=Stop and keep")
    assert page.url.endswith(job["id"])
    page.click("text=Stop and keep")
    wait_done(page)
    page.reload()
    wait_done(page)


def test_two_tabs_show_the_same(open_page, server, job):
    one = open_page()
    other = open_page(context=one.context)
    start(one)
    other.wait_for_selector("text=Stop and keep")
    other.click("text=Stop and keep")
    wait_done(one)
    wait_done(other)
    assert one.inner_text(".verdict") == other.inner_text(".verdict")
    one.click("[aria-label='Remove photo.png']")
    other.wait_for_selector("#welcome-title")
    assert server.http.get("/api/jobs").json()["jobs"] == []


def test_the_page_and_its_job_outlive_a_restart_of_the_server(open_page, server, job, sent, a_photo):
    done = sent(a_photo, "done.png", "done")
    page = open_page(expected=[AWAY])
    page.click("#rows a >> text=photo.png")
    start(page)
    server.end()
    page.wait_for_selector("#offline:visible")
    vars(server).update(vars(Server(server.folder, port=server.port)))
    page.wait_for_selector("#offline", state="hidden")
    page.wait_for_selector("text=Stop and keep")
    page.wait_for_selector("#chip-right:text-is('Clearing')")
    page.click("text=Stop and keep")
    wait_done(page)
    page.click("#rows a >> text=done.png")
    page.wait_for_selector("#panel h2:text-is('done.png')")
    settled(page)
    assert server.http.get(f"/api/jobs/{done['id']}").json()["state"] == "done"


def test_a_wrong_setting_is_told_beside_the_button(open_page, job):
    page = open_page(expected=["422"])
    page.fill("[name='settings.steps']", "0")
    page.click("#panel .primary:text-is('Denoise')")
    page.wait_for_selector("#panel .actions .error:has-text('steps')")
    page.fill("[name='settings.steps']", "3")
    page.click("#panel .primary:text-is('Denoise')")
    wait_done(page)
