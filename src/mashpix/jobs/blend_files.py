"""Blend a denoised file with its noisy original, restore detail, and judge it; nothing is trained."""

from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

from mashpix import files
from mashpix.axes import plane_groups
from mashpix.errors import FileError
from mashpix.jobs.channels import channels_of
from mashpix.jobs.events import BlendOutcome, Event, Note, Written
from mashpix.jobs.kept_planes import KeptPlanes
from mashpix.jobs.memory import one_line_for_memory
from mashpix.jobs.outputs import check_outputs, put_plane
from mashpix.jobs.request import BlendRequest
from mashpix.report import Step


def blend_files(request: BlendRequest) -> Generator[Event, None, BlendOutcome]:
    """Blend a denoised image or stack with its noisy version, plane by plane, and restore detail.

    Parameters
    ----------
    request : BlendRequest
        What is asked for.

    Yields
    ------
    Step, Note or Written
        A step for each plane, remarks, and each file when it is written. The generator returns the `BlendOutcome`.

    Raises
    ------
    FileError
        For a file that cannot be read, files that do not belong together, or an output that cannot be written.
    UsageError, InputError
        For options outside their limits, and if memory runs out.
    """
    from mashpix.trust.stack_verdict import PlaneVerdicts

    with one_line_for_memory(), ExitStack() as files_open:
        noisy, finished = (files_open.enter_context(request.open(path)) for path in (request.source, request.finished))
        yield from (Note(text, "info") for text in noisy.notes)
        yield from map(Note, noisy.lost)
        outputs = _check_outputs(request)
        noisy.check_target(request.target, strict=False)
        kinds = [f"{file.dtype} {tuple(file.shape)}" for file in (finished, noisy)]
        if kinds[0] != kinds[1]:
            raise FileError(f"{str(request.finished)!r} is no version of it ({kinds[0]}; {kinds[1]} needed)")
        judged = PlaneVerdicts(noisy.axes, tuple(noisy.shape))
        channels = channels_of(noisy, request.channels) if "S" in noisy.axes else "auto"
        planes = KeptPlanes(noisy)
        indices = [places[0] for group in plane_groups(noisy.axes, noisy.shape, joint=False) for places in group]
        with noisy.copy_to(request.target, overwrite=request.overwrite) as copy:
            for number, index in enumerate(indices, 1):
                put_plane(
                    index,
                    planes[index],
                    finished[index],
                    request=request,
                    channels=channels,
                    copy=copy,
                    judged=judged,
                )
                yield Step("plane", number, len(indices), number / len(indices), plane=index)
        yield from map(Note, copy.warnings)
        yield Written(request.target, "blended")
        if request.compare is not None:
            drawn = judged.draw(named=noisy.is_stack)
            files.atomic_write(request.compare, drawn, overwrite=request.overwrite)
            yield Written(request.compare, "compare")
    return BlendOutcome(request.target, judged.sum_up(), outputs)


def _check_outputs(request: BlendRequest) -> dict[str, Path]:
    """Return the files to write by kind; refuse those that cannot be written."""
    outputs = {"blended": request.target} | ({"compare": request.compare} if request.compare else {})
    clash = f"the result and the comparison are one file ({str(request.target)!r}; name two)"
    check_outputs(outputs, [request.source, request.finished], clash=clash, overwrite=request.overwrite)
    return outputs
