"""The API for jobs: make, start, stop, finish, list, remove them, and follow what happens."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from importlib.resources import files as package_files
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse

from mashpix.errors import FileError
from mashpix.web import examples, views
from mashpix.web.asked import Asked
from mashpix.web.commands import all_commands
from mashpix.web.errors import ApiError
from mashpix.web.job import Job
from mashpix.web.scheduler import Scheduler
from mashpix.web.uploads import check_disk, checked, new_job, receive_upload, take_in

router = APIRouter(prefix="/api", tags=["jobs"])

SAMPLE = "data/sample.png"
"""The image of `mashpix demo`, with its camera noise."""


def scheduler_of(request: Request) -> Scheduler:
    """Return the scheduler of this server."""
    scheduler: Scheduler = request.app.state.scheduler
    return scheduler


def job_of(id: str, request: Request) -> Job:
    """Return a job by its id."""
    job = scheduler_of(request).jobs.get(id)
    if job is None:
        raise ApiError(404, "no_such_job", "there is no such job (it may have expired)")
    return job


def client_of(request: Request) -> str:
    """Return what tells clients apart: the address they come from."""
    return request.client.host if request.client else ""


TheScheduler = Annotated[Scheduler, Depends(scheduler_of)]
TheJob = Annotated[Job, Depends(job_of)]
LastEvent = Annotated[str | None, Header(alias="Last-Event-ID")]


def show(job: Job, request: Request) -> dict[str, Any]:
    """Return a job as clients see it."""
    options = request.app.state.options
    address = f"{request.url.scheme}://{request.url.netloc}"
    commands = all_commands(job, device=options.device, address=address, token=options.token is not None)
    return scheduler_of(request).show(job) | {"commands": commands}


def accepted(job: Job, request: Request, response: Response) -> dict[str, Any]:
    """Return a job that will be worked on, with its address."""
    response.headers["Location"] = f"/api/jobs/{job.id}"
    return show(job, request)


@contextmanager
def place_for_one(request: Request, scheduler: Scheduler) -> Iterator[None]:
    """Keep a place in the queue for a job that arrives in this block."""
    give_back = scheduler.admit(client_of(request))
    try:
        yield
    except (OSError, FileError):
        raise ApiError(507, "disk_full", "the file cannot be kept (no room on the disk of the server)") from None
    finally:
        give_back()


@router.post("/jobs", status_code=202, response_model=views.JobView, **examples.POST_JOB)
async def post_job(request: Request, response: Response, scheduler: TheScheduler) -> Any:
    """Send a file to be denoised; with `start=false` it is only inspected, and waits for its start."""
    with place_for_one(request, scheduler):
        job = await receive_upload(request, scheduler, client=client_of(request))
    return accepted(job, request, response)


@router.post("/jobs/sample", status_code=202, response_model=views.JobView, **examples.REFUSED)
async def post_sample(request: Request, response: Response, scheduler: TheScheduler) -> Any:
    """Make a job with the shipped picture; it is inspected, and waits for its start."""
    source = package_files("mashpix").joinpath(SAMPLE)
    return await _copy(source, "sample.png", request, response, scheduler)


@router.post("/jobs/{id}/again", status_code=202, response_model=views.JobView, **examples.REFUSED)
async def post_again(job: TheJob, request: Request, response: Response, scheduler: TheScheduler) -> Any:
    """Make a job whose file is the result of this one; it is inspected, and waits for its start."""
    _need_done(job)
    return await _copy(scheduler.store.result(job), job.result_name, request, response, scheduler)


async def _copy(source: Any, name: str, request: Request, response: Response, scheduler: Scheduler) -> Any:
    with place_for_one(request, scheduler), source.open("rb") as file:
        job = new_job(name, None, "false", client=client_of(request))
        await check_disk(scheduler, source.stat().st_size)
        await take_in(job, file, request, scheduler)
    return accepted(job, request, response)


@router.get("/jobs", response_model=views.JobList)
async def get_jobs(request: Request, scheduler: TheScheduler) -> Any:
    """List all jobs, newest last."""
    return {"jobs": [show(job, request) for job in scheduler.jobs.values()]}


@router.get("/jobs/{id}", response_model=views.JobView, **examples.NOT_FOUND)
async def get_job(job: TheJob, request: Request) -> Any:
    """Return one job."""
    return show(job, request)


@router.post("/jobs/{id}/start", status_code=202, response_model=views.JobView, **examples.REFUSED)
async def start_job(job: TheJob, asked: Asked, request: Request, response: Response, scheduler: TheScheduler) -> Any:
    """Denoise the file of a job, for the first time or again with other settings."""
    _need(job, "ready", "done", "failed")
    wanted = checked(asked)
    scheduler.admit(client_of(request))()
    await scheduler.begin(job, wanted)
    return accepted(job, request, response)


@router.post("/jobs/{id}/stop", status_code=202, response_model=views.JobView, **examples.REFUSED)
async def stop_job(job: TheJob, request: Request, response: Response, scheduler: TheScheduler) -> Any:
    """Stop and keep: end the fit now, and make the result from what there is."""
    _need(job, "running")
    scheduler.stop(job)
    return accepted(job, request, response)


@router.post("/jobs/{id}/finish", status_code=202, response_model=views.JobView, **examples.REFUSED)
async def finish_job(
    job: TheJob, finish: views.Finish, request: Request, response: Response, scheduler: TheScheduler
) -> Any:
    """Write the result with another strength and detail; nothing is trained."""
    _need_done(job)
    scheduler.admit(client_of(request))()
    await scheduler.finish(job, finish.model_dump())
    return accepted(job, request, response)


@router.delete("/jobs/{id}", status_code=204, **examples.NOT_FOUND)
async def delete_job(job: TheJob, scheduler: TheScheduler) -> None:
    """Cancel a job if it runs, and remove all that belongs to it."""
    await scheduler.remove(job)


@router.get("/jobs/{id}/events", response_class=StreamingResponse, **examples.EVENTS)
async def get_events(job: TheJob, scheduler: TheScheduler, last_event_id: LastEvent = None) -> Any:
    """Follow one job as server-sent events; with `Last-Event-ID` from there on."""
    return _stream(scheduler, job.id, last_event_id)


@router.get("/events", response_class=StreamingResponse, **examples.EVENTS)
async def get_all_events(scheduler: TheScheduler, last_event_id: LastEvent = None) -> Any:
    """Follow all jobs as server-sent events; the data of each names its `job`."""
    return _stream(scheduler, None, last_event_id)


def _stream(scheduler: Scheduler, job_id: str | None, last: str | None) -> StreamingResponse:
    after = int(last) if last is not None and re.fullmatch(r"[0-9]{1,18}", last) else None
    stream: AsyncIterator[bytes] = scheduler.events.follow(job=job_id, after=after, now=scheduler.state_events(job_id))
    return StreamingResponse(stream, media_type="text/event-stream")


def _need(job: Job, *states: str) -> None:
    if job.state not in states:
        raise ApiError(409, "wrong_state", f"the job is {job.state} ({' or '.join(states)} needed)")


def _need_done(job: Job) -> None:
    _need(job, "done")
