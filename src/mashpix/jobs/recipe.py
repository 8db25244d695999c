"""The recipe beside every output: all that is needed to reproduce its bytes, and what was measured."""

import json
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mashpix.arrays.colour import Channels
from mashpix.deprecation import networks_of
from mashpix.errors import FileError, UsageError
from mashpix.files.hashing import hash_file as hash_file
from mashpix.files.hashing import sha256 as sha256
from mashpix.settings import Settings

FORMAT = "mashpix-recipe-1"
"""First key of every recipe, which distinguishes it from other JSON files."""


@dataclass(frozen=True)
class Recipe:
    """How one output was made.

    version, torch_version : of mashpix and torch
    settings, seed, strength, data_range : of the run
    device, threads : where it ran: the bytes are reproducible on the same class of device with as many threads
    input_sha256, output_sha256 : of the files
    command : a command line that reproduces the output
    report : `Report.to_dict()`: measurements, decisions, and the verdict on the output
    detail : of the run; 0 in recipes of versions without this option
    stack : axes and networks of a stack; None for a single image
    model : name and hash of the model that was applied; None if a network was fitted to the file itself
    channels : the requested treatment of channels; `report` has the decision
    nodata, mask : values, and name and hash of a mask, that were to be left out; None without
    dtype : that the input was converted to; None for its own
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
    nodata: str | None = None
    mask: dict[str, str] | None = None
    dtype: str | None = None

    def to_json(self) -> bytes:
        """Encode the recipe as a JSON file."""
        return to_json({"format": FORMAT} | asdict(self))


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; `FileError` if the file is not a recipe, `UsageError` if its settings are out of their limits."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileError(f"not a readable recipe ({type(error).__name__}; a JSON file that mashpix wrote)") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise FileError(f"not a mashpix recipe (no format {FORMAT!r}; a JSON file that mashpix wrote)")
    try:
        settings = Settings(**data["settings"])
        known = {item.name: data[item.name] for item in fields(Recipe) if item.name in data or item.default is MISSING}
        return Recipe(**_former_options(known) | known | {"settings": settings})
    except UsageError:
        raise
    except (KeyError, TypeError) as error:
        raise FileError(f"not a complete recipe ({error}; written by another version?)") from None


def _former_options(known: dict[str, Any]) -> dict[str, Any]:
    """Translate what earlier versions recorded of a stack: `fit` once or each, and in version 0.1 `joint`.

    `joint` was for the channels along C; without such an axis it had no effect.
    """
    stack = known.get("stack") or {}
    if "fit" in stack:
        stack["networks"] = networks_of(stack.pop("fit"))
    return {"channels": "joint"} if stack.pop("joint", False) and "C" in stack["axes"] else {}


def recipe_path(target: Path) -> Path:
    """Return the path of the recipe of an output, beside it."""
    return target.with_name(target.name + ".json")


def hash_settings(settings: Settings, **others: Any) -> str:
    """Hash the settings and all other options that affect the bytes of an output."""
    known = settings.to_dict()
    for name in ("stop_after", "tone_correction", "find_defects", "repair_defects", "stripes"):
        if known[name] in (0, "off"):  # as in versions without them
            del known[name]
    return sha256(json.dumps([known, others], sort_keys=True).encode())


def to_json(data: dict[str, Any]) -> bytes:
    """Encode plain data as a JSON file."""
    return (json.dumps(data, indent=2, allow_nan=False) + "\n").encode()
