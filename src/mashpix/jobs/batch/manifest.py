"""The manifest of a batch: a durable JSON line for each file that is done or has failed."""

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mashpix import __version__
from mashpix.errors import FileError
from mashpix.files.atomic import sync_folder
from mashpix.jobs.recipe import hash_settings
from mashpix.jobs.request import DenoiseRequest

MANIFEST = "mashpix.jsonl"
"""Its name in the output folder."""
KEYS = {"sidecars": "beside"}
"""Fields of `Entry` that have another key in the file, that of version 0.1."""


@dataclass(frozen=True)
class Provenance:
    """Everything that an output depends on besides its input.

    settings : hash of the settings and of all other options that affect the bytes of an output
    seed : of all random draws
    version : of mashpix
    """

    settings: str
    seed: int
    version: str


@dataclass(frozen=True)
class Entry:
    """One line of the manifest.

    input : path below the folder that was denoised, with slashes
    status : "done" or "failed"
    size, mtime_ns, input_sha256 : of the input; the hash is None after a failure
    settings, seed, version : see `Provenance`
    output, output_sha256 : path below the output folder, and hash
    sidecars : hashes of the other outputs by their paths; after a failure, the files left behind, without hashes
    seconds : duration of the job
    error : reason of a failure
    verdict : of the report, if there is one
    """

    input: str
    status: str
    settings: str
    seed: int
    version: str
    size: int | None = None
    mtime_ns: int | None = None
    input_sha256: str | None = None
    output: str | None = None
    output_sha256: str | None = None
    sidecars: dict[str, str | None] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None
    verdict: Any = None

    @property
    def provenance(self) -> Provenance:
        """Everything that the outputs depend on besides the input."""
        return Provenance(self.settings, self.seed, self.version)

    @property
    def outputs(self) -> dict[str, str | None]:
        """Hashes of all outputs by their paths."""
        return ({self.output: self.output_sha256} if self.output is not None else {}) | self.sidecars


def provenance_of(request: DenoiseRequest) -> Provenance:
    """Return everything that the outputs of a request depend on besides the input."""
    return Provenance(hash_settings(request.settings, **request.options), request.seed, __version__)


def read_manifest(path: Path) -> list[Entry]:
    """Read the entries of a manifest in the order of writing; none if the file does not exist.

    Raises
    ------
    FileError
        If it cannot be read or a line of it is damaged.
    """
    try:
        names = {item.name: KEYS.get(item.name, item.name) for item in fields(Entry)}
        return [Entry(**{name: line[key] for name, key in names.items()}) for line in read_lines(path)]
    except (KeyError, TypeError):
        raise FileError(f"not the manifest of this version ({str(path)!r}; move it away)") from None


def append_entry(path: Path, entry: Entry) -> None:
    """Add one durable line to a manifest."""
    append_line(path, {KEYS.get(name, name): value for name, value in asdict(entry).items()})


def read_lines(path: Path) -> list[Any]:
    """Read the complete lines of a JSON lines file; skip an incomplete last line of a killed run."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FileError(f"cannot be read ({str(path)!r}; {error.strerror})") from None
    values = []
    for number, line in enumerate(lines, start=1):
        try:
            values.append(json.loads(line))
        except ValueError:
            raise FileError(f"damaged ({str(path)!r}, line {number}; move it away)") from None
    return values


def append_line(path: Path, value: Any) -> None:
    """Add one line to a JSON lines file; as `append_lines`."""
    append_lines(path, [value])


def append_lines(path: Path, values: list[Any]) -> None:
    """Add lines to a JSON lines file; on return they are completely on disk.

    Raises
    ------
    FileError
        If they cannot be written.
    """
    data = "".join(json.dumps(value) + "\n" for value in values).encode()
    try:
        with path.open("ab", buffering=0) as file:  # a buffer would write the rest of a torn line when it is closed
            start = _cut_torn_line(path)
            try:
                while data:
                    data = data[file.write(data) :]
                os.fsync(file.fileno())
            except OSError:
                os.truncate(path, start)
                raise
        if start == 0:
            sync_folder(path.parent)
    except OSError as error:
        raise FileError(f"cannot be written ({str(path)!r}; {error.strerror})") from None


def _cut_torn_line(path: Path) -> int:
    """Remove an incomplete last line of a killed run; return the remaining length."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(max(size - 1, 0))
        if size and file.read(1) != b"\n":
            file.seek(0)
            size = file.read().rfind(b"\n") + 1
            file.truncate(size)
    return size
