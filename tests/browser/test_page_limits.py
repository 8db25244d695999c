"""Laws of a server that is full: every file arrives in the end, and one that is too large is told so at once."""

import pytest

from web_browser import photo, until, upload


@pytest.fixture(scope="module")
def limits():
    return {"queue": 3, "share": 3, "max_upload": 100_000}


def test_more_files_than_the_queue_takes_all_arrive(open_page):
    page = open_page(expected=["429"])
    page.wait_for_selector("#formats:not(:empty)", state="attached")
    page.set_input_files("#files", [upload(f"{number}.png", photo(number)) for number in range(9)])
    until(lambda: page.locator("#rows .state:text-is('ready')").count() == 9, 60)


def test_a_file_that_is_too_large_is_not_sent(open_page, server, no_jobs):
    page = open_page()
    page.wait_for_selector("#formats:not(:empty)", state="attached")
    page.set_input_files("#files", upload("large.png", bytes(3_000_000)))
    page.wait_for_selector("#rows .state:has-text('too large')")
    assert server.http.get("/api/jobs").json()["jobs"] == []
