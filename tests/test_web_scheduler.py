"""Laws of the scheduler: whatever a worker process does, its job fails with a reason, and the next one is run."""

import asyncio
import sys
from io import BytesIO

import pytest

from mashpix.web import process
from mashpix.web.job import Job, new_id
from mashpix.web.store import Store
from web_server import in_process

pytestmark = pytest.mark.skipif("not __import__('pathlib').Path('/proc/self').exists()", reason="needs /proc")

WORKER = """
import json, os, shutil, sys, time
for line in sys.stdin:
    task = json.loads(line)
    what = task.get("source", "start")
    if what == "hangs": time.sleep(60)
    if what == "dies": os._exit(7)
    if what == "is killed": os.kill(os.getpid(), 9)
    if what == "needs memory": held = b"x" * 300_000_000; time.sleep(60)
    if what == "babbles": print("no JSON", flush=True)
    if what == "floods": print("x" * 5_000_000, flush=True)
    if what == "loses its folder": shutil.rmtree(task["folder"], ignore_errors=True)
    if what != "start": print(json.dumps({"kind": "result"}), flush=True)
"""
"""Stands in for the worker; the name of the file says what it does."""
REASONS = {
    "hangs": "no sign of life for 5 s",
    "dies": "the worker process died (exit code 7)",
    "is killed": "the worker process died (exit code -9)",
    "needs memory": "the worker needed too much memory",
    "babbles": "something else than messages",
    "floods": "something else than messages",
    "loses its folder": None,
}


@pytest.fixture
def command(monkeypatch):
    """The command of the worker process, which may be changed."""
    command = [sys.executable, "-S", "-c", WORKER]
    monkeypatch.setattr(process, "python_command", lambda module: command)
    return command


async def run(client, name):
    """Let a worker inspect a file of this name; return its job."""
    form = {"files": {"file": (name, b"x")}, "data": {"start": "false"}}
    job = (await client.post("/api/jobs", **form)).json()
    while job["state"] == "inspecting":
        await asyncio.sleep(0.02)
        job = (await client.get(f"/api/jobs/{job['id']}")).json()
    return job


@pytest.mark.parametrize("what", REASONS)
def test_a_bad_worker_is_replaced(tmp_path, command, what):
    async def use(_, client):
        return await run(client, "good"), await run(client, what), await run(client, "good")

    before, bad, after = in_process(tmp_path, use, hang=5.0 if what == "hangs" else 60.0, memory=2 * 10**8)
    assert before["state"] == after["state"] == "ready"
    assert bad["state"] == ("failed" if REASONS[what] else "ready"), bad["error"]
    assert REASONS[what] is None or REASONS[what] in bad["error"]["message"]


def test_a_worker_that_cannot_be_started_fails_the_job_alone(tmp_path, command):
    good = command[0]

    async def use(_, client):
        command[0] = "/no/such/python"
        bad = await run(client, "good")
        command[0] = good
        return bad, await run(client, "good")

    bad, after = in_process(tmp_path, use)
    assert (bad["error"]["code"], after["state"]) == ("no_worker", "ready")


def test_a_job_that_ended_the_server_three_times_is_given_up(tmp_path, command):
    jobs = [Job(new_id(), "x.png", state="running", task="denoise", attempts=attempts) for attempts in (2, 3)]
    for job in jobs:
        Store(tmp_path).create(job, BytesIO(b"x"))

    async def use(app, client):
        shown = {job.id: job.state for job in app.app.state.scheduler.jobs.values()}
        return [shown[job.id] for job in jobs]

    assert in_process(tmp_path, use) == ["queued", "failed"]
