"""A server of the page in a process of its own, with limits that a test can wait for, and a client for it."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
from PIL import Image

SETTINGS = {"masking_ratio": 0.5, "steps": 3, "channels": 6, "depth": 2, "masks": 2, "refine": False}
"""Settings that take a moment."""
QUICK = {"settings": SETTINGS}
FLAGS = [
    "--masking-ratio",
    "0.5",
    "--steps",
    "3",
    "--network-channels",
    "6",
    "--depth",
    "2",
    "--masks",
    "2",
    "--no-refine",
]
"""The same on a command line."""


ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
"""Of processes that import what the tests import."""


class Server:
    """A running server: its process, its address, and a client with a connection of its own."""

    def __init__(self, folder, *, port=0, options="", **limits):
        self.folder = folder
        code = (
            "from pathlib import Path\n"
            "from mashpix.web.limits import Limits, ServerOptions\nfrom mashpix.web.serving import serve\n"
            f"options = ServerOptions(folder=Path({str(folder)!r}), port={port}, device='cpu', "
            f"limits=Limits(**{limits!r}){options})\nserve(options, tell=lambda address: print(address, flush=True))"
        )
        command = [sys.executable, "-c", code]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT
        )
        self.address = self.process.stdout.readline().strip()
        self.port = urlsplit(self.address).port
        self.http = httpx.Client(base_url=self.address, timeout=30)

    def end(self, number=signal.SIGTERM):
        """End the server; return its exit code and what it had to say."""
        self.http.close()
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=20)
        return self.process.returncode, said

    def post(self, data, name="image.png", *, request=QUICK, start=True, http=None):
        """Send a file; return the answer."""
        form = {"request": json.dumps(request), "start": str(start).lower()}
        return (http or self.http).post("/api/jobs", files={"file": (name, data)}, data=form)

    def wait(self, job_id, *states, seconds=300):
        """Wait until a job is in one of the states; return it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            job = self.http.get(f"/api/jobs/{job_id}").json()
            if job["state"] in states:
                return job
            assert job["state"] not in ("failed", "done"), job
            time.sleep(0.05)
        raise AssertionError(f"still {job['state']} after {seconds} s")

    def workers(self):
        """Return the process ids of the workers."""
        return [
            int(child)
            for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def connect(self):
        """Return a raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(self, head, body=b""):
        """Send raw bytes; return the status and the answer; of a stream, what comes first."""
        answer, length = b"", None
        with self.connect() as line:
            line.sendall(head.replace(b"\n", b"\r\n") + body)
            while (length is None or len(answer) < length) and (more := line.recv(2**16)):
                answer += more
                said, end, _ = answer.partition(b"\r\n\r\n")
                found = re.search(rb"content-length: (\d+)", said)
                length = len(said + end) + int(found[1]) if found else 0 if end else None
        return int(answer.split()[1]) if answer else 0, answer[: length or None]

    def is_well(self):
        """Return whether the server answers at once."""
        started = time.monotonic()
        return self.http.get("/api/jobs").status_code == 200 and time.monotonic() - started < 2


@contextmanager
def serving(folder, **options):
    """Run a server while the block lasts."""
    server = Server(folder, **options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.end()


def in_process(folder, use, *, token=None, **limits):
    """Let a function use an application in this process, by a client for it; return what it returns."""
    from mashpix.web.app import make_app
    from mashpix.web.limits import Limits, ServerOptions

    async def run():
        app = make_app(ServerOptions(folder=folder, token=token, device="cpu", limits=Limits(**limits)))
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")
        async with app.app.router.lifespan_context(app.app), client:
            return await use(app, client)

    return asyncio.run(run())


def jobs_of(folder):
    """Return the folders of jobs."""
    return list(folder.glob("?" * 32))


def png(values):
    """Encode an image."""
    encoded = BytesIO()
    Image.fromarray(np.asarray(values)).save(encoded, "PNG")
    return encoded.getvalue()


def memory_of(pid):
    """Return the memory that a process holds, in MB."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024
