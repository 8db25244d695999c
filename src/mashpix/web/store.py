"""Jobs on disk: each in a folder of its own, with its state in one file that is always complete."""

import json
import os
import re
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from mashpix.errors import FileError
from mashpix.files import atomic_write
from mashpix.jobs.batch.items import output_name
from mashpix.jobs.recipe import recipe_path
from mashpix.web.job import Job, job_from

STATE = "state.json"
"""Name of the file that holds the state of a job."""


class Store:
    """The folder of all jobs, for one server at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder, self.disk = folder, ThreadPoolExecutor(1, "disk")

    def folder_of(self, job: Job) -> Path:
        """Return the folder of a job."""
        return self.folder / job.id

    def source(self, job: Job) -> Path:
        """Return the path of the uploaded file."""
        return self.folder_of(job) / "source" / job.source_name

    def result(self, job: Job) -> Path:
        """Return the path of the denoised file."""
        return self.folder_of(job) / "result" / job.result_name

    def recipe(self, job: Job) -> Path:
        """Return the path of the recipe."""
        return recipe_path(self.result(job))

    def create(self, job: Job, file: BinaryIO) -> None:
        """Make the folders of a new job, and keep its file and its state; nothing stays if there is no room."""
        try:
            for name in ("source", "result", "display"):
                (self.folder_of(job) / name).mkdir(parents=True)
            with self.source(job).open("wb") as kept:
                shutil.copyfileobj(file, kept)
                job.size_bytes = kept.tell()
            job.result_name = output_name(self.source(job))
            self._write(job, _encode(job))
        except (OSError, FileError):
            self.remove(job).result()
            raise

    def save(self, job: Job) -> "Future[None]":
        """Write the state of a job as it is now, after everything that is to be written or removed before."""
        return self.disk.submit(self._write, job, _encode(job))

    def _write(self, job: Job, state: bytes) -> None:
        atomic_write(self.folder_of(job) / STATE, state, overwrite=True)

    def load(self) -> list[Job]:
        """Read all jobs, oldest first; folders without a state are left by an upload that was cut short, and go."""
        jobs = []
        for folder in self._folders():
            try:
                jobs.append(job_from(json.loads((folder / STATE).read_bytes())))
            except (OSError, ValueError, TypeError):
                shutil.rmtree(folder, ignore_errors=True)
        return sorted(jobs, key=lambda job: job.created)

    def _folders(self) -> list[Path]:
        """Return the folders of jobs: everything else that lies here belongs to somebody else."""
        return [folder for folder in self.folder.iterdir() if re.fullmatch("[0-9a-f]{32}", folder.name)]

    def remove(self, job: Job) -> "Future[None]":
        """Remove a job with all its files."""
        return self.disk.submit(shutil.rmtree, self.folder_of(job), ignore_errors=True)

    def used(self) -> int:
        """Return the bytes that all jobs take on disk."""
        places = [place for folder in self._folders() for place in os.walk(folder)]
        return sum(_size(Path(place, name)) for place, _, names in places for name in names)


def _encode(job: Job) -> bytes:
    return json.dumps(job.to_dict()).encode()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # removed meanwhile
        return 0
