"""Attack a web server in every way of the HTTP table of faults, and count what it answers; then 100 clients at once.

    PYTHONPATH=src:tests/helpers python benchmarks/web_abuse.py            # about three minutes

A row is an attack: how often it was sent, how that ended (refused with 4xx, connection closed, accepted with 2xx,
failed with 5xx), the seconds of the slowest, the memory of the server afterwards, and whether it answered at once then.
"""

import os
import signal
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from _common import Table
from bad_files import BAD
from web_attacks import LIMITS, REQUESTS, SLOW, hold, leave, spools_of
from web_load import mixed_up, picture, send_at_once
from web_server import SETTINGS, Server, jobs_of, memory_of, png, serving

COLUMNS = ("attack", "sent", "refused", "closed", "accepted", "failed", "slowest_s", "memory_mb", "alive")
REPEATS, CONNECTIONS, CLIENTS = 20, 30, 100
BOMBS = ("PNG bomb", "JPEG bomb", "NPZ bomb", "TIFF of 2^62 pixels", "TIFF with a tile of 2^60")


def add(table: Table, server: Server, attack: str, statuses: list[int], seconds: Iterable[float]) -> None:
    """Add the row of an attack."""
    kinds = [status // 100 for status in statuses]
    counts = [sum(kind in which for kind in kinds) for which in ((3, 4), (0,), (2,), (5,))]
    memory, alive = round(memory_of(server.process.pid)), server.is_well()
    table.add(attack, len(statuses), *counts, round(max(seconds, default=0.0), 2), memory, alive)


def attack(table: Table, server: Server) -> None:
    """Send bad requests, hold connections, and leave."""
    for name, request in REQUESTS.items():
        statuses, seconds = [], []
        for _ in range(REPEATS):
            started = time.monotonic()
            statuses.append(request.send(server)[0])
            seconds.append(time.monotonic() - started)
        add(table, server, name, statuses, seconds)
    for name, begin in SLOW.items():
        ended = hold(server, begin, CONNECTIONS, seconds=120)
        add(table, server, name, [0] * ended.closed + [200] * (ended.sent - ended.closed), [ended.seconds])
    leave(server, CONNECTIONS)
    time.sleep(5)
    left = max(spools_of(server), len(jobs_of(server.folder)))
    add(table, server, "client that leaves in mid-upload", [0] * (CONNECTIONS - left) + [200] * left, [])


def trouble(table: Table, server: Server) -> None:
    """Send bombs, and kill the worker at its work; an accepted job was done, a failed one lost its worker."""
    for name in BOMBS:
        started, job = time.monotonic(), server.post(BAD[name][0], "x.png").json()
        state = server.wait(job["id"], "failed", "done")["state"]
        add(table, server, name, [400 if state == "failed" else 200], [time.monotonic() - started])
    job = server.post(png(picture(0)), request={"settings": SETTINGS | {"steps": 100_000}}).json()
    server.wait(job["id"], "running")
    os.kill(server.workers()[0], signal.SIGKILL)
    lost = server.wait(job["id"], "failed", "done")["state"] == "failed"
    after = server.wait(server.post(png(picture(0))).json()["id"], "failed", "done")["state"]
    add(table, server, "worker killed at its work, and the next job", [500 * lost or 200, 200 * (after == "done")], [])


def crowd(table: Table, server: Server) -> None:
    """Let all clients send at once, twice: to an idle server, and to a busy one; wait for all results."""
    for when in ("idle", "busy"):
        load = send_at_once(server, CLIENTS)
        add(table, server, f"{CLIENTS} clients at once, {when} server", load.statuses, load.seconds)
        if when == "idle":
            first = load
    started, wrong = time.monotonic(), mixed_up(server, first)
    statuses = [500 if number in wrong else 200 for number in first.jobs]
    add(table, server, "their results, of which none may be that of another", statuses, [time.monotonic() - started])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        with serving(Path(folder, "attacked"), **LIMITS) as server:
            add(table, server, "no attack: before any job", [], [])
            attack(table, server)
        with serving(Path(folder, "used"), idle=5.0) as server:
            trouble(table, server)
            crowd(table, server)
            while server.workers():
                time.sleep(0.5)
            add(table, server, "no attack: after the worker has ended", [], [])


if __name__ == "__main__":
    main()
