"""One file of `mashpix denoise` or `apply`: checked, denoised, and written with all that belongs to it."""

import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import typer

from mashpix import __version__
from mashpix.cli.console import complain, in_background, progress
from mashpix.cli.finishing import channels_last, draw_comparison, finish, residual_of, show_verdict
from mashpix.cli.opening import axes_of
from mashpix.errors import DeviceError, InputError, MashpixError, UsageError
from mashpix.jobs.model_reference import ModelReference, check_like, load_model
from mashpix.jobs.recipe import Recipe, hash_file, recipe_path, sha256, to_json
from mashpix.report import Report, Step
from mashpix.settings import Settings

SAVES = {"spread": "_spread{}", "residual": "_residual{}", "report": "_report.json"}
"""What --save knows, and how the names of those files end: maps of an NPY file are NPY files, all others TIFF."""


@dataclass(frozen=True)
class Run:
    """What all pictures of one command line have in common."""

    settings: Settings
    seed: int
    strength: float
    detail: float
    data_range: float | None
    device: str
    save: tuple[str, ...]
    compare: Path | None
    overwrite: bool
    in_place: bool
    strict: bool
    max_pixels: int
    axes: str | None
    fit: str
    joint: bool
    sparse: bool = False
    model: ModelReference | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What changes the bytes of an output beside settings, seed and device."""
        names = ("strength", "detail", "data_range", "axes", "fit", "joint")
        model = {"model": self.model.sha256} if self.model else {}
        return {name: getattr(self, name) for name in names} | model


def list_beside(target: Path, save: tuple[str, ...]) -> dict[str, Path]:
    """What is written beside a picture: what --save asks for, and the recipe."""
    ending = ".npy" if target.suffix.lower() == ".npy" else ".tif"
    return {kind: target.with_name(target.stem + SAVES[kind].format(ending)) for kind in save} | {
        "recipe": recipe_path(target)
    }


def parse_save(text: str) -> tuple[str, ...]:
    """What --save asks for, in a tuple; what it does not know raises `UsageError`."""
    wanted = tuple(dict.fromkeys(filter(None, text.split(","))))
    if unknown := sorted(set(wanted) - set(SAVES)):
        raise UsageError(f"--save: unknown ({', '.join(unknown)}; any of {', '.join(SAVES)})")
    return wanted


def denoise_files(sources: list[Path], targets: list[Path], run: Run, *, threads: int | None) -> int:
    """Denoise files one after another, complain of those that fail, and return the exit code."""
    exit_code = 0
    for source, target in zip(sources, targets, strict=True):
        try:
            denoise_file(source, target, run, threads=threads)
        except (DeviceError, UsageError):
            raise
        except MashpixError as error:
            complain(str(error), name=str(source))
            exit_code = error.exit_code if len(sources) == 1 else 1
    return exit_code


@contextmanager
def one_line_for_memory() -> Iterator[None]:
    """Turn what libraries raise when memory runs out, in spite of the estimate, into one clear error."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or re.search("out of memory|DefaultCPUAllocator", str(error)):
            raise InputError("not enough memory (it ran out; denoise the picture in parts)") from None
        raise


@one_line_for_memory()
def denoise_file(
    source: Path, target: Path, run: Run, *, threads: int | None, show: Callable[[Step], None] | None = None
) -> None:
    """Check all that can be checked, denoise, write the picture and then what belongs to it."""
    from mashpix import files
    from mashpix.cli.stack import denoise_stack_file

    stack = files.open_stack(source, axes=run.axes, max_pixels=run.max_pixels, sparse=run.sparse)
    if stack is not None:
        with closing(stack):
            denoise_stack_file(stack, source, target, run, threads=threads, show=show)
        return
    image = files.read_image(source, max_pixels=run.max_pixels)
    check_like(axes_of(image), image.pixels, run.model)
    for note in image.notes:
        complain(note, name=str(source))
    files.check_writable(image, target, strict=run.strict)
    beside = check_outputs(source, target, run)
    input_sha256 = sha256(source.read_bytes())
    started = time.perf_counter()
    last = _denoise_pixels(source, image.pixels, run, threads=threads, show=show)
    assert last.report is not None
    spread = np.asarray(last.spread)
    channel_axis = channels_last(image.pixels)
    denoised, verdict = finish(
        image.pixels, last.denoised, strength=run.strength, detail=run.detail, channel_axis=channel_axis
    )
    may_replace = run.overwrite or run.in_place
    result = replace(image, pixels=denoised)
    for warning in files.write_image(target, result, overwrite=may_replace, strict=run.strict):
        complain(warning, name=str(source))
    report = last.report.to_dict() | {"verdict": verdict.to_dict()}
    recipe = make_recipe(run, report, input_sha256=input_sha256, target=target)
    made: dict[str, Callable[[Path], bytes]] = {
        "recipe": lambda path: recipe.to_json(),
        "report": lambda path: to_json(recipe.report),
        "spread": lambda path: files.encode_map(spread, suffix=path.suffix),
        "residual": lambda path: files.encode_map(residual_of(image.pixels, denoised), suffix=path.suffix),
        "compare": lambda path: draw_comparison(image.pixels, denoised, channel_axis=channel_axis),
    }
    for kind, path in beside.items():
        files.atomic_write(path, made[kind](path), overwrite=run.overwrite)
    typer.echo(f"{str(target)!r}: {summary(last.report)}, {time.perf_counter() - started:.0f} s")
    show_verdict(verdict)


def check_outputs(source: Path, target: Path, run: Run) -> dict[str, Path]:
    """All that is written beside a picture, --compare's too, checked together with the picture itself."""
    from mashpix import files

    check = files.check_folder if source.is_dir() else files.check_output
    check(source, target, overwrite=run.overwrite, in_place=run.in_place)
    beside = list_beside(target, run.save)
    if run.compare is not None:
        beside["compare"] = run.compare
    if len({path.resolve() for path in (target, *beside.values())}) <= len(beside):
        raise UsageError(f"--compare is another output ({str(run.compare)!r}; name another file)")
    for path in beside.values():
        files.check_output(source, path, overwrite=run.overwrite, in_place=False)
    return beside


def _denoise_pixels(
    source: Path, pixels: Any, run: Run, *, threads: int | None, show: Callable[[Step], None] | None
) -> Step:
    """The step that holds the denoised picture; every step is shown, by `show` or as progress."""
    import torch

    from mashpix.arrays.denoising import denoise_steps
    from mashpix.arrays.stacks import apply_model_steps

    if threads is not None:
        torch.set_num_threads(threads)
    channel_axis = channels_last(pixels)
    if run.model is not None:
        axes = "YX" if channel_axis is None else "YXS"
        model = load_model(run.model)
        steps = apply_model_steps(model, pixels, axes=axes, seed=run.seed, device=run.device)
    else:
        steps = denoise_steps(
            pixels,
            channel_axis=channel_axis,
            data_range=run.data_range,
            settings=run.settings,
            seed=run.seed,
            device=run.device,
            preview_every=0,
        )
    with nullcontext(show) if show else progress(str(source)) as shown:
        for step in in_background(steps):
            shown(step)
            if step.denoised is not None:
                last = step
    return last


def make_recipe(
    run: Run, report: dict[str, Any], *, input_sha256: str, target: Path, stack: dict[str, Any] | None = None
) -> Recipe:
    """The recipe of an output that is written."""
    import torch

    return Recipe(
        version=__version__,
        torch_version=torch.__version__,
        settings=run.settings,
        seed=run.seed,
        strength=run.strength,
        data_range=run.data_range,
        device=report["device"],
        threads=report["threads"],
        input_sha256=input_sha256,
        output_sha256=hash_file(target),
        command=shlex.join(["mashpix", *sys.argv[1:]]),
        report=report,
        detail=run.detail,
        stack=stack,
        model={"name": run.model.path.name, "sha256": run.model.sha256} if run.model else None,
    )


def summary(report: Report) -> str:
    """What was found and decided, in a few words."""
    if report.constant:
        return "constant, left as it is"
    found = f"masking ratio {report.masking_ratio:g}"
    if report.noise_level_gap is not None:
        found += f", gap {report.noise_level_gap:.2f} grey levels"
    if report.neighbour_correlation is not None:
        found += f", neighbours correlated {report.neighbour_correlation:.2f}"
    if report.shuffled_fraction:
        found += f", {report.shuffled_fraction:.0%} shuffled"
    return found
