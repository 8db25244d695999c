"""Who runs the jobs of a batch: the contract for executors, and the smallest one, which runs them in this process."""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from mashpix.jobs.events import Event
from mashpix.steps import relay

Task = TypeVar("Task")
Result = TypeVar("Result")

Run = Callable[[Task, int], Generator[Event, None, Result]]
"""Runs a task and returns its result; it never raises. The second argument counts the attempts, from 1: after the death
of a process, what it left of the outputs may be replaced."""

LOOK_EVERY = 0.2
"""Seconds between two looks for more to do, and between two progress messages of one task."""


@dataclass(frozen=True)
class WorkerMessage(Generic[Task, Result]):
    """News of a task: an event on its way, or one of the two ways in which it ends.

    task : which
    event : on its way: progress (a `Step` without arrays), a note, or a file that was written
    result : at its end
    death : if it ended without a result: how the process that ran it died
    """

    task: Task
    event: Event | None = None
    result: Result | None = None
    death: str | None = None


class Executor(Protocol):
    """Runs tasks somewhere: in this process, in worker processes, on the machines of a cluster.

    Tasks, results and the function that runs them are picklable; nothing else is shared but the files.
    """

    def __call__(
        self, run: Run[Task, Result], tasks: Iterator[Task | None], *, at_once: int | None = None
    ) -> Generator[WorkerMessage[Task, Result] | None, None, None]:
        """Run all tasks; closing the generator ends those that are running.

        Parameters
        ----------
        run : callable
            See `Run`.
        tasks : iterator
            Asked for a task whenever one can be started; None means that there is none at the moment.
        at_once : int, optional
            Run at most so many tasks at the same time, with the resources of all; default: as many as there are places.

        Yields
        ------
        WorkerMessage or None
            News as it arrives; None now and then, at least every `LOOK_EVERY` seconds where that is possible.
        """
        ...


def run_in_process(
    run: Run[Task, Result], tasks: Iterator[Task | None], *, at_once: int | None = None
) -> Generator[WorkerMessage[Task, Result] | None, None, None]:
    """Run tasks one after another in this process: an `Executor` for programs and tests."""
    for task in tasks:
        if task is None:
            yield None
            time.sleep(LOOK_EVERY)
        else:
            result = yield from relay(run(task, 1), partial(WorkerMessage, task))
            yield WorkerMessage(task, result=result)
