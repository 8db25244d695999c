"""The worker process: it reads tasks as JSON lines, runs jobs of mashpix, and writes what happens as JSON lines."""

import contextlib
import json
import os
import queue
import signal
import sys
import threading
from typing import Any

from mashpix.errors import MashpixError
from mashpix.web.task import Task
from mashpix.web.tasks import run_task

SLACK = 2 * 2**30
"""Bytes beyond the memory limit that the system may give out: memory that is reserved and never touched counts too."""


def main() -> None:
    """Serve one task after another until the server closes the connection, or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this process
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print must not mix with answers
    tasks: queue.Queue[dict[str, Any]] = queue.Queue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(tasks, stop), daemon=True).start()

    def send(kind: str, data: dict[str, Any]) -> None:
        answers.write(json.dumps({"kind": kind} | data) + "\n")

    start = tasks.get()
    _limit_memory(start["memory"])
    while True:
        task = Task(device=start["device"], send=send, stop=stop, **tasks.get())
        try:
            send("result", run_task(task))
        except MashpixError as error:
            send("error", {"code": _code_of(error), "message": str(error)})
        except Exception as error:
            send("error", {"code": "internal", "message": f"{type(error).__name__}: {error}"})


def _listen(tasks: "queue.Queue[dict[str, Any]]", stop: threading.Event) -> None:
    """Read messages; when the server is gone, so is this process."""
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if message.get("stop"):
            stop.set()
        else:
            stop.clear()
            tasks.put(message)
    os._exit(0)


def _limit_memory(limit: int | None) -> None:
    """Let the system refuse more memory than that, where it can: the job then fails with a clear line."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        if limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit + SLACK, limit + SLACK))


def _code_of(error: MashpixError) -> str:
    """Return the code of an error in the API: "file_error", "usage_error", ...

    Examples
    --------
    >>> from mashpix.errors import FileError
    >>> _code_of(FileError("empty"))
    'file_error'
    """
    return type(error).__name__.removesuffix("Error").lower() + "_error"
