"""Run a job to its end, here or in a thread; stopping early leaves nothing behind."""

import queue
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from typing import Any, TypeVar

from mashpix.steps import drain, relay

Yielded = TypeVar("Yielded")
Returned = TypeVar("Returned")

PATIENCE = 10.0
"""Seconds to wait for the thread to close a job that is stopped early: its current stage must end first."""
LOOK_EVERY = 0.05
"""Seconds between two checks whether a stopped thread has ended."""


def run(job: Generator[Yielded, None, Returned], *, show: Callable[[Yielded], object] | None = None) -> Returned:
    """Run a job to its end, show every event, and return the outcome.

    If `show` raises, or on Ctrl-C, the job is closed.

    Examples
    --------
    >>> def job():
    ...     yield "half"
    ...     return "done"
    >>> run(job(), show=print)
    half
    'done'
    """
    with closing(relay(job, show or (lambda event: None))) as events:
        return drain(events)


def in_background(
    job: Generator[Yielded, None, Returned], *, patience: float = PATIENCE
) -> Generator[Yielded, None, Returned]:
    """Run a job in a thread of its own, so that waiting for its events can be interrupted at any time.

    Closing this generator, or an error in it such as Ctrl-C, closes the job in its thread as soon as it reaches its
    next event, and waits for that up to `patience` seconds. The thread works at most one event ahead.
    """
    results: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=1)
    is_stopped = threading.Event()
    thread = threading.Thread(target=_work, args=(job, results, is_stopped), name="mashpix job", daemon=True)
    thread.start()
    try:
        while True:
            try:
                kind, value = results.get(timeout=0.2)  # without a limit, Ctrl-C has no effect on Windows
            except queue.Empty:
                continue
            if kind == "error":
                raise value
            if kind == "outcome":
                outcome: Returned = value
                return outcome
            yield value
    finally:
        is_stopped.set()
        until = time.monotonic() + patience
        while thread.is_alive() and time.monotonic() < until:
            with suppress(queue.Empty):
                results.get_nowait()  # the thread may be waiting for room in the queue
            thread.join(LOOK_EVERY)


def _work(
    job: Generator[object, None, object], results: "queue.Queue[tuple[str, Any]]", is_stopped: threading.Event
) -> None:
    """Thread's side: put events in order, then the outcome or the error."""
    try:
        with closing(job):
            while not is_stopped.is_set():
                results.put(("event", next(job)))
    except StopIteration as stop:
        results.put(("outcome", stop.value))
    except BaseException as error:  # raised in the thread that waits for the job
        results.put(("error", error))
