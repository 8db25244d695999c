"""The worker's side: run one task of a batch in a process of the cluster."""

import os
from contextlib import closing
from typing import Any

from distributed import get_worker
from distributed.worker import thread_state

from mashpix.jobs.batch.executor import Result, Run, Task
from mashpix.jobs.events import Event
from mashpix.report import Step


def run_task(run: Run[Task, Result], task: Task, attempt: int, *, process: int, threads: int) -> Any:
    """Run a task; return its events but the steps, and its result.

    Returns None if the task is no longer wanted, or if this is not the process that it was given to: that one has died,
    and the attempts must be counted where the batch runs.
    """
    if os.getpid() != process:
        return None
    import torch

    torch.set_num_threads(threads)  # here: a nanny has set OMP_NUM_THREADS, and each thread has a number of its own
    worker, key, events = get_worker(), thread_state.key, list[Event]()
    with closing(run(task, attempt)) as job:
        while True:
            try:
                event = next(job)
            except StopIteration as end:
                return events, end.value
            wanted = worker.state.tasks.get(key)
            if wanted is None or wanted.state != "executing":  # cancelled, or the scheduler is lost
                return None
            if not isinstance(event, Step):
                events.append(event)
