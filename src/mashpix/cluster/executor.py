"""An executor that runs the jobs of a batch on a cluster: requests travel there, small outcomes come back."""

import queue
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic

from distributed import Client, Future

from mashpix.cluster.checking import Needs
from mashpix.cluster.crew import Crew
from mashpix.cluster.remote import run_task
from mashpix.errors import DeviceError
from mashpix.jobs.batch.executor import LOOK_EVERY, Result, Run, Task, WorkerMessage

MAX_ATTEMPTS = 3
"""Number of attempts at a task whose worker dies."""
RETRIES = 2
"""How often a task whose worker cannot run it, but lives, is tried again."""
SECONDS_TO_FETCH = 30.0
"""Longest wait for a result, which is small; after that, its worker has died."""


@dataclass(frozen=True)
class ClusterExecutor:
    """An `Executor` that gives each worker of a cluster one task at a time, so that a dead worker blames one task.

    client : from `connect`
    needs : what each worker must have
    threads : CPU threads of each task; None: those that its worker was started with
    say : called with a line if a worker that comes later cannot be used, or if there is none
    """

    client: Client
    needs: Needs = field(default_factory=Needs)
    threads: int | None = None
    say: Callable[[str], object] = lambda line: None

    def __call__(
        self, run: Run[Task, Result], tasks: Iterator[Task | None], *, at_once: int | None = None
    ) -> Generator[WorkerMessage[Task, Result] | None, None, None]:
        """Run all tasks; closing the generator cancels them: a running one ends at its next event.

        Raises
        ------
        DeviceError
            Before the first task, if a worker cannot be used; later, if the scheduler is lost.
        """
        yield from _Running(self.check_workers(), run, tasks, at_once, self.threads).run_all()

    def check_workers(self) -> Crew:
        """Check all workers that are there; `DeviceError` if one of them cannot be used."""
        crew = Crew(self.client, self.needs, self.say)
        if reasons := crew.look():
            raise DeviceError(f"`cluster`: {reasons[0]}")
        return crew


@dataclass(frozen=True)
class _Attempt(Generic[Task]):
    """A task on a worker, and which attempt at the task it is, from 1."""

    task: Task
    number: int
    worker: str
    future: Future


@dataclass
class _Running(Generic[Task, Result]):
    """Tasks that are running.

    crew : the workers
    run, tasks, at_once, threads : as in `ClusterExecutor`
    busy : the attempt that runs on each worker
    again : tasks to try again, each with the number of the attempt
    ended : futures that have ended in any way
    """

    crew: Crew
    run: Run[Task, Result]
    tasks: Iterator[Task | None]
    at_once: int | None
    threads: int | None
    busy: dict[str, _Attempt[Task]] = field(default_factory=dict)
    again: deque[tuple[Task, int]] = field(default_factory=deque)
    ended: "queue.SimpleQueue[Future]" = field(default_factory=queue.SimpleQueue)

    def run_all(self) -> Generator[WorkerMessage[Task, Result] | None, None, None]:
        """Give tasks to workers, and yield messages about them."""
        try:
            while self.give() or self.busy or self.again:
                try:
                    future = self.ended.get(timeout=LOOK_EVERY)
                except queue.Empty:
                    future = None
                self.crew.look_again()
                gone = [attempt for worker, attempt in self.busy.items() if worker not in self.crew.ready]
                for attempt in [attempt for attempt in self.busy.values() if attempt.future is future] or gone:
                    yield from self.end(attempt)
                yield None
        finally:
            _cancel(self.crew.client, *(attempt.future for attempt in self.busy.values()))

    def give(self) -> bool:
        """Give tasks to all free workers; return False once there are no more tasks."""
        over: Any = object()
        while len(self.busy) < (self.at_once or len(self.crew.there)):
            worker = self.crew.find_free(self.busy)
            if worker is None:
                break
            task, number = self.again.popleft() if self.again else (next(self.tasks, over), 1)
            if task is over or task is None:
                return task is None
            future = self.crew.client.submit(
                run_task,
                self.run,
                task,
                number,
                process=self.crew.ready[worker],
                threads=self.threads or self.crew.there[worker]["nthreads"],
                workers=[worker],
                pure=False,
                retries=RETRIES,
            )
            self.busy[worker] = _Attempt(task, number, worker, future)
            future.add_done_callback(self.ended.put)
        return True

    def end(self, attempt: _Attempt[Task]) -> Generator[WorkerMessage[Task, Result], None, None]:
        """Yield the messages of an attempt that has ended; if its worker has died, try again or give up."""
        del self.busy[attempt.worker]
        answer, reason = _fetch(attempt.future)
        attempt.future.release()  # else it would be computed again once this worker dies
        if answer is not None:
            events, result = answer
            for event in events:
                yield WorkerMessage(attempt.task, event)
            yield WorkerMessage(attempt.task, result=result)
            return
        _cancel(self.crew.client, attempt.future)
        self.crew.ready.pop(attempt.worker, None)  # to be checked again, if there is a new process at this address
        if attempt.number < MAX_ATTEMPTS:
            self.again.append((attempt.task, attempt.number + 1))
        else:
            yield WorkerMessage(attempt.task, death=f"its worker died ({reason}tried {attempt.number} times)")


def _cancel(client: Client, *futures: Future) -> None:
    """Cancel futures, unless the scheduler has forgotten them already."""
    if client.status == "running":
        client.cancel(list(futures), force=True)


def _fetch(future: Future) -> tuple[Any, str]:
    """Return the answer of a worker, or None and the reason if it is known."""
    try:
        if future.status == "finished":
            return future.result(timeout=SECONDS_TO_FETCH), ""
        error = future.exception(timeout=SECONDS_TO_FETCH) if future.status == "error" else None
    except Exception as problem:  # the worker died with the result
        error = problem
    return None, f"{type(error).__name__}; " if error else ""
