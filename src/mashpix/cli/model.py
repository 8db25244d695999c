"""`mashpix fit` and `mashpix apply`: a network fitted once to a few pictures, and applied to all of their kind."""

import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mashpix.cli.console import complain, in_background, progress
from mashpix.cli.options import DEVICES, build_settings, settings_flags
from mashpix.cli.targets import find_targets
from mashpix.errors import DeviceError, FileError, MashpixError, UsageError
from mashpix.files import MAX_PIXELS
from mashpix.report import Step
from mashpix.settings import PRESETS, preset

if TYPE_CHECKING:
    from mashpix.model import Model

Axes = Annotated[str | None, typer.Option(metavar="LETTERS", help="Axes of a stack, such as TZCYX.")]
Joint = Annotated[bool, typer.Option("--joint", help="Stacks: denoise all channels together.")]
Device = Annotated[str, typer.Option(metavar=DEVICES, help="Where to compute.")]
Threads = Annotated[int | None, typer.Option(metavar="N", min=1, help="Processor threads; default: one a core.")]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Seed of all random draws.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
MaxPixels = Annotated[int, typer.Option(metavar="N", min=1, help="Refuse larger pictures.")]


@settings_flags
def fit(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="IN...", readable=False, help="Pictures or stacks of a kind.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="MODEL", help="File of the model, safetensors.")],
    preset_name: Annotated[
        str, typer.Option("--preset", metavar="|".join(PRESETS), help="Settings to start from.")
    ] = "default",
    data_range: Annotated[
        float | None, typer.Option(metavar="X", help="Distance from black to white, for the published presets.")
    ] = None,
    axes: Axes = None,
    joint: Joint = False,
    device: Device = "auto",
    threads: Threads = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    max_pixels: MaxPixels = MAX_PIXELS,
    *,
    overrides: dict[str, Any],
) -> None:
    """Fit a network to up to four pictures, or planes, spread over those given."""
    from mashpix import files

    settings = build_settings(preset(preset_name), overrides)
    files.check_output(None, output, overwrite=overwrite)
    places = [(path, planes) for path in inputs for planes in _list_planes(path, axes, joint, max_pixels)]
    import torch

    from mashpix.model_file import encode_model
    from mashpix.planes import choose_pictures, read_picture
    from mashpix.stacks import fit_model_steps

    def read(index: int) -> Any:
        path, planes = places[index]
        with _opened(path, axes, max_pixels, say=False) as (stack, found, _):
            return read_picture(stack, found, planes)

    if threads is not None:
        torch.set_num_threads(threads)
    started, chosen, made = time.perf_counter(), choose_pictures(read, len(places)), []
    if not chosen:
        raise FileError("nothing to fit to (all of it is blank)")

    def work() -> Generator[Step, None, None]:
        made.append(
            (yield from fit_model_steps(chosen, data_range=data_range, settings=settings, seed=seed, device=device))
        )

    with progress(str(output)) as show:
        for step in in_background(work()):
            show(step)
    files.atomic_write(output, encode_model(made[0]), overwrite=overwrite)
    ratio, spent = made[0].masking.masking_ratio, time.perf_counter() - started
    typer.echo(
        f"{str(output)!r}: fitted to {len(chosen)} of {len(places)} planes, masking ratio {ratio:g}, {spent:.0f} s"
    )


def apply(
    model: Annotated[Path, typer.Argument(metavar="MODEL", readable=False, help="What mashpix fit wrote.")],
    inputs: Annotated[
        list[Path], typer.Argument(metavar="IN...", readable=False, help="Pictures or stacks of its kind.")
    ],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="OUT|DIR", help="Output file, or folder; else <stem>_denoised<ext>."),
    ] = None,
    strength: Annotated[
        float, typer.Option(metavar="0..1", min=0, max=1, help="Blend: 0 leaves the picture as it is.")
    ] = 1.0,
    axes: Axes = None,
    joint: Joint = False,
    device: Device = "auto",
    threads: Threads = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Denoise pictures or stacks with a model: nothing is fitted."""
    from mashpix.model_file import read_model

    targets = find_targets(inputs, output, in_place=False)
    try:
        known = read_model(model)
    except FileError as error:
        raise FileError(f"{str(model)!r}: {error}") from None
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    options = {"joint": joint, "seed": seed, "device": device}
    exit_code = 0
    for source, target in zip(inputs, targets, strict=True):
        try:
            with _opened(source, axes, max_pixels) as (stack, found, image):
                _apply(known, source, target, stack, found, image, strength, overwrite=overwrite, options=options)
        except (DeviceError, UsageError):
            raise
        except MashpixError as error:
            complain(str(error), name=str(source))
            exit_code = 1
    raise typer.Exit(exit_code)


def _apply(
    model: "Model",
    source: Path,
    target: Path,
    stack: Any,
    axes: str,
    image: Any,
    strength: float,
    *,
    overwrite: bool,
    options: dict[str, Any],
) -> None:
    """Denoise one file; `image` is None for a stack, whose planes go into a copy of the file."""
    from mashpix import files
    from mashpix.images import blend
    from mashpix.stacks import apply_model_steps

    started = time.perf_counter()
    check = files.check_folder if source.is_dir() else files.check_output
    check(source, target, overwrite=overwrite)
    steps = apply_model_steps(model, stack, axes=axes, **options)

    def work(put: Any) -> Iterator[Step]:
        for step in steps:
            if step.plane is not None:
                put(step.plane, blend(stack[step.plane], step.denoised, strength))
            yield step

    with progress(str(source)) as show:
        if image is None:
            files.check_same_format(source, target)
            with stack.copy_to(target, overwrite=overwrite) as put:
                for step in in_background(work(put)):
                    show(step)
        else:
            files.check_writable(image, target)
            result = image.pixels.copy()
            for step in in_background(work(result.__setitem__)):
                show(step)
            for warning in files.write_image(target, replace(image, pixels=result), overwrite=overwrite):
                complain(warning, name=str(source))
    typer.echo(f"{str(target)!r}: {axes} {' x '.join(map(str, stack.shape))}, {time.perf_counter() - started:.0f} s")


def _list_planes(path: Path, axes: str | None, joint: bool, max_pixels: int) -> list[Any]:
    """The pictures of a file that one network is to serve, by where their planes are."""
    from mashpix.axes import plane_groups

    with _opened(path, axes, max_pixels) as (stack, found, _):
        groups = plane_groups(found, stack.shape, joint=joint)
    if len(groups) > 1:
        raise UsageError(f"{len(groups)} channels need a model each ({str(path)!r}; --joint makes one for all)")
    return groups[0]


@contextmanager
def _opened(path: Path, axes: str | None, max_pixels: int, *, say: bool = True) -> Iterator[tuple[Any, str, Any]]:
    """A stack and its axes; for a single picture its pixels as a stack of one plane, and the picture."""
    from mashpix import files

    stack = files.open_stack(path, axes=axes, max_pixels=max_pixels)
    if stack is None:
        image = files.read_image(path, max_pixels=max_pixels)
        notes, found = image.notes, "YX" if image.pixels.ndim == 2 else "YXS"
    else:
        notes, found = (*stack.notes, *stack.lost), stack.axes
    for note in notes if say else ():
        complain(note, name=str(path))
    if stack is None:
        yield image.pixels, found, image
        return
    with closing(stack):
        yield stack, found, None
