"""Names of the files beside an output: its recipe, and what the request asks to save."""

from pathlib import Path

from mashpix.jobs.recipe import recipe_path
from mashpix.jobs.request import DenoiseRequest

ENDINGS = {"spread": "_spread{}", "residual": "_residual{}", "report": "_report.json"}
"""Name endings of saved files; maps of an NPY file are NPY files, all others TIFF."""


def sidecar_paths(request: DenoiseRequest) -> dict[str, Path]:
    """Return the paths of the files beside the output, by kind as in `Written`, in the order of writing."""
    target = request.target
    ending = ".npy" if target.suffix.lower() == ".npy" else ".tif"
    saved = {kind: target.with_name(target.stem + ENDINGS[kind].format(ending)) for kind in request.save}
    return saved | {"recipe": recipe_path(target)}
