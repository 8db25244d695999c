"""`mashpix denoise`: pictures in, clean pictures and their recipes out."""

import os
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from mashpix import __version__
from mashpix.cli.console import complain, in_background, progress
from mashpix.cli.options import DEVICES, build_settings, settings_flags
from mashpix.cli.stack import check_fit, denoise_stack_file
from mashpix.errors import DeviceError, FileError, MashpixError, UsageError
from mashpix.files import MAX_PIXELS
from mashpix.recipe import Recipe, file_sha256, read_recipe, sha256, to_json
from mashpix.report import Report, Step
from mashpix.settings import PRESETS, Settings, preset

SAVES = {"spread": "_spread.tif", "residual": "_residual.tif", "report": "_report.json"}
"""What --save knows, and how the names of those files end."""


@dataclass(frozen=True)
class Run:
    """What all pictures of one command line have in common."""

    settings: Settings
    seed: int
    strength: float
    data_range: float | None
    device: str
    save: tuple[str, ...]
    overwrite: bool
    in_place: bool
    max_pixels: int
    axes: str | None
    fit: str
    joint: bool


@settings_flags
def denoise(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Pictures: PNG, JPEG, TIFF or NPY.")],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="OUT|DIR", help="Output file, or folder; else <stem>_denoised<ext>."),
    ] = None,
    preset_name: Annotated[
        str | None, typer.Option("--preset", metavar="|".join(PRESETS), help="Settings to start from.")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take settings, seed, strength, device and threads from a recipe."),
    ] = None,
    device: Annotated[str | None, typer.Option(metavar=DEVICES, help="Where to compute; default auto.")] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processor threads; default: one a core.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help="Seed of all random draws; default 0.")] = None,
    strength: Annotated[
        float | None,
        typer.Option(metavar="0..1", min=0, max=1, help="Blend: 0 leaves the picture as it is, 1 (default) denoises."),
    ] = None,
    data_range: Annotated[
        float | None, typer.Option(metavar="X", help="Distance from black to white, for the published presets.")
    ] = None,
    save: Annotated[
        str, typer.Option(metavar=",".join(SAVES), help="Write these too, beside the output, separated by commas.")
    ] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace the inputs themselves.")] = False,
    max_pixels: Annotated[int, typer.Option(metavar="N", min=1, help="Refuse larger pictures.")] = MAX_PIXELS,
    axes: Annotated[
        str | None, typer.Option(metavar="LETTERS", help="Axes of a stack, such as TZCYX; else as the file says.")
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(metavar="once|each", help="Stacks: one network for all planes of a kind (default), or one each."),
    ] = None,
    joint: Annotated[
        bool | None,
        typer.Option("--joint/--no-joint", help="Stacks: denoise all channels together."),
    ] = None,
    *,
    overrides: dict[str, Any],
) -> None:
    """Denoise pictures, each from itself alone."""
    if recipe is not None and preset_name is not None:
        raise UsageError("--preset and --recipe both name the settings (give one of them)")
    known = _read_recipe(recipe)
    of_stack = (known and known.stack) or {}
    run = Run(
        settings=build_settings(known.settings if known else preset(preset_name or "default"), overrides),
        seed=_first(seed, known and known.seed, 0),
        strength=_first(strength, known and known.strength, 1.0),
        data_range=_first(data_range, known and known.data_range),
        device=_first(device, known and known.device, "auto"),
        save=_parse_save(save),
        overwrite=overwrite,
        in_place=in_place,
        max_pixels=max_pixels,
        axes=_first(axes, of_stack.get("axes")),
        fit=check_fit(_first(fit, of_stack.get("fit"), "once")),
        joint=_first(joint, of_stack.get("joint"), False),
    )
    targets = find_targets(inputs, output, in_place=in_place)
    exit_code = 0
    for source, target in zip(inputs, targets, strict=True):
        try:
            _denoise_file(source, target, run, threads=_first(threads, known and known.threads))
        except (DeviceError, UsageError):
            raise
        except MashpixError as error:
            complain(str(error), name=str(source))
            exit_code = error.exit_code if len(inputs) == 1 else 1
    raise typer.Exit(exit_code)


def _read_recipe(path: Path | None) -> Recipe | None:
    if path is None:
        return None
    recipe = read_recipe(path)
    if recipe.version != __version__:
        complain(f"the recipe is of version {recipe.version}, this is {__version__}: the bytes may differ")
    return recipe


def _first(*values: Any) -> Any:
    """The first that is given."""
    return next((value for value in values if value is not None), None)


def _parse_save(text: str) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(filter(None, text.split(","))))
    if unknown := sorted(set(wanted) - set(SAVES)):
        raise UsageError(f"--save: unknown ({', '.join(unknown)}; any of {', '.join(SAVES)})")
    return wanted


def find_targets(inputs: list[Path], output: str | None, *, in_place: bool) -> list[Path]:
    """Where each output goes; outputs that would meet each other or an input raise `UsageError`.

    `output` is a folder if it is one, ends like one, or has to take several pictures; else a file.
    """
    if in_place:
        if output is not None:
            raise UsageError("--in-place and --output both say where the result goes (give one of them)")
        return inputs
    if output is not None and not Path(output).is_dir():
        if len(inputs) > 1 or output.endswith(("/", os.sep)):
            raise FileError(f"no such folder ({output!r}; make it first)")
        return [Path(output)]
    folders = [source.parent if output is None else Path(output) for source in inputs]
    names = [f"{source.stem}_denoised{source.suffix}" for source in inputs]
    targets = [folder / name for folder, name in zip(folders, names, strict=True)]
    places = [target.resolve() for target in targets]
    sources = {source.resolve() for source in inputs}
    for place, target in zip(places, targets, strict=True):
        if places.count(place) > 1:
            raise UsageError(f"two inputs have one output ({str(target)!r}; denoise them into different folders)")
        if place in sources:
            raise UsageError(f"an input is the output of another ({str(target)!r}; leave it out)")
    return targets


def _denoise_file(source: Path, target: Path, run: Run, *, threads: int | None) -> None:
    """Check all that can be checked, denoise, write the picture and then what belongs to it."""
    from mashpix import files

    stack = files.open_stack(source, axes=run.axes, max_pixels=run.max_pixels)
    if stack is not None:
        with closing(stack):
            denoise_stack_file(stack, source, target, run, threads=threads)
        return
    image = files.read_image(source, max_pixels=run.max_pixels)
    for note in image.notes:
        complain(note, name=str(source))
    files.check_output(source, target, overwrite=run.overwrite, in_place=run.in_place)
    files.check_writable(image, target)
    beside = {kind: target.with_name(target.stem + SAVES[kind]) for kind in run.save}
    beside["recipe"] = target.with_name(target.name + ".json")
    for path in beside.values():
        files.check_output(source, path, overwrite=run.overwrite, in_place=False)
    input_sha256 = sha256(source.read_bytes())
    from mashpix.images import blend  # loads torch: seconds that a refused file should not cost

    started = time.perf_counter()
    last = _denoise_pixels(source, image, run, threads=threads)
    assert last.report is not None
    spread = np.asarray(last.spread)
    denoised = blend(image.pixels, last.denoised, run.strength)
    may_replace = run.overwrite or run.in_place
    for warning in files.write_image(target, replace(image, pixels=denoised), overwrite=may_replace):
        complain(warning, name=str(source))
    recipe = make_recipe(run, last.report, input_sha256=input_sha256, target=target)
    residual = image.pixels.astype("float32") - denoised.astype("float32")
    made: dict[str, Callable[[], bytes]] = {
        "recipe": recipe.to_json,
        "report": lambda: to_json(recipe.report),
        "spread": lambda: files.encode_map(spread),
        "residual": lambda: files.encode_map(residual),
    }
    for kind, path in beside.items():
        files.atomic_write(path, made[kind](), overwrite=run.overwrite)
    typer.echo(f"{str(target)!r}: {summary(last.report)}, {time.perf_counter() - started:.0f} s")


def _denoise_pixels(source: Path, image: Any, run: Run, *, threads: int | None) -> Step:
    """The last step of denoising one picture, with progress shown on the way."""
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
    with progress(str(source)) as show:
        for step in in_background(steps):
            show(step)
    return step


def make_recipe(
    run: Run, report: Report, *, input_sha256: str, target: Path, stack: dict[str, Any] | None = None
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
        device=report.device,
        threads=report.threads,
        input_sha256=input_sha256,
        output_sha256=file_sha256(target),
        command=shlex.join(["mashpix", *sys.argv[1:]]),
        report=report.to_dict(),
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
