"""Worker processes that run one job at a time: one that dies costs the file it had, not the batch."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic

from mashpix.jobs.batch.executor import LOOK_EVERY, Result, Run, Task, WorkerMessage
from mashpix.jobs.events import Event
from mashpix.report import Step

MAX_ATTEMPTS = 2
"""How often a task is tried whose process dies."""


@dataclass(frozen=True)
class ProcessExecutor:
    """Runs tasks in processes of this machine: an `Executor`.

    jobs : tasks at a time
    threads : processor threads of all processes together; None: one per core, or for one job what torch takes
    """

    jobs: int = 1
    threads: int | None = None

    def __call__(
        self, run: Run[Task, Result], tasks: Iterator[Task | None], *, at_once: int | None = None
    ) -> Generator[WorkerMessage[Task, Result] | None, None, None]:
        """Run all tasks; closing the generator kills the processes."""
        jobs = min(self.jobs, at_once or self.jobs)
        return _run_workers(run, tasks, jobs=jobs, threads=self.threads_each(jobs))

    def threads_each(self, jobs: int) -> int | None:
        """Threads of each process where so many work at the same time; None for what torch takes."""
        return self.threads if jobs == 1 else max((self.threads or os.cpu_count() or 1) // jobs, 1)


@dataclass(frozen=True)
class _Worker:
    """A process, and this end of the line to it."""

    process: SpawnProcess
    line: Connection


@dataclass(frozen=True)
class _Assignment(Generic[Task]):
    """A worker, its task, and which attempt at the task it is, from 1."""

    worker: _Worker
    task: Task
    attempt: int


def _run_workers(
    run: Run[Task, Result], tasks: Iterator[Task | None], *, jobs: int, threads: int | None
) -> Generator[WorkerMessage[Task, Result] | None, None, None]:
    """Run tasks in up to `jobs` processes of `threads` threads each."""
    idle: list[_Worker] = []
    busy: dict[Any, _Assignment[Task]] = {}
    again: deque[tuple[Task, int]] = deque()
    more = True
    try:
        while True:
            while len(busy) < jobs and (again or more):
                try:
                    task, attempt = again.popleft() if again else (next(tasks), 1)
                except StopIteration:
                    more = False
                    break
                if task is None:
                    break
                worker = idle.pop() if idle else _start(run, threads)
                busy[worker.line] = _Assignment(worker, task, attempt)
                with contextlib.suppress(OSError):  # it has died meanwhile: seen below
                    worker.line.send((task, attempt))
            if not busy and not more and not again:
                return
            if not busy:
                time.sleep(LOOK_EVERY)
            for line in wait(list(busy), timeout=LOOK_EVERY):
                at = busy[line]
                message = _receive(at)
                if message is not None and message.event is not None:
                    yield message
                    continue
                del busy[line]
                if message is not None:
                    idle.append(at.worker)
                    yield message
                elif at.attempt < MAX_ATTEMPTS:
                    again.append((at.task, at.attempt + 1))
                else:
                    code = at.worker.process.exitcode
                    death = f"its process died (exit code {code}; tried {MAX_ATTEMPTS} times)"
                    yield WorkerMessage(at.task, death=death)
            yield None
    finally:
        for worker in [*idle, *(at.worker for at in busy.values())]:
            _end(worker)


def _start(run: Run[Task, Result], threads: int | None) -> _Worker:
    """Start a process that is deaf to Ctrl-C: this one hears it and ends the others."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, run, threads), daemon=True)
    with _held_back():
        if hasattr(signal, "pthread_sigmask"):
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        else:
            process.start()
    theirs.close()
    return _Worker(process, ours)


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Hear signals that end the run only after the block: half a start leaves a process that has nothing to read."""
    if threading.current_thread() is not threading.main_thread():  # where Python hears signals
        yield
        return
    heard: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if heard:
            signal.raise_signal(heard[0])


def _receive(at: _Assignment[Task]) -> WorkerMessage[Task, Any] | None:
    """The next message of a worker, or None if it has died."""
    try:
        event, result = at.worker.line.recv()
        return WorkerMessage(at.task, event, result)
    except (EOFError, OSError):
        at.worker.line.close()
        at.worker.process.join()
        return None


def _end(worker: _Worker) -> None:
    worker.process.kill()  # outputs are written in one step or not at all
    worker.process.join()
    worker.line.close()


def _serve(line: Connection, run: Run[Task, Result], threads: int | None) -> None:
    """The worker's side: tasks in, events and results out, until the other end is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    with contextlib.suppress(EOFError, OSError):
        while True:
            task, attempt = line.recv()
            line.send((None, _run_task(line, run(task, attempt))))


def _run_task(line: Connection, work: Generator[Event, None, Result]) -> Result:
    """Run a task to its end and send its events: each note and path, and how far it is now and then."""
    last = time.monotonic()
    while True:
        try:
            event = next(work)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        if isinstance(event, Step):
            if time.monotonic() - last < LOOK_EVERY:
                continue
            last = time.monotonic()
            event = replace(event, loss=None, denoised=None, spread=None, report=None)
        line.send((event, None))


def _end_with_parent() -> None:
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os._exit(1)
