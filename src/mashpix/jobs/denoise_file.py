"""Denoise one file: open, check, denoise, judge, write and record it. A single image is a stack of one plane."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mashpix import __version__, files
from mashpix.files.atomic import remove_stale
from mashpix.jobs.checked import check_request, steps_of
from mashpix.jobs.denoise_blocks import assemble, judge, open_store, put_blocks, store_folder
from mashpix.jobs.events import Event, Note, Outcome, Written
from mashpix.jobs.kept_planes import KeptPlanes
from mashpix.jobs.memory import one_line_for_memory
from mashpix.jobs.outputs import MAPS, new_map, put_plane, residual_of
from mashpix.jobs.parts import denoise_elsewhere
from mashpix.jobs.recipe import Recipe, hash_file, to_json
from mashpix.jobs.request import DenoiseRequest
from mashpix.method.early_stop import EarlyStop
from mashpix.report import Report, Step

if TYPE_CHECKING:
    from mashpix.files import Copy, OpenFile, Put
    from mashpix.jobs.batch.executor import Executor
    from mashpix.trust.stack_verdict import PlaneVerdicts


def denoise_file(
    request: DenoiseRequest,
    *,
    is_wanted_now: Callable[[], bool] = lambda: False,
    execute: "Executor | None" = None,
) -> Generator[Event, None, Outcome]:
    """Denoise one file, an image or a stack, and write all that belongs to the result.

    Close the generator to stop: each output is then complete or absent, and nothing else is left behind.

    Parameters
    ----------
    request : DenoiseRequest
        What is asked for.
    is_wanted_now : callable
        Asked after each network update: True ends the fit, and the result is made with the network as it is. The
        recipe then has `stop_after` among its settings, which gives the same bytes again.
    execute : Executor, optional
        Denoises the planes of a stack, or the blocks of large planes, elsewhere; default: here.

    Yields
    ------
    Step, Note or Written
        Steps like those of `denoise_stack_steps`, remarks, and each file when it is written. The generator returns the
        `Outcome`.

    Raises
    ------
    FileError
        For a file that cannot be read, or an output that cannot be written.
    InputError, UsageError, DeviceError, ExtraError
        As for `denoise` and `denoise_stack`, mostly before any work is done; `InputError` also if memory runs out.
    """
    started = time.perf_counter()
    with one_line_for_memory(), request.open(request.source) as opened, ExitStack() as at_end:
        checked = yield from check_request(opened, request)
        request, outputs, planes, lost = checked.request, checked.outputs, checked.planes, checked.lost
        early_stop = EarlyStop(request.settings.stop_after, is_wanted_now)
        input_sha256, store = opened.sha256(), None
        is_shared = execute is not None or store_folder(request.target).is_dir()
        if request.by_blocks is not None or (opened.is_stack and is_shared):
            store, count = at_end.enter_context(open_store(opened, request, input_sha256=input_sha256))
            for path in outputs.values():
                remove_stale(path, older_than=0)  # of a run that was killed while it wrote them
            if count:
                yield Note(f"goes on with an interrupted run ({count} {store.parts} are done)", "info")
            if execute is not None:
                yield from denoise_elsewhere(opened, checked, store, execute)
        steps = steps_of(opened, planes, request, early_stop, store)
        if store is not None:
            found = yield from put_blocks(steps, planes, store, request)
            assert found is not None
            report, judged = found, judge(planes, store, found)
        with _open_outputs(opened, outputs, request) as (copy, maps):
            if store is not None:
                assemble(store, planes, copy, maps)
            else:
                report, judged = yield from _put_planes(steps, planes, copy, maps, request)
        yield from (Note(text) for text in copy.warnings if text not in lost)
        if opened.is_stack or not report.constant:  # for a single image, the outcome reports that it is constant
            yield from (Note(text, "info") for text in report.notes)
        done = replace(request, settings=request.settings.replace(stop_after=early_stop.after))
        is_named = opened.is_stack or store is not None
        recipe = _make_recipe(done, opened, report, judged, input_sha256=input_sha256)
        made: dict[str, Callable[[], bytes]] = {
            "recipe": recipe.to_json,
            "report": lambda: to_json(recipe.report),
            "compare": lambda: judged.draw(named=is_named),
        }
        for kind, path in outputs.items():
            if kind in made:
                files.atomic_write(path, made[kind](), overwrite=request.overwrite)
            yield Written(path, kind)
        if store is not None:
            store.remove()
        return Outcome(
            target=request.target,
            axes=opened.axes,
            shape=tuple(opened.shape),
            report=report,
            verdict=judged.sum_up(),
            recipe=recipe,
            written=outputs,
            compared=judged.worst.name if is_named and request.compare and judged.worst else "",
            seconds=time.perf_counter() - started,
        )


@contextmanager
def _open_outputs(
    opened: "OpenFile", outputs: dict[str, Path], request: DenoiseRequest
) -> "Iterator[tuple[Copy, dict[str, Put]]]":
    """Open the copy of the file and the maps for planes; all get their names when the block ends without error."""
    with ExitStack() as files_open:
        maps = {
            kind: files_open.enter_context(new_map(outputs[kind], opened, overwrite=request.overwrite))
            for kind in MAPS
            if kind in outputs
        }
        may_replace = request.overwrite or request.in_place
        copying = opened.copy_to(request.target, overwrite=may_replace, strict=request.strict)
        yield files_open.enter_context(copying), maps


def _put_planes(
    steps: Generator[Step, None, None],
    planes: KeptPlanes,
    copy: "Copy",
    maps: "dict[str, Put]",
    request: DenoiseRequest,
) -> "Generator[Step, None, tuple[Report, PlaneVerdicts]]":
    """Pass the steps on; finish, judge and write each plane as soon as it is denoised."""
    from mashpix.trust.stack_verdict import PlaneVerdicts

    judged = PlaneVerdicts(planes.axes, planes.shape)
    with closing(steps):
        for step in steps:
            if step.plane is not None and step.denoised is not None:
                noisy = planes.take(step.plane)
                known = step.report.channels if step.report and "S" in planes.axes else None
                denoised = put_plane(
                    step.plane,
                    noisy,
                    step.denoised,
                    request=request,
                    channels=known or "auto",
                    copy=copy,
                    judged=judged,
                )
                if "spread" in maps:
                    maps["spread"](step.plane, np.asarray(step.spread))
                if "residual" in maps:
                    maps["residual"](step.plane, residual_of(noisy, denoised))
            yield step
    assert step.report is not None
    return step.report, judged


def _make_recipe(
    request: DenoiseRequest, opened: "OpenFile", report: Report, judged: "PlaneVerdicts", *, input_sha256: str
) -> Recipe:
    """Make the recipe of a written output."""
    import torch

    from mashpix.jobs.model_file import load_model

    verdict, model = judged.sum_up().to_dict(), request.model
    blocks = {"by_blocks": request.by_blocks} if request.by_blocks else {}
    if opened.is_stack or blocks:
        verdict |= {judged.parts: judged.list_planes()}
    return Recipe(
        version=__version__,
        torch_version=str(torch.__version__),  # else a class of torch, which every reader would have to import
        settings=load_model(model).settings if model else request.settings,
        seed=request.seed,
        strength=request.strength,
        data_range=request.data_range,
        device=report.device,
        threads=report.threads,
        input_sha256=input_sha256,
        output_sha256=hash_file(request.target),
        command=request.command,
        report=report.to_dict() | {"verdict": verdict},
        detail=request.detail,
        stack={"axes": opened.axes, "networks": request.networks} | blocks if opened.is_stack or blocks else None,
        channels=request.channels,
        nodata=request.nodata,
        mask={"name": request.mask.name, "sha256": hash_file(request.mask)} if request.mask else None,
        dtype=request.dtype,
        model={"name": model.path.name, "sha256": model.sha256} if model else None,
    )
