"""Worker processes that run one job at a time: if one dies, its file fails, not the batch."""

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
"""Number of attempts at a task whose process dies."""


@dataclass(frozen=True)
class ProcessExecutor:
    """An `Executor` that runs tasks in processes on this machine.

    jobs : number of tasks at a time
    threads : CPU threads of all processes together; None: one per core, or for one job torch's default
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
        """Return the threads per process for this number of concurrent tasks; None for torch's default."""
        return self.threads if jobs == 1 else max((self.threads or os.cpu_count() or 1) // jobs, 1)


@dataclass(frozen=True)
class _Worker:
    """A process, and this end of the connection to it."""

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
    try:
        while True:
            while len(busy) < jobs:
                try:
                    following = _next(tasks, again)
                except StopIteration:
                    if not busy:
                        return
                    break
                if following is None:
                    break
                worker = idle.pop() if idle else _start(run, threads)
                busy[worker.line] = _Assignment(worker, *following)
                with contextlib.suppress(OSError):  # it has died meanwhile: handled below
                    worker.line.send(following)
            if not busy:
                time.sleep(LOOK_EVERY)
            for line in wait(list(busy), timeout=LOOK_EVERY):
                message = _receive(busy[line])
                if message is not None and message.event is not None:
                    yield message
                    continue
                at = busy.pop(line)
                if message is not None:
                    idle.append(at.worker)
                    yield message
                elif at.attempt < MAX_ATTEMPTS:
                    again.append((at.task, at.attempt + 1))
                else:
                    code = at.worker.process.exitcode
                    yield WorkerMessage(at.task, death=f"its process died (exit code {code}; tried {at.attempt} times)")
            yield None
    finally:
        for worker in [*idle, *(at.worker for at in busy.values())]:
            _end(worker)


def _next(tasks: Iterator[Task | None], again: deque[tuple[Task, int]]) -> tuple[Task, int] | None:
    """Return the next task and its attempt; None if there is none at the moment, `StopIteration` after the last."""
    if again:
        return again.popleft()
    task = next(tasks)
    return None if task is None else (task, 1)


def _start(run: Run[Task, Result], threads: int | None) -> _Worker:
    """Start a process that ignores Ctrl-C: this process handles it and ends the others."""
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
    """Delay signals that end the run until after the block: an interrupted start would leave an idle process."""
    if threading.current_thread() is not threading.main_thread():  # Python handles signals there only
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
    """Return the next message of a worker, or None if it has died."""
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
    """Worker's side: receive tasks, send events and results, until the connection closes."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    with contextlib.suppress(EOFError, OSError):
        while True:
            task, attempt = line.recv()
            line.send((None, _run_task(line, run(task, attempt))))


def _run_task(line: Connection, work: Generator[Event, None, Result]) -> Result:
    """Run a task to its end and send its events: each note and path, and occasional progress."""
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
