"""Laws of the web server at real work: a hundred clients at once, a restart, bombs, workers that are killed."""

import os
import signal

import numpy as np
import pytest

from bad_files import BAD
from web_load import mixed_up, picture, send_at_once
from web_server import QUICK, SETTINGS, Server, memory_of, png, serving

pytestmark = [
    pytest.mark.web,
    pytest.mark.skipif("not __import__('pathlib').Path('/proc/self').exists()", reason="needs /proc"),
]
LONG = {"settings": SETTINGS | {"steps": 100_000}}


def test_of_a_hundred_clients_each_is_answered_at_once_and_gets_its_own_image(tmp_path):
    with serving(tmp_path / "jobs", queue=12, share=3) as server:
        first = server.post(png(picture(0)), request=QUICK | {"strength": 0.3}).json()  # so that a worker runs
        load = send_at_once(server, 100)
        assert set(load.statuses) == {202, 429}
        assert 11 <= load.count(202) <= 13
        assert max(load.seconds) < max(1, os.getloadavg()[0] / os.cpu_count())  # of a machine to itself
        assert mixed_up(server, load) == []
        server.wait(first["id"], "done")
        assert memory_of(server.process.pid) < 150
        assert server.is_well()


def test_a_killed_server_goes_on_where_it_was(tmp_path):
    image = png(picture(1))
    before = Server(tmp_path)
    done = before.wait(before.post(image).json()["id"], "done")
    middling = {"settings": SETTINGS | {"steps": 300}}
    running, queued = (before.post(image, request=middling).json()["id"] for _ in range(2))
    twin, draft = before.post(image).json()["id"], before.post(image, start=False).json()["id"]
    before.wait(running, "running")
    before.end(signal.SIGKILL)
    with serving(tmp_path) as after:
        assert after.http.get(f"/api/jobs/{done['id']}").json()["outcome"] == done["outcome"]
        assert after.wait(twin, "done")["outcome"]["sha256"] == done["outcome"]["sha256"]
        assert after.wait(draft, "ready")["inspection"]
        one, other = (after.wait(job, "done")["outcome"]["sha256"] for job in (running, queued))
        assert one == other != done["outcome"]["sha256"]
        assert all(len(job["notes"]) == len(done["notes"]) for job in after.http.get("/api/jobs").json()["jobs"][:2])


def test_bombs_and_killed_workers_fail_their_job_alone(tmp_path):
    with serving(tmp_path / "jobs", memory=600 * 2**20) as server:
        for name in ("PNG bomb", "JPEG bomb", "NPZ bomb", "TIFF of 2^62 pixels", "TIFF with a tile of 2^60"):
            job = server.wait(server.post(BAD[name][0]).json()["id"], "failed")
            assert job["error"]["code"] == "file_error", name
            assert "\n" not in job["error"]["message"]
        (worker,) = server.workers()
        running = server.post(png(picture(1)), request=LONG).json()["id"]
        server.wait(running, "running")
        os.kill(worker, signal.SIGKILL)
        assert "died (exit code -9)" in server.wait(running, "failed")["error"]["message"]
        large = server.post(png(np.zeros((4000, 4000, 3), np.uint8)), start=False).json()["id"]
        assert "memory" in server.wait(large, "failed")["error"]["message"]
        assert server.wait(server.post(png(picture(1))).json()["id"], "done")["outcome"]
        assert worker not in server.workers()
        assert server.is_well()
