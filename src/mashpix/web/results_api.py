"""The API for what a job has made: tiles for display, the result, its recipe and reports, all results as one ZIP."""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response, StreamingResponse

from mashpix.web import examples
from mashpix.web.errors import ApiError
from mashpix.web.job import Job
from mashpix.web.jobs_api import TheJob, TheScheduler
from mashpix.web.tiles import Kind, Tile, draw_tile

router = APIRouter(prefix="/api", tags=["results"])

REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"
"""Content security policy of the report of `inspect`, a page that has its styles and images inside."""
BLOCK = 2**16
"""Bytes that are read from a file at a time."""


@router.get("/jobs/{id}/preview", response_class=Response, **examples.PREVIEW)
def get_preview(
    job: TheJob,
    scheduler: TheScheduler,
    of: Kind = "noisy",
    plane: Annotated[str, Query(pattern=r"^(\d{1,6}(,\d{1,6})*)?$", max_length=100)] = "",
    level: Annotated[int, Query(ge=0, le=30)] = 0,
    x: Annotated[int, Query(ge=0, le=2**20)] = 0,
    y: Annotated[int, Query(ge=0, le=2**20)] = 0,
    low: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    high: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    strength: Annotated[float, Query(ge=0, le=1)] = 1.0,
    detail: Annotated[float, Query(ge=0, le=1)] = 0.0,
    v: str = "",
) -> Response:
    """Draw a tile of 256 x 256 pixels, 8 bits: `low` to `high`, in the units of the image, become 0 to 255."""
    if job.image is None:
        raise ApiError(404, "no_picture", "there is no picture yet")
    numbers = _plane_of(job.image, plane)
    window = _window_of(job.image, of, numbers)
    window = (window[0] if low is None else low, window[1] if high is None else high)
    how: dict[str, Any] = {"strength": strength, "detail": detail, "low": window[0], "high": window[1]}
    tile = Tile(of=of, plane=numbers, level=level, x=x, y=y, **how)
    try:
        drawn = draw_tile(scheduler.store.folder_of(job) / "display", tile)
    except (OSError, ValueError, IndexError):
        raise ApiError(404, "no_picture", f"there is no such picture ({of}), or not yet") from None
    cache = {"cache-control": "private, max-age=3600"} if v else None
    return Response(drawn, media_type="image/png", headers=cache)


def _plane_of(image: dict[str, Any], plane: str) -> tuple[int, ...]:
    """Return the numbers of a plane; those that are left out are 0."""
    lengths = [length for _, length in image["planes"]]
    given = [int(number) for number in plane.split(",")] if plane else []
    numbers = (given + [0] * len(lengths))[: max(len(lengths), len(given))]
    if len(numbers) != len(lengths) or any(place >= length for place, length in zip(numbers, lengths, strict=True)):
        raise ApiError(404, "no_such_plane", f"there is no such plane ({plane!r}; axes {image['axes']})")
    return tuple(numbers)


def _window_of(image: dict[str, Any], of: str, plane: tuple[int, ...]) -> tuple[float, float]:
    """Return the values that are shown black and white: one window for noisy, live and denoised."""
    if of == "residual":
        limit = image.get("residual_limit") or 1.0
        return -limit, limit
    if of == "spread":
        return 0.0, image.get("spread_limit") or 1.0
    axes = [axis for axis, _ in image["planes"]]
    low, high = image["windows"][plane[axes.index("c")] if "c" in axes else 0]
    return low, high


@router.get("/jobs/{id}/result", response_class=FileResponse, **examples.FILE)
def get_result(job: TheJob, scheduler: TheScheduler) -> Response:
    """Download the denoised file: format, name and depth of the original."""
    return _download(scheduler.store.result(job), job.result_name, "application/octet-stream", is_there=_is_done(job))


@router.get("/jobs/{id}/recipe", response_class=FileResponse, **examples.RECIPE)
def get_recipe(job: TheJob, scheduler: TheScheduler) -> Response:
    """Download the recipe, which reproduces the result: `mashpix denoise IN --recipe FILE`."""
    path = scheduler.store.recipe(job)
    return _download(path, path.name, "application/json", is_there=_is_done(job))


@router.get("/jobs/{id}/report", response_class=FileResponse, **examples.REPORT)
def get_report(job: TheJob, scheduler: TheScheduler, html: bool = False) -> Response:
    """Return the noise report of `mashpix inspect`, as JSON or as a page."""
    path = scheduler.store.folder_of(job) / ("report.html" if html else "report.json")
    if job.inspection is None or not path.is_file():
        raise ApiError(404, "no_report", "there is no report yet")
    if html:
        return FileResponse(path, media_type="text/html", headers={"content-security-policy": REPORT_POLICY})
    return FileResponse(path, media_type="application/json")


@router.get("/results.zip", response_class=StreamingResponse, **examples.ZIP)
def get_results(scheduler: TheScheduler, ids: Annotated[str | None, Query(max_length=2**16)] = None) -> Response:
    """Download all finished results with their recipes as one ZIP file, or those of some jobs."""
    wanted = set(ids.split(",")) if ids is not None else set(scheduler.jobs)
    jobs = [job for job in list(scheduler.jobs.values()) if job.id in wanted and _is_done(job)]
    if not jobs:
        raise ApiError(404, "no_results", "there are no finished results")
    paths = [path for job in jobs for path in (scheduler.store.result(job), scheduler.store.recipe(job))]
    return StreamingResponse(_zip(paths), media_type="application/zip", headers=_attachment("mashpix-results.zip"))


def _is_done(job: Job) -> bool:
    return job.state == "done"


def _download(path: Path, name: str, kind: str, *, is_there: bool) -> Response:
    if not is_there or not path.is_file():
        raise ApiError(404, "no_result", "there is no result yet")
    return FileResponse(path, media_type=kind, headers=_attachment(name))


def _attachment(name: str) -> dict[str, str]:
    """Return the header that names a download (RFC 6266, RFC 5987), also for programs that know ASCII only.

    Examples
    --------
    >>> print(_attachment("Zähne.png")["content-disposition"])
    attachment; filename="Z_hne.png"; filename*=UTF-8''Z%C3%A4hne.png
    """
    plain = re.sub(r"[^\w .()+,=@-]", "_", name, flags=re.ASCII)
    return {"content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"}


class _Pipe(io.RawIOBase):
    """Where a ZIP file is written to, and taken from piece by piece."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self.pieces = b"".join(self.pieces), []
        return taken


def _zip(paths: list[Path]) -> Iterator[bytes]:
    """Yield a ZIP file, without compression; equal names get a number."""
    pipe, taken = _Pipe(), dict[str, int]()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for path in paths:
            taken[path.name] = number = taken.get(path.name, 0) + 1
            name = path.name if number == 1 else f"{number}/{path.name}"
            try:
                entry = zipfile.ZipInfo.from_file(path, name)
                with path.open("rb") as file, archive.open(entry, "w", force_zip64=True) as part:
                    while block := file.read(BLOCK):
                        part.write(block)
                        yield pipe.take()
            except FileNotFoundError:  # removed meanwhile
                continue
    yield pipe.take()
