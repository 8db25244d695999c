"""Choose the output path of each named file."""

import os
from pathlib import Path

from mashpix.errors import FileError, UsageError
from mashpix.files import is_zarr
from mashpix.jobs.batch import check_targets, output_name


def find_targets(inputs: list[Path], output: str | None, *, in_place: bool) -> list[Path]:
    """Return the path of each output; `UsageError` if two outputs, or an output and an input, are the same file.

    `output` is a folder if it exists as one or ends like one, else a file.
    """
    if in_place:
        if output is not None:
            raise UsageError("--in-place and --output both say where the result goes (give one of them)")
        return inputs
    if output is not None and (is_zarr(Path(output)) or not os.path.isdir(output)):
        if output.endswith(("/", os.sep)):
            raise FileError(f"no such folder ({output!r}; make it first)")
        return [Path(output)]
    targets = [(source.parent if output is None else Path(output)) / output_name(source) for source in inputs]
    check_targets(inputs, targets)
    return targets
