"""Laws of files that come to the page: chosen, dropped, pasted, by folders; one bad file is one readable line."""

import io
import zipfile
from base64 import b64encode

import numpy as np
import pytest

from web_browser import choose, photo, run, settled, until, upload, wait_done
from web_server import SETTINGS

HAND_OVER = """([names, data, kind]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  for (const name of names) transfer.items.add(new File([bytes], name, { type: "image/png" }));
  const how = { bubbles: true, cancelable: true, [kind === "paste" ? "clipboardData" : "dataTransfer"]: transfer };
  const kinds = kind === "paste" ? ["paste"] : ["dragenter", "dragover", "drop"];
  for (const one of kinds) document.body.dispatchEvent(new (one === "paste" ? ClipboardEvent : DragEvent)(one, how));
}"""


def names(page):
    return page.locator("#rows .name").all_inner_texts()


def states(page):
    return page.locator("#rows .state").all_inner_texts()


def test_a_chosen_file_is_measured_denoised_and_judged(page, a_photo):
    with page.expect_file_chooser() as chosen:
        page.click("text=Choose images")
    chosen.value.set_files([upload("photo.png", a_photo)])
    page.wait_for_selector("#panel .primary:text-is('Denoise')")
    assert "72 × 64 · colour · uint8" in page.inner_text("#panel .facts")
    assert page.locator(".noise p").count() > 2
    assert page.locator(".figures svg").count() > 0
    assert "memory" in page.inner_text(".cost")
    before = page.inner_text(".cost")
    page.check("[name=preset][value=fast]")
    assert page.inner_text(".cost") != before, "the expected time is that of the chosen preset"
    run(page)
    wait_done(page)
    assert page.inner_text(".verdict strong") in ("Good", "Look closer", "Signal lost")
    assert np.nanstd(settled(page)) > 5


def test_the_sample_is_there_to_try(page):
    page.click("#sample")
    page.wait_for_selector("#panel >> text=sample.png")
    page.wait_for_selector("button:text-is('Denoise')")
    assert names(page) == ["sample.png"]


def test_of_a_folder_only_images_are_taken(page, a_photo, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_bytes(a_photo)
    (tmp_path / "in" / "notes.txt").write_text("no image")
    page.set_input_files("#folder", tmp_path / "in")
    until(lambda: states(page) == ["ready", "ready"])
    assert sorted(names(page)) == ["a.png", "b.png"]


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_files_are_dropped_or_pasted(page, a_photo, kind):
    page.evaluate(HAND_OVER, [["one.png", "two.png"], b64encode(a_photo).decode(), kind])
    until(lambda: states(page) == ["ready", "ready"])
    assert names(page) == ["one.png", "two.png"]
    assert page.locator("#drop-veil").is_hidden()


def test_many_files_are_a_queue_in_which_a_bad_one_is_one_line(page, server, a_photo):
    files = [upload(f"{number}.png", photo(number)) for number in range(4)]
    page.set_input_files("#files", [*files[:2], upload("broken.png", a_photo[:200]), *files[2:]])
    until(lambda: "ready" in states(page)[-1:] and states(page).count("ready") == 4)
    bad = page.locator("#rows li.failed")
    assert bad.count() == 1
    assert 5 < len(bad.locator(".state").inner_text()) < 120
    assert page.inner_text("#total") == "0 of 5 done, 1 failed"
    page.click("#rows a >> text=1.png")
    choose(page, SETTINGS)
    page.click("text=Denoise all 4")
    until(lambda: page.inner_text("#total") == "4 of 5 done, 1 failed", 60)
    with page.expect_download() as taken:
        page.click("text=Download all 4 as ZIP")
    with zipfile.ZipFile(io.BytesIO(taken.value.path().read_bytes())) as archive:
        assert sorted(archive.namelist()) == sorted(f"{n}_denoised.png{e}" for n in range(4) for e in ("", ".json"))
        for job in server.http.get("/api/jobs").json()["jobs"]:
            if job["state"] == "done":
                result = server.http.get(f"/api/jobs/{job['id']}/result").content
                assert archive.read(job["outcome"]["name"]) == result


def test_the_error_of_a_file_stands_beside_it_and_it_can_be_removed(page):
    page.set_input_files("#files", upload("notes.png", b"no image at all"))
    page.wait_for_selector(".verdict.lost >> text=This did not work.")
    assert page.locator(".verdict.lost [role=alert], .verdict.lost[role=alert]").count() == 1
    assert page.inner_text("#stage-note") == "There is no picture to show."
    page.click("#panel >> text=Remove")
    page.wait_for_selector("#welcome-title")


def test_an_empty_file_is_refused_where_it_stands(open_page, no_jobs, a_photo):
    page = open_page(expected=["422"])
    page.wait_for_selector("#formats:not(:empty)", state="attached")
    page.set_input_files("#files", upload("nothing.png", b""))
    until(lambda: states(page) == ["the file is empty"])
    page.set_input_files("#files", upload("photo.png", a_photo))
    page.wait_for_selector("button:text-is('Denoise')")
    page.click("[aria-label='Remove nothing.png']")
    until(lambda: names(page) == ["photo.png"])


def test_a_name_is_text_and_nothing_else(page, a_photo):
    name = "<img src=x onerror=alert(1)> `a` & b.png"
    page.set_input_files("#files", upload(name, a_photo))
    page.wait_for_selector("button:text-is('Denoise')")
    assert names(page) == [name]
    assert page.inner_text("#panel h2") == name
