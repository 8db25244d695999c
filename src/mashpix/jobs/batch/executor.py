"""Executors run the jobs of a batch: their interface, and the simplest one, which runs jobs in this process."""

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
"""Runs a task and returns its result; it never raises. The second argument counts the attempts, from 1: after a process
has died, the outputs that it left may be replaced."""

LOOK_EVERY = 0.2
"""Seconds between two checks for new tasks, and between two progress messages of one task."""


@dataclass(frozen=True)
class WorkerMessage(Generic[Task, Result]):
    """A message about a task: an event, its result, or the death of its process.

    task : the task
    event : progress (a `Step` without arrays), a note, or a file that was written
    result : of the task, at its end
    death : how the process died, if the task ended without a result
    """

    task: Task
    event: Event | None = None
    result: Result | None = None
    death: str | None = None


class Executor(Protocol):
    """Runs tasks somewhere: in this process, in worker processes, on the machines of a cluster.

    Tasks, results and the function that runs them are picklable; apart from them, only files are shared.
    """

    def __call__(
        self, run: Run[Task, Result], tasks: Iterator[Task | None], *, at_once: int | None = None
    ) -> Generator[WorkerMessage[Task, Result] | None, None, None]:
        """Run all tasks; closing the generator stops those that are running.

        Parameters
        ----------
        run : callable
            See `Run`.
        tasks : iterator
            Supplies a task whenever one can be started; None means that there is none at the moment.
        at_once : int, optional
            Largest number of tasks at the same time, which share all resources; default: the executor's own number.

        Yields
        ------
        WorkerMessage or None
            Messages as they arrive; None now and then, at least every `LOOK_EVERY` seconds if possible.
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
