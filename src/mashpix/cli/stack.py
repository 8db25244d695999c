"""`mashpix denoise` on a stack: planes go from file to file one by one."""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mashpix.axes import FITS
from mashpix.cli.console import complain, in_background, progress
from mashpix.cli.one_file import Run, list_beside, make_recipe, summary
from mashpix.errors import FileError, UsageError
from mashpix.recipe import hash_file, to_json
from mashpix.report import Step

if TYPE_CHECKING:
    from mashpix.files.stack_file import Put, Stack


def check_fit(fit: str) -> str:
    """What --fit may be."""
    if fit not in FITS:
        raise UsageError(f"--fit: unknown choice ({fit!r}; one of {', '.join(FITS)})")
    return fit


def denoise_stack_file(
    stack: "Stack", source: Path, target: Path, run: Run, *, threads: int | None, show: Callable[[Step], None] | None
) -> None:
    """Check all that can be checked, denoise into a copy of the file, then write what belongs to it."""
    from mashpix import files

    if run.strict and stack.lost:
        raise FileError(f"not all of it can be kept ({'; '.join(stack.lost)}; leave out --strict to allow that)")
    for note in (*stack.notes, *stack.lost):
        complain(note, name=str(source))
    if unknown := sorted(set(run.save) - {"report"}):
        raise FileError(f"cannot save this of a stack ({', '.join(unknown)}; its report can be saved)")
    if run.detail or run.compare is not None:
        raise FileError("neither --detail nor --compare of a stack (leave them out)")
    files.check_same_format(source, target)
    check = files.check_folder if source.is_dir() else files.check_output
    check(source, target, overwrite=run.overwrite, in_place=run.in_place)
    beside = list_beside(target, run.save)
    for path in beside.values():
        files.check_output(source, path, overwrite=run.overwrite, in_place=False)
    input_sha256 = hash_file(source)
    started = time.perf_counter()
    showing = nullcontext(show) if show else progress(str(source))
    with stack.copy_to(target, overwrite=run.overwrite or run.in_place) as put, showing as shown:
        for step in in_background(_denoise_into(put, stack, run, threads=threads)):
            shown(step)
    report = step.report
    assert report is not None
    for note in report.notes:
        complain(note, name=str(source))
    options = {"axes": stack.axes, "fit": run.fit, "joint": run.joint}
    recipe = make_recipe(run, report.to_dict(), input_sha256=input_sha256, target=target, stack=options)
    made: dict[str, Callable[[], bytes]] = {"recipe": recipe.to_json, "report": lambda: to_json(recipe.report)}
    for kind, path in beside.items():
        files.atomic_write(path, made[kind](), overwrite=run.overwrite)
    shape = " x ".join(map(str, stack.shape))
    spent = time.perf_counter() - started
    typer.echo(f"{str(target)!r}: {stack.axes} {shape}, fit {run.fit}, {summary(report)}, {spent:.0f} s")


def _denoise_into(put: "Put", stack: "Stack", run: Run, *, threads: int | None) -> Iterator[Step]:
    """The steps of denoising a stack; each plane is put into its place as soon as it is there."""
    import torch

    from mashpix.images import blend
    from mashpix.stacks import denoise_stack_steps

    if threads is not None:
        torch.set_num_threads(threads)
    steps = denoise_stack_steps(
        stack,
        axes=stack.axes,
        fit=run.fit,
        joint=run.joint,
        data_range=run.data_range,
        settings=run.settings,
        seed=run.seed,
        device=run.device,
    )
    for step in steps:
        if step.plane is not None:
            put(step.plane, blend(stack[step.plane], step.denoised, run.strength))
        yield step
