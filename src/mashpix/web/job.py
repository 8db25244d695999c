"""A job as the server knows it: plain data, kept in one JSON file, shown to clients as JSON."""

import re
import secrets
import time
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

State = Literal["inspecting", "ready", "queued", "running", "done", "failed"]
"""Where a job is; docs/web.md draws the ways between them."""
WAITING: tuple[State, ...] = ("inspecting", "queued", "running")
"""States in which a worker process has something to do."""
LONGEST_NAME = 120
"""Largest length in bytes of the name of a file on disk: room for what is added to it."""
HIDDEN = ("client", "result_name", "task", "attempts", "finish", "stopped", "after_inspection")
"""Fields that concern nobody but the server."""


@dataclass
class Job:
    """One uploaded file with its settings and results.

    id : 128 random bits, in hexadecimal digits; also the name of its folder
    name : of the file, as the client gave it: for display, never a path
    task : what a worker has to do next: "inspect", "denoise", "finish"; "" for nothing
    client : address that it came from
    result_name : of the result, on disk and for download; its ending fits the content of the file
    touched : when it was last of use, seconds since the epoch: after `Limits.keep` it goes
    attempts : how often a task was begun since one ended; a server that was killed begins again
    finish : strength and detail of the result
    stopped : the setting that gives the result of a stopped run again; empty for any other
    other fields : as in the API
    """

    id: str
    name: str
    client: str = ""
    result_name: str = ""
    state: State = "inspecting"
    task: str = "inspect"
    created: float = field(default_factory=time.time)
    touched: float = field(default_factory=time.time)
    attempts: int = 0
    after_inspection: State = "ready"
    size_bytes: int = 0
    request: dict[str, Any] = field(default_factory=dict)
    finish: dict[str, float] = field(default_factory=dict)
    stopped: dict[str, int] = field(default_factory=dict)
    image: dict[str, Any] | None = None
    inspection: dict[str, Any] | None = None
    progress: dict[str, Any] | None = None
    preview: dict[str, Any] | None = None
    notes: list[dict[str, str]] = field(default_factory=list)
    verdict: dict[str, Any] | None = None
    outcome: dict[str, Any] | None = None
    error: dict[str, str] | None = None

    @property
    def source_name(self) -> str:
        """Name of the input on disk."""
        return safe_name(self.name)

    def to_dict(self) -> dict[str, Any]:
        """Return what is kept on disk."""
        return asdict(self) | {"progress": None, "preview": None}

    def shown(self) -> dict[str, Any]:
        """Return what a client sees; the server adds what it knows of queue and time."""
        return {name: value for name, value in vars(self).items() if name not in HIDDEN}


def new_id() -> str:
    """Return an id that cannot be guessed."""
    return secrets.token_hex(16)


def job_from(data: dict[str, Any]) -> Job:
    """Make a job from what was kept; keys of other versions are left out."""
    known = {item.name for item in fields(Job)}
    return Job(**{name: value for name, value in data.items() if name in known})


def safe_name(name: str) -> str:
    """Return a name that any file system takes and no path can hide in, with the ending of the original.

    Examples
    --------
    >>> safe_name("../../etc/x<y>.tif"), safe_name(".."), safe_name("Zellen 3.ome.tif")
    ('x_y_.tif', 'image', 'Zellen 3.ome.tif')
    """
    last = re.split(r"[/\\]", name)[-1]
    clean = re.sub(r"[^\w .()+,=@-]", "_", last).strip(" .").lstrip("-")
    stem, dot, ending = clean.partition(".")
    room = LONGEST_NAME - len((dot + ending).encode())
    if room < 1:  # an ending longer than any that is known
        return "image"
    return (stem.encode()[:room].decode(errors="ignore") + dot + ending) or "image"
