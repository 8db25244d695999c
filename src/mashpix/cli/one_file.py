"""One file of `mashpix denoise`: checked, denoised, and written with all that belongs to it."""

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
from mashpix.cli.finishing import draw_comparison, finish, show_verdict
from mashpix.errors import InputError, UsageError
from mashpix.recipe import Recipe, hash_file, recipe_path, sha256, to_json
from mashpix.report import Report, Step
from mashpix.settings import Settings

SAVES = {"spread": "_spread.tif", "residual": "_residual.tif", "report": "_report.json"}
"""What --save knows, and how the names of those files end."""


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
    sparse: bool

    @property
    def options(self) -> dict[str, Any]:
        """What changes the bytes of an output beside settings, seed and device."""
        names = ("strength", "detail", "data_range", "axes", "fit", "joint")
        return {name: getattr(self, name) for name in names}


def list_beside(target: Path, save: tuple[str, ...]) -> dict[str, Path]:
    """What is written beside a picture: what --save asks for, and the recipe."""
    return {kind: target.with_name(target.stem + SAVES[kind]) for kind in save} | {"recipe": recipe_path(target)}


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
    for note in image.notes:
        complain(note, name=str(source))
    files.check_output(source, target, overwrite=run.overwrite, in_place=run.in_place)
    files.check_writable(image, target, strict=run.strict)
    beside = list_beside(target, run.save)
    if run.compare is not None:
        beside["compare"] = run.compare
    if len({path.resolve() for path in (target, *beside.values())}) <= len(beside):
        raise UsageError(f"--compare is another output ({str(run.compare)!r}; name another file)")
    for path in beside.values():
        files.check_output(source, path, overwrite=run.overwrite, in_place=False)
    input_sha256 = sha256(source.read_bytes())
    started = time.perf_counter()
    last = _denoise_pixels(source, image, run, threads=threads, show=show)
    assert last.report is not None
    spread = np.asarray(last.spread)
    denoised, verdict = finish(image.pixels, last.denoised, strength=run.strength, detail=run.detail)
    may_replace = run.overwrite or run.in_place
    result = replace(image, pixels=denoised)
    for warning in files.write_image(target, result, overwrite=may_replace, strict=run.strict):
        complain(warning, name=str(source))
    report = last.report.to_dict() | {"verdict": verdict.to_dict()}
    recipe = make_recipe(run, report, input_sha256=input_sha256, target=target)
    with np.errstate(invalid="ignore", over="ignore"):  # at infinite pixels it is NaN
        exact = "float64" if denoised.itemsize > 4 else "float32"
        residual = np.subtract(image.pixels, denoised, dtype=exact).astype("float32", copy=False)
    made: dict[str, Callable[[], bytes]] = {
        "recipe": recipe.to_json,
        "report": lambda: to_json(recipe.report),
        "spread": lambda: files.encode_map(spread),
        "residual": lambda: files.encode_map(residual),
        "compare": lambda: draw_comparison(image.pixels, denoised),
    }
    for kind, path in beside.items():
        files.atomic_write(path, made[kind](), overwrite=run.overwrite)
    typer.echo(f"{str(target)!r}: {summary(last.report)}, {time.perf_counter() - started:.0f} s")
    show_verdict(verdict)


def _denoise_pixels(
    source: Path, image: Any, run: Run, *, threads: int | None, show: Callable[[Step], None] | None
) -> Step:
    """The last step of denoising one picture; every step is shown, by `show` or as progress."""
    import torch

    from mashpix.denoising import denoise_steps

    if threads is not None:
        torch.set_num_threads(threads)
    steps = denoise_steps(
        image.pixels,
        channel_axis=-1 if image.pixels.ndim == 3 else None,
        data_range=run.data_range,
        settings=run.settings,
        seed=run.seed,
        device=run.device,
        preview_every=0,
    )
    with nullcontext(show) if show else progress(str(source)) as shown:
        for step in in_background(steps):
            shown(step)
    return step


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
