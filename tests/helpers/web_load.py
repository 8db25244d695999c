"""Many clients of a web server at once, each with a picture of its own, and whether each gets its own result."""

import http.client
import io
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier

import numpy as np
from PIL import Image

from web_attacks import END, FORM_TYPE, part
from web_server import QUICK, Server, png

ADDRESSES = 10
"""Addresses that the clients come from: each has a share of the queue."""


def picture(number: int) -> np.ndarray:
    """Return the picture of a client, 24 x 24: a pattern that no other client has."""
    return np.random.default_rng(number).integers(0, 256, (6, 6), np.uint8).repeat(4, axis=0).repeat(4, axis=1)


@dataclass
class Load:
    """What clients got: statuses, seconds until the answer, and their jobs by the number of the client."""

    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    jobs: dict[int, str] = field(default_factory=dict)

    def count(self, status: int) -> int:
        """Count the answers with a status."""
        return self.statuses.count(status)


def send_at_once(server: Server, n: int, request=QUICK | {"strength": 0.3}) -> Load:
    """Let n clients send their pictures in the same moment."""
    ready = Barrier(n)

    def send(number: int) -> tuple[int, float, bytes]:
        body = (
            part(png(picture(number)), filename=f"{number}.png") + part(json.dumps(request).encode(), "request") + END
        )
        line = http.client.HTTPConnection(
            "127.0.0.1", server.port, timeout=60, source_address=(f"127.0.0.{1 + number % ADDRESSES}", 0)
        )
        ready.wait()
        started = time.monotonic()
        line.request("POST", "/api/jobs", body, {"Content-Type": FORM_TYPE})
        answer = line.getresponse()
        seconds, said = time.monotonic() - started, answer.read()
        line.close()
        assert answer.status != 429 or answer.headers["Retry-After"]
        return answer.status, seconds, said

    load = Load()
    with ThreadPoolExecutor(n) as clients:
        for number, (status, seconds, said) in enumerate(clients.map(send, range(n))):
            load.statuses.append(status)
            load.seconds.append(seconds)
            if status == 202:
                load.jobs[number] = json.loads(said)["id"]
    return load


def mixed_up(server: Server, load: Load) -> list[int]:
    """Wait for all results; return the clients whose result looks like the picture of another."""
    pictures, wrong = [picture(number) for number in range(len(load.statuses))], []
    for number, job in load.jobs.items():
        server.wait(job, "done", seconds=900)
        result = np.asarray(Image.open(io.BytesIO(server.http.get(f"/api/jobs/{job}/result").content)), float)
        likeness = [np.corrcoef(picture.ravel(), result.ravel())[0, 1] for picture in pictures]
        wrong += [number] * (int(np.argmax(likeness)) != number)
    return wrong
