"""Where the output of each named file goes."""

import os
from pathlib import Path

from mashpix.errors import FileError, UsageError
from mashpix.files import is_zarr
from mashpix.jobs.batch import check_targets, output_name


def find_targets(inputs: list[Path], output: str | None, *, in_place: bool) -> list[Path]:
    """Where each output goes; two outputs in one place, or an output in the place of an input, raise `UsageError`.

    `output` is a folder if it is one or ends like one; else a file.
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
