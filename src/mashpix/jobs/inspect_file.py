"""Estimate the noise of one file, an image or a stack, and write the report."""

from collections.abc import Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from mashpix import files
from mashpix.arrays.colour import Channels
from mashpix.errors import FileError
from mashpix.files.image_file import mismatch
from mashpix.jobs.channels import channels_of, decide_file_channels
from mashpix.jobs.events import Event, InspectOutcome, Note, Written
from mashpix.jobs.kept_planes import KeptPlanes
from mashpix.jobs.memory import one_line_for_memory
from mashpix.jobs.outputs import check_outputs
from mashpix.jobs.recipe import to_json
from mashpix.jobs.request import InspectRequest
from mashpix.report import Step

if TYPE_CHECKING:
    from mashpix.axes import Index
    from mashpix.files import OpenFile
    from mashpix.noise_report.report import NoiseReport


def inspect_file(request: InspectRequest) -> Generator[Event, None, InspectOutcome]:
    """Estimate the noise of one file, and the cost of denoising it.

    Parameters
    ----------
    request : InspectRequest
        What is asked for.

    Yields
    ------
    Step, Note or Written
        Steps as those of `inspect_steps` and `inspect_stack_steps`, the last one "done", remarks, and each report when
        it is there. The generator returns the `InspectOutcome`.

    Raises
    ------
    FileError
        For a file that cannot be read, a report that cannot be written, or a denoised version of another image.
    InputError, UsageError, DeviceError, ExtraError
        As `inspect`.
    """
    from mashpix.noise_report.agreement import describe_removed
    from mashpix.noise_report.html import make_page
    from mashpix.noise_report.inspecting_stacks import choose_planes
    from mashpix.trust.verdict import check

    outputs = _check_outputs(request)
    with one_line_for_memory(), ExitStack() as files_open:
        opened = files_open.enter_context(request.open(request.source))
        yield from (Note(text, "info") for text in opened.notes)
        planes = KeptPlanes(opened)
        shown = choose_planes(planes, opened.axes)[0][0]
        pixels, denoised, verdict, removed = _channels_last(planes[shown], opened.axes), None, None, None
        if request.denoised is not None:
            other = files_open.enter_context(request.open(request.denoised))
            denoised = _plane_like(other, opened, shown, str(request.denoised))
        decided = decide_file_channels(opened, request.channels)[0]
        channels: Channels = decided if decided and "S" in opened.axes else "auto"  # those along C: one per plane
        report = yield from _inspect(planes, opened, request)
        if denoised is not None:
            verdict = check(pixels, denoised, channel_axis=-1 if pixels.ndim == 3 else None, channels=channels)
            removed = describe_removed(report, pixels, denoised)
        for kind, path in outputs.items():
            data = to_json(report.to_dict())
            if kind == "html":
                how: dict[str, Any] = {"is_rgb": channels == "rgb", "denoised": denoised, "verdict": verdict}
                data = make_page(report, pixels, name=request.source.name, **how).encode("utf-8", "backslashreplace")
            files.atomic_write(path, data, overwrite=request.overwrite)
            yield Written(path, kind)
    return InspectOutcome(report, verdict, removed, outputs)


def _check_outputs(request: InspectRequest) -> dict[str, Any]:
    """Return the reports to write by kind; refuse those that cannot be written."""
    outputs = {kind: path for kind, path in (("html", request.html), ("json", request.json)) if path is not None}
    clash = f"`html` and `json` name one file ({str(request.html)!r}; give two)"
    check_outputs(outputs, [request.source], clash=clash, overwrite=request.overwrite)
    return outputs


def _inspect(planes: KeptPlanes, opened: "OpenFile", request: InspectRequest) -> "Generator[Step, None, NoiseReport]":
    """Return the steps of the inspection."""
    from mashpix.noise_report.inspecting import inspect_steps
    from mashpix.noise_report.inspecting_stacks import inspect_stack_steps

    how: dict[str, Any] = {"settings": request.preset_name, "probe": request.probe}
    how |= {"device": request.device, "seed": request.seed, "channels": channels_of(opened, request.channels)}
    if opened.is_stack:
        return inspect_stack_steps(planes, axes=opened.axes, **how)
    pixels = planes[(slice(None),) * len(opened.axes)]
    return inspect_steps(pixels, channel_axis=-1 if pixels.ndim == 3 else None, **how)


def _plane_like(other: "OpenFile", opened: "OpenFile", index: "Index", name: str) -> Any:
    """Read the same plane of the denoised version."""
    if other.axes != opened.axes or tuple(other.shape) != tuple(opened.shape):
        kinds = (f"{file.axes} {tuple(file.shape)}" for file in (other, opened))
        raise FileError("`denoised` {!r}: not a version of it ({}; {} needed)".format(name, *kinds))
    plane = other[index]
    if reason := mismatch(plane, opened[index].shape, opened.dtype):
        raise FileError(f"`denoised` {name!r}: {reason}")
    return _channels_last(plane, opened.axes)


def _channels_last(plane: Any, axes: str) -> Any:
    """Return a plane as (H, W) or (H, W, C), for display."""
    within = [letter for letter in axes if letter in "YXS"]
    return plane.transpose([within.index(letter) for letter in "YXS" if letter in within])
