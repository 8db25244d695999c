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
from typing import Any

from mashpix.jobs import background
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


@dataclass
class _Worker:
    """A process, this end of the connection to it, its task, and which attempt at the task it is, from 1."""

    process: SpawnProcess
    line: Connection
    task: Any = None
    attempt: int = 0


def _run_workers(
    run: Run[Task, Result], tasks: Iterator[Task | None], *, jobs: int, threads: int | None
) -> Generator[WorkerMessage[Task, Result] | None, None, None]:
    """Run tasks in up to `jobs` processes of `threads` threads each."""
    idle: list[_Worker] = []
    busy: dict[Any, _Worker] = {}
    again: deque[tuple[Task, int]] = deque()
    over: Any = object()
    try:
        while True:
            while len(busy) < jobs:
                task, attempt = again.popleft() if again else (next(tasks, over), 1)
                if task is over and not busy:
                    return
                if task is None or task is over:
                    break
                worker = idle.pop() if idle else _start(run, threads)
                worker.task, worker.attempt = task, attempt
                busy[worker.line] = worker
                with contextlib.suppress(OSError):  # it has died meanwhile: handled below
                    worker.line.send((task, attempt))
            if not busy:
                time.sleep(LOOK_EVERY)
            for line in wait(list(busy), timeout=LOOK_EVERY):
                worker = busy[line]
                message = _receive(worker)
                if message is not None:
                    if message.event is None:
                        idle.append(busy.pop(line))
                    yield message
                    continue
                del busy[line]
                if worker.attempt < MAX_ATTEMPTS:
                    again.append((worker.task, worker.attempt + 1))
                else:
                    how = f"exit code {worker.process.exitcode}; tried {worker.attempt} times"
                    yield WorkerMessage(worker.task, death=f"its process died ({how})")
            yield None
    finally:
        for worker in [*idle, *busy.values()]:
            _end(worker)


def _start(run: Run[Any, Any], threads: int | None) -> _Worker:
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


def _receive(worker: _Worker) -> WorkerMessage[Any, Any] | None:
    """Return the next message of a worker, or None if it has died."""
    try:
        event, result = worker.line.recv()
        return WorkerMessage(worker.task, event, result)
    except (EOFError, OSError):
        worker.line.close()
        worker.process.join()
        return None


def _end(worker: _Worker) -> None:
    worker.process.kill()  # outputs are written in one step or not at all
    worker.process.join()
    worker.line.close()


def _serve(line: Connection, run: Run[Any, Any], threads: int | None) -> None:
    """Worker's side: receive tasks, send their events and results, until the connection closes."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    last = time.monotonic()

    def send(event: Event) -> None:
        """Send each note and path, and occasional progress."""
        nonlocal last
        if isinstance(event, Step):
            if time.monotonic() - last < LOOK_EVERY:
                return
            last = time.monotonic()
            event = replace(event, loss=None, denoised=None, spread=None, report=None)
        line.send((event, None))

    with contextlib.suppress(EOFError, OSError):
        while True:
            task, attempt = line.recv()
            line.send((None, background.run(run(task, attempt), show=send)))


def _end_with_parent() -> None:
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os._exit(1)
