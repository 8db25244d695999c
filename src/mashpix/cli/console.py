"""Messages of the command line: errors and remarks in one line, progress with the time left."""

import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import typer

from mashpix.durations import format_duration
from mashpix.errors import MashpixError, spelled
from mashpix.jobs import Event, Note, Step, in_background, run

Returned = TypeVar("Returned")

LOG_EVERY = 60.0
"""Seconds between two lines of progress without a terminal."""
SPEED_OVER = 86_400.0
"""Seconds over which the time left is estimated: the whole run, since one step may take minutes."""
PATIENCE = 0.5
"""Seconds that Ctrl-C waits for a job to close; one that is still busy then ends with the process."""


def complain(message: str, *, name: str | None = None) -> None:
    """Print one line on stderr: `mashpix: <repr(name)>: <what>`."""
    line = " ".join(spelled(message, spell_flag).split())
    typer.echo(f"mashpix: {name!r}: {line}" if name is not None else f"mashpix: {line}", err=True)


@contextmanager
def errors_name(source: Path, *, unless: tuple[type[MashpixError], ...] = ()) -> Iterator[None]:
    """End the command with errors in one line that names the file, `unless` they are about an option."""
    try:
        yield
    except unless:
        raise
    except MashpixError as error:
        complain(str(error), name=str(source))
        raise typer.Exit(error.exit_code) from None


def spell_flag(option: str) -> str:
    """Spell an option as on the command line."""
    return "--" + option.replace("_", "-")


def use_threads(threads: int | None) -> None:
    """Set the number of torch's processor threads; None keeps one per core, and does not load torch yet."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def follow(job: Generator[Event, None, Returned], name: str, *, notes_of: str | None = None) -> Returned:
    """Run a job; show its progress, and its remarks on stderr, those on one file with its name.

    It runs in a thread, so that Ctrl-C takes effect at once and not after a network update.
    """
    with progress(name) as show_step:

        def show(event: Event) -> None:
            if isinstance(event, Step):
                show_step(event)
            elif isinstance(event, Note):
                complain(event.text, name=notes_of)

        return run(in_background(job, patience=PATIENCE), show=show)


@contextmanager
def progress(name: str) -> Iterator[Callable[[Step], None]]:
    """Return a function that shows a step: a bar with the time left on a terminal, occasional lines elsewhere."""
    if sys.stderr and sys.stderr.isatty():  # a program without a terminal may lack stderr
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
        bar = Progress(
            *columns,
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            speed_estimate_period=SPEED_OVER,
            redirect_stdout=sys.stdout.isatty(),  # above the bar, except for lines meant for a file
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
            left = format_duration((now - started) * (1 - step.fraction) / step.fraction)
            typer.echo(f"mashpix: {name!r}: {step.stage} {step.index}/{step.total}, {left} left", err=True)

    yield log
