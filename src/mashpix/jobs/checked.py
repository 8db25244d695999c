"""Open one file to be denoised: all that is checked before any work, and the steps of the work."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mashpix.axes import middle_plane, samples_axis
from mashpix.jobs.channels import channels_of, decide_file_channels, middle_part
from mashpix.jobs.denoise_blocks import check_blocks
from mashpix.jobs.events import Note
from mashpix.jobs.kept_planes import KeptPlanes
from mashpix.jobs.model_reference import check_kind, kind_of
from mashpix.jobs.outputs import check_outputs, sidecar_paths
from mashpix.jobs.request import DenoiseRequest
from mashpix.method.early_stop import EarlyStop
from mashpix.report import Step
from mashpix.steps import relay

if TYPE_CHECKING:
    from mashpix.arrays.kept import Kept
    from mashpix.files import OpenFile


@dataclass(frozen=True)
class Checked:
    """A request that can be done.

    request : with the side of the blocks, if planes are denoised in blocks
    outputs : the files to write by kind, the comparison last
    planes : of the input
    lost : what the output cannot keep, one line each
    """

    request: DenoiseRequest
    outputs: dict[str, Path]
    planes: KeptPlanes
    lost: list[str]


def check_request(opened: "OpenFile", request: DenoiseRequest) -> Generator[Note, None, Checked]:
    """Check a request before any work is done, and say what the user should know."""
    check_kind(kind_of(opened.axes, opened.shape, opened.dtype), request.model)
    request = replace(request, by_blocks=request.block_side(opened))
    check_blocks(request)
    lost = [*opened.lost, *opened.check_target(request.target, strict=request.strict)]
    outputs = _check_outputs(request)
    yield from (Note(text, "info") for text in opened.notes)
    yield from map(Note, lost)
    planes = keep_planes(opened, request)
    yield from map(Note, _warn_of_labels(planes))
    return Checked(request, outputs, planes, lost)


def keep_planes(opened: "OpenFile", request: DenoiseRequest) -> KeptPlanes:
    """Return the planes of a file, as many kept as are needed."""
    return KeptPlanes(opened, most=1 if request.by_blocks else _count_kept(opened, request))


def _check_outputs(request: DenoiseRequest) -> dict[str, Path]:
    """Return the files to write by kind, the comparison last; refuse those that cannot be written."""
    outputs = {"denoised": request.target} | sidecar_paths(request)
    if request.compare is not None:
        outputs["compare"] = request.compare
    clash = f"`compare` is another output ({str(request.compare)!r}; name another file)"
    how = {"overwrite": request.overwrite, "in_place": request.in_place}
    check_outputs(outputs, [request.source], clash=clash, **how)
    return outputs


def _warn_of_labels(planes: KeptPlanes) -> list[str]:
    """Return a warning if the plane in the middle is not an image that was measured, but names areas."""
    from mashpix.arrays.label_images import looks_like_labels

    plane, axis = planes[middle_part(planes.stack)], samples_axis(planes.axes)
    is_labels = looks_like_labels(plane if axis is None else np.moveaxis(plane, axis, -1))
    warning = "looks like a label image or a mask (flat areas without noise): denoising may change its values"
    return [warning] if is_labels else []


def _count_kept(opened: "OpenFile", request: DenoiseRequest) -> int:
    """Return how many planes to keep: those of the current image, and those that a network is being fitted to."""
    from mashpix.arrays.shared import count_fitted

    lengths = dict(zip(opened.axes, opened.shape, strict=True))
    together = lengths.get("C", 1) if opened.is_stack and decide_file_channels(opened, request.channels)[1] else 1
    fitted = count_fitted(lengths["Y"] * lengths["X"])
    return together * (fitted + 2) + 1  # choosing those reads a plane in the middle, and so does the warning of labels


def steps_of(
    opened: "OpenFile", planes: KeptPlanes, request: DenoiseRequest, early_stop: EarlyStop, kept: "Kept | None" = None
) -> Generator[Step, None, None]:
    """Return the steps of denoising all planes, or what is left of them; refuse at once what cannot be denoised."""
    from mashpix.arrays.denoising import denoise_steps
    from mashpix.arrays.modelling import apply_model_steps
    from mashpix.arrays.stacks import denoise_stack_steps

    axes = opened.axes
    where: dict[str, Any] = {"seed": request.seed, "device": request.device}
    if request.model is not None:
        from mashpix.jobs.model_file import load_model

        return apply_model_steps(load_model(request.model), planes, axes=axes, channels=request.channels, **where)
    how: dict[str, Any] = {"data_range": request.data_range, "settings": request.settings} | where
    how |= {"channels": channels_of(opened, request.channels), "early_stop": early_stop}
    if opened.is_stack or request.by_blocks is not None:
        how |= {"by_blocks": request.by_blocks} | ({} if kept is None else {"kept": kept})
        return denoise_stack_steps(planes, axes=axes, networks=request.networks, **how)
    only = middle_plane(axes, opened.shape)
    steps = denoise_steps(planes[only], channel_axis=samples_axis(axes), preview_every=request.preview_every, **how)
    return relay(steps, lambda step: step if step.report is None else replace(step, plane=only))
