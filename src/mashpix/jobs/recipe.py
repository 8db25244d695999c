"""The recipe beside every output: what it takes to make the same bytes again, and what was found on the way."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mashpix.arrays.colour import Channels
from mashpix.errors import FileError, UsageError
from mashpix.files.hashing import hash_file as hash_file
from mashpix.files.hashing import sha256 as sha256
from mashpix.settings import Settings

FORMAT = "mashpix-recipe-1"
"""First key of every recipe, so that another JSON file is told apart."""

ADDED = ("detail", "stack", "model", "channels")
"""Fields that recipes of earlier versions lack."""


@dataclass(frozen=True)
class Recipe:
    """How one output was made.

    version, torch_version : of mashpix and torch
    settings, seed, strength, data_range : of the run
    device, threads : where it ran: the bytes are the same on one class of device with one number of threads
    input_sha256, output_sha256 : of the files
    command : a command line that makes the output again
    report : `Report.to_dict()`: what was measured and decided, and the verdict on the output
    detail : of the run; 0 in recipes of versions that did not know it
    stack : axes and fit of a stack; None for a single image
    model : name and hash of the model that was applied; None where a network was fitted to the file itself
    channels : what the run was asked to take the channels for; `report` has what was decided
    """

    version: str
    torch_version: str
    settings: Settings
    seed: int
    strength: float
    data_range: float | None
    device: str
    threads: int
    input_sha256: str
    output_sha256: str
    command: str
    report: dict[str, Any]
    detail: float = 0.0
    stack: dict[str, Any] | None = None
    model: dict[str, str] | None = None
    channels: Channels = "auto"

    def to_json(self) -> bytes:
        """The recipe as a JSON file."""
        return to_json({"format": FORMAT} | asdict(self))


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; a file that is none raises `FileError`, settings out of their limits `UsageError`."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileError(f"not a readable recipe ({type(error).__name__}; a JSON file that mashpix wrote)") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise FileError(f"not a mashpix recipe (no format {FORMAT!r}; a JSON file that mashpix wrote)")
    try:
        settings = Settings(**data["settings"])
        known = {item.name: data[item.name] for item in fields(Recipe) if item.name in data or item.name not in ADDED}
        return Recipe(**_former_channels(known) | known | {"settings": settings})
    except UsageError:
        raise
    except (KeyError, TypeError) as error:
        raise FileError(f"not a complete recipe ({error}; written by another version?)") from None


def _former_channels(known: dict[str, Any]) -> dict[str, Any]:
    """What version 0.1 called `joint`: the channels along C together; without such an axis it meant nothing."""
    stack = known.get("stack") or {}
    return {"channels": "joint"} if stack.pop("joint", False) and "C" in stack["axes"] else {}


def recipe_path(target: Path) -> Path:
    """Where the recipe of an output lies: beside it."""
    return target.with_name(target.name + ".json")


def hash_settings(settings: Settings, **others: Any) -> str:
    """One hash of the settings and of all other options that change the bytes of an output."""
    return sha256(json.dumps([settings.to_dict(), others], sort_keys=True).encode())


def to_json(data: dict[str, Any]) -> bytes:
    """Plain data as a JSON file."""
    return (json.dumps(data, indent=2, allow_nan=False) + "\n").encode()
