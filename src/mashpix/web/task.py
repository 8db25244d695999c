"""One thing that a worker process does for a job, and how its job is followed."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mashpix.jobs import Event, Note, Step
from mashpix.web.asked import Asked

Returned = TypeVar("Returned")

PROGRESS_EVERY = 0.2
"""Seconds between two messages of progress."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One thing to do, as the server sends it.

    do : "inspect", "denoise" or "finish"
    folder, source, target : of the job, and the names of its files in "source" and "result"
    asked : the request JSON
    command : the command line that makes the same result
    finish : strength and detail
    image : what the inspection found
    max_pixels : of a plane
    device : of this worker
    send : sends a message to the server
    stop : set when the result is wanted now
    """

    do: str
    folder: str
    source: str
    target: str
    asked: dict[str, Any]
    command: str
    finish: dict[str, float]
    image: dict[str, Any] | None
    max_pixels: int
    device: str
    send: Callable[[str, dict[str, Any]], None]
    stop: threading.Event

    @property
    def source_path(self) -> Path:
        """The uploaded file."""
        return Path(self.folder, "source", self.source)

    @property
    def target_path(self) -> Path:
        """The result."""
        return Path(self.folder, "result", self.target)

    @property
    def base(self) -> Path:
        """The denoised image before strength and detail, without any loss."""
        return Path(self.folder, "base.npy")

    @property
    def reading(self) -> dict[str, Any]:
        """The options of all requests: how to read the file."""
        asked = Asked(**self.asked)
        how = {"axes": asked.axes, "channels": asked.channels, "max_pixels": self.max_pixels}
        return how | {"source": self.source_path, "overwrite": True}


def follow(task: Task, job: Generator[Event, None, Returned]) -> Returned:
    """Run a job; send its notes, and its progress now and then."""
    started, last = time.monotonic(), 0.0
    with closing(job):
        while True:
            try:
                event = next(job)
            except StopIteration as stop:
                returned: Returned = stop.value
                return returned
            now = time.monotonic()
            if isinstance(event, Note):
                task.send("note", {"text": event.text, "severity": event.severity})
            elif isinstance(event, Step) and now - last >= PROGRESS_EVERY:
                last, done = now, event.fraction
                left = (now - started) * (1 - done) / done if done > 0 else None
                where = {"stage": event.stage, "index": event.index, "total": event.total}
                task.send("progress", where | {"fraction": round(done, 4), "seconds_left": left})
