"""A file that a client sends: taken in below a cap, into the folder of a new job; its name is never a path."""

import asyncio
from typing import Any, BinaryIO

from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from mashpix.web.asked import Asked
from mashpix.web.errors import ApiError, say_invalid
from mashpix.web.job import Job, new_id
from mashpix.web.scheduler import Scheduler

LONGEST_SHOWN = 255
"""Characters of a file's name that are kept."""
MAX_FIELDS = 4
"""Parts of a form beside the file."""


async def receive_upload(request: Request, scheduler: Scheduler, *, client: str) -> Job:
    """Take in a form with a file; return its job.

    Raises
    ------
    ApiError
        For a body that is no such form, or too large, or finds no room on the disk.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise ApiError(415, "not_a_form", "send the file as multipart/form-data (field 'file')")
    await check_disk(scheduler, int(request.headers.get("content-length", scheduler.limits.max_upload)))
    async with request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=2**18) as form:
        file, unknown = form.get("file"), sorted(set(form) - {"file", "request", "start"})
        if unknown or not isinstance(file, UploadFile):
            raise ApiError(422, "invalid", f"fields: file, request, start ({', '.join(unknown)[:100] or 'no file'})")
        job = new_job(file.filename or "image", form.get("request"), form.get("start"), client=client)
        if not file.size:
            raise ApiError(422, "empty", "the file is empty")
        await take_in(job, file.file, request, scheduler)
    return job


async def take_in(job: Job, file: BinaryIO, request: Request, scheduler: Scheduler) -> None:
    """Keep the file of a new job, and have it worked on; not if the client has left meanwhile."""
    await asyncio.to_thread(scheduler.store.create, job, file)
    if await request.is_disconnected():
        await asyncio.wrap_future(scheduler.store.remove(job))
        raise ApiError(400, "client_left", "the client has left")
    await scheduler.add(job)


def new_job(name: str, request: Any, start: Any, *, client: str) -> Job:
    """Make a job from the fields of a form; `ApiError` if they are wrong."""
    if start not in (None, "true", "false"):
        raise ApiError(422, "invalid", "start: 'true' or 'false' needed")
    shown = "".join(letter if letter.isprintable() else "_" for letter in name)[-LONGEST_SHOWN:]
    job = Job(new_id(), shown, client=client, request=parse_request(request or "{}"))
    job.finish = {name: job.request[name] for name in ("strength", "detail")}
    job.after_inspection = "ready" if start == "false" else "queued"
    return job


def parse_request(text: Any) -> dict[str, Any]:
    """Return the request JSON, complete and checked; `ApiError` or `UsageError` say what is wrong."""
    try:
        asked = Asked.model_validate_json(text if isinstance(text, str) else "")
    except ValidationError as error:
        raise ApiError(422, "invalid", say_invalid(error.errors())) from None
    return checked(asked)


def checked(asked: Asked) -> dict[str, Any]:
    """Return the request JSON of options whose settings are within their limits; else `UsageError`."""
    asked.build_settings()
    return asked.model_dump()


async def check_disk(scheduler: Scheduler, size: int) -> None:
    """Refuse a file for which there is no room within the disk limit."""
    if await asyncio.to_thread(scheduler.store.used) + size > scheduler.limits.disk:
        raise ApiError(507, "disk_full", f"no room for more files (all jobs may take {scheduler.limits.disk} bytes)")
