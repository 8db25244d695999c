"""What the command line says on the way: errors in one line, progress with the time left."""

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import typer

from mashpix.errors import spelled
from mashpix.report import Step

Yielded = TypeVar("Yielded")

LOG_EVERY = 60.0
"""Seconds between two lines of progress where there is no terminal."""
SPEED_OVER = 86_400.0
"""Seconds over which the time left is estimated: the whole run, since one step may take minutes."""


def complain(message: str, *, name: str | None = None) -> None:
    """One line on stderr: `mashpix: <repr(name)>: <what>`."""
    line = " ".join(spelled(message, spell_flag).split())
    typer.echo(f"mashpix: {name!r}: {line}" if name is not None else f"mashpix: {line}", err=True)


def spell_flag(option: str) -> str:
    """How the command line spells an option."""
    return "--" + option.replace("_", "-")


def in_background(steps: Iterator[Yielded]) -> Iterator[Yielded]:
    """Run a generator in a thread, so that Ctrl-C is heard at once and not after a network update."""
    results: queue.Queue[Yielded | BaseException | None] = queue.Queue(maxsize=1)

    def work() -> None:
        try:
            for step in steps:
                results.put(step)
            results.put(None)
        except BaseException as error:  # handed to the main thread
            results.put(error)

    threading.Thread(target=work, daemon=True).start()
    while True:
        try:
            result = results.get(timeout=0.2)
        except queue.Empty:
            continue
        if result is None:
            return
        if isinstance(result, BaseException):
            raise result
        yield result


@contextmanager
def progress(name: str) -> Iterator[Callable[[Step], None]]:
    """A function that shows a step: a bar with the time left on a terminal, a line now and then elsewhere."""
    if sys.stderr and sys.stderr.isatty():  # a program without a terminal may have no stderr
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
        bar = Progress(
            *columns,
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            speed_estimate_period=SPEED_OVER,
            redirect_stdout=sys.stdout.isatty(),  # lines above the bar, but not those meant for a file
        )
        with bar:
            task = bar.add_task("starting", total=1.0)
            yield lambda step: bar.update(
                task, completed=step.fraction, description=f"{step.stage} {step.index}/{step.total}"
            )
        return
    started = last = time.monotonic()

    def log(step: Step) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LOG_EVERY and step.fraction > 0:
            last = now
            left = (now - started) * (1 - step.fraction) / step.fraction
            typer.echo(f"mashpix: {name!r}: {step.stage} {step.index}/{step.total}, {left:.0f} s left", err=True)

    yield log
