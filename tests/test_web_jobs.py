"""Laws of jobs on the server: they are those of the command line, byte for byte, with previews, stop and sliders."""

import io
import json
import shlex
import zipfile

import numpy as np
import pytest
from PIL import Image

from commands import run_here
from web_server import FLAGS, QUICK, SETTINGS, memory_of, png, serving

pytestmark = pytest.mark.skipif("not __import__('pathlib').Path('/proc/self').exists()", reason="needs /proc")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("jobs")) as server:
        yield server


@pytest.fixture(scope="module")
def photo():
    return png(np.random.default_rng(0).integers(0, 255, (40, 48, 3)).astype(np.uint8))


@pytest.fixture(scope="module")
def job(server, photo):
    """A job that is done."""
    answer = server.post(photo, "photo.png")
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/jobs/{answer.json()['id']}"
    return server.wait(answer.json()["id"], "done")


def same_recipe(one, other):
    """Whether two recipes agree in all but the threads and seconds that they took."""
    for recipe in (one, other):
        del recipe["threads"], recipe["report"]["threads"], recipe["report"]["seconds"]
    return one == other


def test_an_idle_server_is_small_and_holds_no_torch(tmp_path):
    with serving(tmp_path / "own") as server:
        assert server.http.get("/api/info").json()["limits"]["queue"] == 32
        assert memory_of(server.process.pid) < 120
        assert not server.workers()


def test_the_server_that_has_worked_holds_no_torch(server, job):
    with open(f"/proc/{server.process.pid}/maps") as maps:
        assert "torch" not in maps.read()
    assert len(server.workers()) == 1


@pytest.mark.parametrize(
    ("finish", "flags"),
    [({}, []), ({"strength": 0.5, "detail": 0.3}, ["--strength", "0.5", "--detail", "0.3"]), ({"strength": 1.0}, [])],
)
def test_the_result_is_that_of_the_command_line(server, job, photo, tmp_path, finish, flags):
    (tmp_path / "photo.png").write_bytes(photo)
    if finish:
        assert server.http.post(f"/api/jobs/{job['id']}/finish", json=finish).status_code == 202
    shown = server.wait(job["id"], "done")
    result, recipe = (server.http.get(f"/api/jobs/{job['id']}/{what}") for what in ("result", "recipe"))
    words = shown["commands"]["shell"].split()
    assert sorted(words) == sorted(["mashpix", "denoise", "photo.png", *FLAGS, *flags, "--device", "cpu"])
    assert run_here(*words[1:], cwd=tmp_path).returncode == 0
    assert result.content == (tmp_path / "photo_denoised.png").read_bytes()
    assert "UTF-8''photo_denoised.png" in result.headers["content-disposition"]
    written = json.loads((tmp_path / "photo_denoised.png.json").read_bytes())
    assert same_recipe(recipe.json(), written)


def test_a_lossy_result_is_finished_as_the_command_line_does(server, tmp_path, rng):
    Image.fromarray(rng.integers(0, 255, (40, 48, 3)).astype(np.uint8)).save(tmp_path / "a.jpg", quality=90)
    job = server.wait(server.post((tmp_path / "a.jpg").read_bytes(), "a.jpg").json()["id"], "done")
    server.http.post(f"/api/jobs/{job['id']}/finish", json={"strength": 0.4})
    job = server.wait(job["id"], "done")
    assert run_here(*job["commands"]["shell"].split()[1:], cwd=tmp_path).returncode == 0
    assert server.http.get(f"/api/jobs/{job['id']}/result").content == (tmp_path / "a_denoised.jpg").read_bytes()


def test_the_preview_is_the_image_through_one_window(server, job, photo):
    url = f"/api/jobs/{job['id']}/preview"
    kinds = ("noisy", "denoised", "live", "residual", "spread")
    drawn = {of: server.http.get(url, params={"of": of, "low": 0, "high": 255}) for of in kinds}
    assert all(answer.headers["content-type"] == "image/png" for answer in drawn.values())
    shown = {of: np.asarray(Image.open(io.BytesIO(answer.content))) for of, answer in drawn.items()}
    result = Image.open(io.BytesIO(server.http.get(f"/api/jobs/{job['id']}/result").content))
    assert np.array_equal(shown["noisy"], np.asarray(Image.open(io.BytesIO(photo))))
    assert np.array_equal(shown["denoised"], np.asarray(result))
    assert np.array_equal(shown["denoised"], shown["live"])
    half = server.http.get(url, params={"of": "denoised", "low": 0, "high": 255, "strength": 0.5}).content
    mean = (shown["noisy"].astype(float) + shown["denoised"]) / 2
    assert np.abs(np.asarray(Image.open(io.BytesIO(half))) - mean).max() <= 0.5
    assert server.http.get(url, params={"x": 1}).status_code == 404
    assert server.http.get(url, params={"plane": "3"}).status_code == 404


def test_a_stack_has_planes_and_windows_of_its_own(server, stack, tmp_path):
    np.save(tmp_path / "stack.npy", stack[:, :, 0])
    request = QUICK | {"axes": "TCYX"}
    posted = server.post((tmp_path / "stack.npy").read_bytes(), "stack.npy", request=request, start=False).json()
    job = server.wait(posted["id"], "ready")
    assert job["image"]["planes"] == [["t", 2], ["c", 2]]
    assert len(job["image"]["windows"]) == 2
    assert job["inspection"]["sentences"]
    assert server.http.get(f"/api/jobs/{job['id']}/preview", params={"plane": "1,1"}).status_code == 200
    assert server.http.post(f"/api/jobs/{job['id']}/start", json=request).status_code == 202
    server.wait(job["id"], "done")
    for strength in (0.5, 1.0):
        server.http.post(f"/api/jobs/{job['id']}/finish", json={"strength": strength})
        job = server.wait(job["id"], "done")
        assert run_here(*job["commands"]["shell"].split()[1:], "--overwrite", cwd=tmp_path).returncode == 0
        result = server.http.get(f"/api/jobs/{job['id']}/result").content
        assert result == (tmp_path / "stack_denoised.npy").read_bytes()
        assert job["verdict"]["place"] is None or len(job["verdict"]["place"]["plane"]) == 2


def test_stop_and_keep_is_made_again_from_its_recipe(server, photo, tmp_path):
    (tmp_path / "photo.png").write_bytes(photo)
    posted = server.post(photo, "photo.png", request={"settings": SETTINGS | {"steps": 100_000}}).json()
    kinds, fitting = [], 0
    with server.http.stream("GET", f"/api/jobs/{posted['id']}/events") as events:
        for line in events.iter_lines():
            kinds += [line.removeprefix("event: ")] if line.startswith("event: ") else []
            fitting += '"stage": "fit"' in line or '"stage":"fit"' in line
            if fitting == 3 and line == "":
                fitting += 1
                assert server.post(b"", "empty.png").status_code == 422  # others are served meanwhile
                assert server.http.post(f"/api/jobs/{posted['id']}/stop").status_code == 202
            if kinds and kinds[-1] in ("done", "failed"):
                break
    assert kinds[-1] == "done"
    recipe = server.http.get(f"/api/jobs/{posted['id']}/recipe").json()
    assert 0 < recipe["settings"]["stop_after"] < 100_000
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    run_here("denoise", "photo.png", "--recipe", "recipe.json", cwd=tmp_path)
    result = server.http.get(f"/api/jobs/{posted['id']}/result").content
    assert result == (tmp_path / "photo_denoised.png").read_bytes()
    commands = server.http.get(f"/api/jobs/{posted['id']}").json()["commands"]
    assert recipe["command"] == commands["shell"]
    after = recipe["settings"]["stop_after"]
    assert f"stop_after={after}" in commands["python"]
    assert f'"stop_after": {after}' in commands["curl"]
    run_here(*shlex.split(commands["shell"])[1:], "--overwrite", cwd=tmp_path)
    assert result == (tmp_path / "photo_denoised.png").read_bytes()


def test_cancelling_ends_the_worker_and_leaves_nothing(server, photo):
    running = server.post(photo, request={"settings": SETTINGS | {"steps": 100_000}}).json()
    waiting = server.post(photo).json()
    server.wait(running["id"], "running")
    (worker,) = server.workers()
    assert server.http.delete(f"/api/jobs/{running['id']}").status_code == 204
    assert server.http.get(f"/api/jobs/{running['id']}").json()["code"] == "no_such_job"
    assert not (server.folder / running["id"]).exists()
    server.wait(waiting["id"], "done")
    assert server.workers() != [worker]


def test_all_results_as_one_zip_and_one_as_a_new_input(server, job):
    answer = server.http.get("/api/results.zip", params={"ids": job["id"]})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["photo_denoised.png", "photo_denoised.png.json"]
        assert archive.read("photo_denoised.png") == server.http.get(f"/api/jobs/{job['id']}/result").content
    again = server.http.post(f"/api/jobs/{job['id']}/again").json()
    assert server.wait(again["id"], "ready")["name"] == "photo_denoised.png"
    assert server.http.get(f"/api/jobs/{again['id']}/report").json()["shape"] == [40, 48, 3]
    assert "sandbox" in server.http.get(f"/api/jobs/{again['id']}/report?html=1").headers["content-security-policy"]


def test_a_bad_file_fails_in_one_line(server):
    job = server.wait(server.post(b"GIF89a nonsense", "x.gif").json()["id"], "failed")
    assert job["error"]["code"] == "file_error"
    assert "\n" not in job["error"]["message"]


def test_events_are_taken_up_where_they_were_left(server, job):
    def first_of(last):
        headers = {"Last-Event-ID": last} if last else {}
        with server.http.stream("GET", f"/api/jobs/{job['id']}/events", headers=headers) as events:
            lines = (line for line in events.iter_lines() if line.startswith(("id: ", "event: ")))
            return int(next(lines).removeprefix("id: ")), next(lines)

    number, kind = first_of("")
    assert kind == "event: state"
    server.http.post(f"/api/jobs/{job['id']}/finish", json={"strength": 1.0})
    server.wait(job["id"], "done")
    later, kind = first_of(str(number))
    assert later > number
    assert first_of("nonsense")[1] == "event: state"


def test_unknown_options_are_refused(server, photo):
    for request in ({"colour": "red"}, {"preset": "fastest"}, {"settings": {"steps": 0}}, {"settings": {"ghosts": 1}}):
        answer = server.post(photo, request=request)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), request
