"""Which job is next, and on which worker process: queue, turns, cancelling, restarts. Runs in the server's loop."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mashpix.web.commands import command_line
from mashpix.web.events import Event, Events
from mashpix.web.job import WAITING, Job
from mashpix.web.limits import ServerOptions
from mashpix.web.process import WorkerDied, WorkerProcess, total_memory
from mashpix.web.store import Store

MAX_ATTEMPTS = 3
"""How often a job is begun, by one server after another, before it is the one to blame."""
FIRST = {"finish": 0, "inspect": 1, "denoise": 2}
"""Order of tasks: what takes a second goes before what takes minutes."""
SWEEP_EVERY = 5.0
"""Seconds between two looks for jobs that have been kept long enough."""
MAX_NOTES = 100
"""Largest number of notes that are kept of a job."""


class Full(Exception):
    """No room for another job: `retry` in seconds."""

    def __init__(self, message: str, *, retry: int) -> None:
        super().__init__(message)
        self.retry = retry


class Scheduler:
    """All jobs of a server, and the worker processes that run them, one for each device."""

    def __init__(self, options: ServerOptions, store: Store) -> None:
        self.options, self.limits, self.store, self.events = options, options.limits, store, Events()
        self.memory = self.limits.memory or int(0.8 * (total_memory() or 0)) or None
        self.jobs = {job.id: job for job in store.load()}
        self.arriving: list[str] = []
        self.running: dict[str, WorkerProcess] = {}
        self.served: dict[str, float] = {}
        self.work = asyncio.Condition()
        self.tasks: list[asyncio.Task[None]] = []

    # Life

    async def start(self) -> None:
        """Take up what an earlier server left, and begin to work."""
        for job in self.jobs.values():
            if job.state == "running":
                job.state = "inspecting" if job.task == "inspect" else "queued"
            if job.task and job.attempts >= MAX_ATTEMPTS:
                self._fail(job, "gave_up", f"given up after {job.attempts} attempts that ended with the server")
        devices = self.options.device.split(",")
        self.tasks = [asyncio.create_task(self._serve_device(device)) for device in devices]
        self.tasks.append(asyncio.create_task(self._sweep()))

    async def end(self) -> None:
        """Stop; unfinished jobs run again when a server starts."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    # What clients do

    def admit(self, client: str) -> Callable[[], None]:
        """Keep a place for a job that is about to arrive; return what gives the place back. `Full` if there is none."""
        waiting = [job.client for job in self.jobs.values() if job.state in WAITING and job.id not in self.running]
        waiting += self.arriving
        if len(waiting) >= self.limits.queue:
            raise Full(f"the queue is full ({len(waiting)} jobs wait; {self.limits.queue} allowed)", retry=5)
        if waiting.count(client) >= self.limits.share:
            raise Full(f"your share of the queue is used up ({self.limits.share} jobs at a time)", retry=5)
        self.arriving.append(client)
        return lambda: self.arriving.remove(client)

    async def add(self, job: Job) -> None:
        """Take in a job that is on disk."""
        self.jobs[job.id] = job
        self.events.publish(job.id, "state", self.show(job))
        await self._wake()

    async def begin(self, job: Job, request: dict[str, Any]) -> None:
        """Denoise a job, for the first time or again."""
        job.request, job.finish = request, {name: request[name] for name in ("strength", "detail")}
        job.state, job.task, job.error, job.notes, job.stopped = "queued", "denoise", None, [], {}
        if job.image is None:  # its inspection failed, or has not been made
            job.state, job.task, job.after_inspection = "inspecting", "inspect", "queued"
        await self._changed(job)

    async def finish(self, job: Job, finish: dict[str, float]) -> None:
        """Write the result of a job with other sliders."""
        job.finish, job.state, job.task = finish, "queued", "finish"
        job.request = job.request | finish
        await self._changed(job)

    def stop(self, job: Job) -> None:
        """End the fit of a running job, and make the result from what there is."""
        if job.id in self.running:
            self.running[job.id].send({"stop": True})

    async def remove(self, job: Job) -> None:
        """Cancel a job, and remove all that belongs to it."""
        self.jobs.pop(job.id, None)
        if (worker := self.running.get(job.id)) is not None:
            await worker.kill("cancelled")
        await asyncio.wrap_future(self.store.remove(job))
        self.events.publish(job.id, "state", {"state": "removed"})

    # What clients see

    def show(self, job: Job) -> dict[str, Any]:
        """Return a job as JSON."""
        is_waiting = job.state in WAITING
        queue = [other.id for other in sorted(self._waiting(), key=self._turn)] if is_waiting else []
        more = {"queue_position": queue.index(job.id) + 1 if job.id in queue else None}
        expires = None if is_waiting else job.touched + self.limits.keep
        return job.shown() | more | {"expires": expires, "finishing": job.task == "finish"}

    def state_events(self, job_id: str | None) -> list[Event]:
        """Return the present state of one job, or of all, as events."""
        jobs = self.jobs.values() if job_id is None else [self.jobs[job_id]]
        return [Event(self.events.last, job.id, "state", self.show(job)) for job in jobs]

    async def _changed(self, job: Job) -> None:
        """Save a job, tell everybody, and wake the workers."""
        job.touched = time.time()
        self._save(job)
        await self._wake()

    async def _wake(self) -> None:
        async with self.work:
            self.work.notify_all()

    def _save(self, job: Job, kind: str = "state") -> None:
        if job.id in self.jobs:
            self.store.save(job)
            self.events.publish(job.id, kind, self.show(job))

    # Work

    def _waiting(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.task and job.state in WAITING and job.id not in self.running]

    def _turn(self, job: Job) -> tuple[int, float, float]:
        """Return the sort key of the queue: short tasks, then the client who was served longest ago, then age."""
        return FIRST[job.task], self.served.get(job.client, 0.0), job.touched

    async def _serve_device(self, device: str) -> None:
        """Work for ever with one worker process, which is started by a job, and ended when there is none for long."""
        worker: WorkerProcess | None = None
        try:
            while True:
                if (job := await self._next()) is None:
                    if worker is not None:
                        await worker.kill("idle")
                    worker = None
                    continue
                try:
                    if worker is None or not worker.is_alive:
                        worker = await WorkerProcess.start(device, memory=self.memory)
                    await self._run(job, worker)
                except OSError as error:
                    self._fail(job, "no_worker", f"no worker process can be started ({error.strerror})")
                finally:
                    del self.running[job.id]
                    await self._wake()
        finally:
            if worker is not None:
                await worker.kill("the server ends")

    async def _next(self) -> Job | None:
        """Wait for the next job; None if there was nothing to do for long."""
        async with self.work:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.limits.idle):
                    await self.work.wait_for(self._waiting)
            waiting = sorted(self._waiting(), key=self._turn)
            if not waiting:
                return None
            job = waiting[0]
            self.running[job.id] = None  # type: ignore[assignment]  # taken: no other device may take it
            return job

    async def _run(self, job: Job, worker: WorkerProcess) -> None:
        """Run the task of a job, whatever comes of it."""
        if job.id not in self.jobs:  # removed while the worker was started
            return
        self.running[job.id] = worker
        self.served[job.client] = time.monotonic()
        job.attempts += 1
        job.state = "inspecting" if job.task == "inspect" else "running"
        self._save(job)
        for other in self._waiting():  # each has one less before it
            self.events.publish(other.id, "state", self.show(other))
        try:
            worker.send(self._task_of(job))
            while (message := await worker.receive(timeout=self.limits.hang))["kind"] not in ("result", "error"):
                self._note(job, message.pop("kind"), message)
            if message.pop("kind") == "result":
                self._succeed(job, message)
            else:
                self._fail(job, message["code"], message["message"])
        except WorkerDied as died:
            if job.id in self.jobs:
                self._fail(job, "worker_died", str(died))

    def _task_of(self, job: Job) -> dict[str, Any]:
        return {
            "do": job.task,
            "folder": str(self.store.folder_of(job)),
            "source": job.source_name,
            "target": job.result_name,
            "asked": job.request,
            "command": command_line(job, device=self.options.device),
            "finish": job.finish,
            "image": job.image,
            "max_pixels": self.limits.max_pixels,
        }

    def _note(self, job: Job, kind: str, data: dict[str, Any]) -> None:
        """Take in what a worker says on its way."""
        if kind == "image":
            job.image = data
            self._save(job)
            return
        if kind in ("progress", "preview"):
            setattr(job, kind, data)
        elif kind == "note":
            job.notes = [*job.notes, data][:MAX_NOTES]
        self.events.publish(job.id, kind, data)

    def _succeed(self, job: Job, found: dict[str, Any]) -> None:
        """Take in the result of a task, and go on to what follows it."""
        job.progress, job.preview, job.attempts, job.touched = None, None, 0, time.time()
        job.outcome = (job.outcome or {}) | found.pop("outcome", {}) or None
        for name, value in found.items():
            setattr(job, name, value)
        if job.task == "inspect":
            job.state = job.after_inspection
            job.task = "denoise" if job.state == "queued" else ""
            self._save(job)
        else:
            job.state, job.task = "done", ""
            self._save(job, "done")

    def _fail(self, job: Job, code: str, message: str) -> None:
        job.state, job.task, job.progress, job.attempts = "failed", "", None, 0
        job.preview = None
        job.error, job.touched = {"code": code, "message": message}, time.time()
        self._save(job, "failed")

    async def _sweep(self) -> None:
        """Remove jobs that have been kept for long enough."""
        while True:
            old = time.time() - self.limits.keep
            for job in [job for job in self.jobs.values() if job.state not in WAITING and job.touched < old]:
                await self.remove(job)
            await asyncio.sleep(SWEEP_EVERY)
