"""Worker processes that denoise one picture at a time: one that dies costs the picture it had, not the batch."""

import contextlib
import io
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from mashpix.errors import FileError, MashpixError
from mashpix.files.atomic import remove
from mashpix.jobs.batch.items import Item, stamp_of
from mashpix.report import Step

LOOK_EVERY = 0.2
"""Seconds between two looks at whether there is more to do, and between two messages of one worker."""
ATTEMPTS = 2
"""How often a picture is tried whose process dies."""

Denoise = Callable[..., None]
"""Takes a source, a target, `replace_outputs` and `show`; writes all outputs. It must be picklable."""


@dataclass(frozen=True)
class Answer:
    """What a worker says of an item: how far it is, or how it ended.

    fraction : share of the item that is done
    ended : whether this is the last that is heard of the item
    begun : whether it got as far as writing
    stamp : size and time of change (ns) of the input before it was read
    error : why it failed
    seconds : that it took
    said, complained : what it wrote to stdout and stderr
    """

    fraction: float = 0.0
    ended: bool = False
    begun: bool = False
    stamp: tuple[int, int] | None = None
    error: str | None = None
    seconds: float = 0.0
    said: str = ""
    complained: str = ""


@dataclass(frozen=True)
class Worker:
    """A process, and our end of the line to it."""

    process: SpawnProcess
    line: Connection


def run_workers(
    items: Iterator[Item | None], denoise: Denoise, *, jobs: int
) -> Generator[tuple[Item | None, Answer], None, None]:
    """Denoise items in up to `jobs` processes; closing the generator kills them.

    Parameters
    ----------
    items : iterator of Item or None
        Asked for an item whenever a process is free; None means that there is none at the moment.
    denoise : callable
        See `Denoise`.
    jobs : int
        Processes at a time.

    Yields
    ------
    (Item, Answer)
        Every LOOK_EVERY or more often; the item is None when nothing has happened.
    """
    idle: list[Worker] = []
    busy: dict[Connection, tuple[Worker, Item, int]] = {}
    again: deque[tuple[Item, int]] = deque()
    more = True
    try:
        while True:
            while len(busy) < jobs and (again or more):
                try:
                    item, attempt = again.popleft() if again else (next(items), 1)
                except StopIteration:
                    more = False
                    break
                if item is None:
                    break
                worker = idle.pop() if idle else _start(denoise)
                busy[worker.line] = worker, item, attempt
                with contextlib.suppress(OSError):  # it has died meanwhile: seen below
                    worker.line.send(item)
            if not busy and not more and not again:
                return
            if not busy:
                time.sleep(LOOK_EVERY)
            for line in wait(list(busy), timeout=LOOK_EVERY):
                worker, item, attempt = busy[line]  # type: ignore[index]
                answer = _hear(worker)
                if answer is not None and not answer.ended:
                    yield item, answer
                    continue
                del busy[worker.line]
                if answer is not None:
                    idle.append(worker)
                    yield item, answer
                elif attempt < ATTEMPTS:
                    again.append((replace(item, replace=True), attempt + 1))  # what is there now is its own
                else:
                    death = f"its process died (exit code {worker.process.exitcode}; tried {ATTEMPTS} times)"
                    yield item, Answer(ended=True, begun=True, error=death)
            yield None, Answer()
    finally:
        for worker in [*idle, *(worker for worker, _, _ in busy.values())]:
            _end(worker)


def _start(denoise: Denoise) -> Worker:
    """Start a process that is deaf to Ctrl-C: this one hears it and ends the others."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, denoise), daemon=True)
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
    return Worker(process, ours)


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


def _hear(worker: Worker) -> Answer | None:
    """The next answer of a worker, or None if it has died."""
    try:
        answer: Answer = worker.line.recv()
        return answer
    except (EOFError, OSError):
        worker.line.close()
        worker.process.join()
        return None


def _end(worker: Worker) -> None:
    worker.process.kill()  # outputs are written at once or not at all
    worker.process.join()
    worker.line.close()


def _serve(line: Connection, denoise: Denoise) -> None:
    """The worker's side: items in, answers out, until the other end is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while True:
            line.send(_denoise_item(line.recv(), denoise, line))


def _end_with_parent() -> None:
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os._exit(1)


def _denoise_item(item: Item, denoise: Denoise, line: Connection) -> Answer:
    """Denoise one item, tell on the way how far it is, and never fail."""
    said, complained = io.StringIO(), io.StringIO()
    started = last = time.monotonic()
    begun, error, stamp = False, None, None

    def show(step: Step) -> None:
        nonlocal last
        if time.monotonic() - last >= LOOK_EVERY:
            last = time.monotonic()
            line.send(Answer(fraction=step.fraction))

    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        try:
            _prepare(item)
            begun = True
            stamp = stamp_of(item.source)
            denoise(item.source, item.target, replace_outputs=item.replace, show=show)
            if stamp_of(item.source) != stamp:
                for path in item.outputs:
                    remove(path)
                error = "it changed while it was denoised (its outputs are removed; denoise it again)"
        except MashpixError as problem:
            error = str(problem)
        except OSError as problem:  # it vanished
            error = f"cannot be read ({problem.strerror})"
        except Exception as problem:  # a failed file, not the end of the others
            error = f"{type(problem).__name__}: {problem}"
    seconds = time.monotonic() - started
    return Answer(1.0, True, begun, stamp, error, seconds, said.getvalue(), complained.getvalue())


def _prepare(item: Item) -> None:
    """Make the folder of the outputs; refuse outputs that are there and not ours."""
    for path in item.outputs:
        if os.path.lexists(path) and not item.replace:
            raise FileError(f"the output exists ({str(path)!r}; --overwrite replaces it)")
    try:
        item.target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot write there ({str(item.target.parent)!r}; {error.strerror})") from None
