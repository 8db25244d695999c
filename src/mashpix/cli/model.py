"""`mashpix fit` and `mashpix apply`: a network fitted once to a few pictures, and applied to all of their kind."""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from mashpix import __version__
from mashpix.cli.console import in_background, progress
from mashpix.cli.from_recipe import merge, read_known
from mashpix.cli.one_file import SAVES, Run, denoise_files, parse_save
from mashpix.cli.opening import opened
from mashpix.cli.options import DEVICES, build_settings, settings_flags
from mashpix.cli.targets import find_targets
from mashpix.errors import FileError, UsageError
from mashpix.files import MAX_PIXELS
from mashpix.jobs.batch import hash_settings
from mashpix.jobs.model_reference import ModelReference, kind_of, load_model
from mashpix.jobs.recipe import hash_file
from mashpix.report import Step
from mashpix.settings import PRESETS, Settings, preset

if TYPE_CHECKING:
    from mashpix.arrays.model import Model
    from mashpix.arrays.planes import Planes

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

    how = Fit(build_settings(preset(preset_name), overrides), data_range, axes, joint, seed, device, max_pixels)
    files.check_output(None, output, overwrite=overwrite)
    places = [place for path in inputs for place in list_planes(path, how)[1]]
    with progress(str(output)) as show:
        typer.echo(fit_to_places(places, output, how, threads=threads, overwrite=overwrite, show=show))


@dataclass(frozen=True)
class Fit:
    """How a model is fitted, whatever it is fitted to."""

    settings: Settings
    data_range: float | None
    axes: str | None
    joint: bool
    seed: int
    device: str
    max_pixels: int


Place = tuple[Path, "Planes"]
"""A picture to fit to: a file, and which of its planes."""


def list_planes(path: Path, how: Fit, *, say: bool = True) -> tuple[str, list[Place]]:
    """What kind of file it is, and the pictures in it that one network is to serve."""
    from mashpix.axes import plane_groups

    with opened(path, how.axes, how.max_pixels, say=say) as (stack, axes, _):
        groups = plane_groups(axes, stack.shape, joint=how.joint)
        kind = kind_of(axes, stack.shape, stack.dtype)
    if len(groups) > 1:
        raise UsageError(f"{len(groups)} channels need a model each ({str(path)!r}; --joint makes one for all)")
    return kind, [(path, planes) for planes in groups[0]]


def fit_to_places(
    places: list[Place],
    target: Path,
    how: Fit,
    *,
    threads: int | None,
    overwrite: bool,
    show: Callable[[Step], None],
    names: Mapping[Path, str] | None = None,
) -> str:
    """Fit a model to up to four pictures spread over many and write it; return a line that says so.

    The file says what it was fitted to, with the hashes of the files that were looked at. `names`, where given, are
    theirs there, and a file that cannot be read is passed over.
    """
    import torch

    from mashpix.arrays.stacks import fit_model_steps
    from mashpix.files import atomic_write
    from mashpix.jobs.model_file import encode_model

    if threads is not None:
        torch.set_num_threads(threads)
    started, made = time.perf_counter(), list["Model"]()
    chosen, found = _choose(places, how, names)

    def work() -> Generator[Step, None, None]:
        fitting = fit_model_steps(
            chosen, data_range=how.data_range, settings=how.settings, seed=how.seed, device=how.device
        )
        made.append((yield from fitting))

    for step in in_background(work()):
        show(step)
    (model,) = made
    atomic_write(target, encode_model(model, origin=origin_of(how) | found), overwrite=overwrite)
    return (
        f"{str(target)!r}: fitted to {len(chosen)} of {len(places)} planes, masking ratio "
        f"{model.masking.masking_ratio:g}, {time.perf_counter() - started:.0f} s"
    )


def _choose(places: list[Place], how: Fit, names: Mapping[Path, str] | None) -> tuple[list[Any], dict[str, Any]]:
    """The pictures to fit to, and what the file of the model says of them."""
    from mashpix.arrays.planes import choose_pictures, read_picture

    looked_at: dict[str, str] = {}
    kinds: set[str] = set()

    def read(index: int) -> Any:
        path, planes = places[index]
        name = str(path) if names is None else names[path]
        try:
            looked_at[name] = looked_at.get(name) or hash_file(path)
            with opened(path, how.axes, how.max_pixels, say=False) as (stack, axes, _):
                kinds.add(kind_of(axes, stack.shape, stack.dtype))
                return read_picture(stack, axes, planes)
        except (FileError, OSError):
            if names is None:
                raise
            return np.zeros((1, 1, 1))  # blank: not to be fitted to

    chosen = choose_pictures(read, len(places))
    if not chosen:
        raise FileError("nothing to fit to (all of it is blank)")
    return chosen, {"kinds": sorted(kinds), "inputs": looked_at}


def origin_of(how: Fit) -> dict[str, Any]:
    """What a model depends on beside the pictures, as its file says it."""
    options = {"data_range": how.data_range, "axes": how.axes, "joint": how.joint}
    return {"version": __version__, "seed": how.seed, "settings": hash_settings(how.settings, **options)}


def apply(
    model: Annotated[Path, typer.Argument(metavar="MODEL", readable=False, help="What mashpix fit wrote.")],
    inputs: Annotated[
        list[Path], typer.Argument(metavar="IN...", readable=False, help="Pictures or stacks of its kind.")
    ],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="OUT|DIR", help="Output file, or folder; else <stem>_denoised<ext>."),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Take seed, strength, device and threads from a recipe.")
    ] = None,
    strength: Annotated[
        float | None, typer.Option(metavar="0..1", min=0, max=1, help="Blend: 0 leaves the picture as it is.")
    ] = None,
    detail: Annotated[
        float | None, typer.Option(metavar="0..1", min=0, max=1, help="Fine texture brought back where there is some.")
    ] = None,
    save: Annotated[
        str, typer.Option(metavar=",".join(SAVES), help="Write these too, beside the output, separated by commas.")
    ] = "",
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a picture when part of its file cannot be kept.")
    ] = False,
    axes: Axes = None,
    joint: Annotated[
        bool | None, typer.Option("--joint/--no-joint", help="Stacks: denoise all channels together.")
    ] = None,
    device: Annotated[str | None, typer.Option(metavar=DEVICES, help="Where to compute; default auto.")] = None,
    threads: Threads = None,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help="Seed of all random draws; default 0.")] = None,
    overwrite: Overwrite = False,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Denoise pictures or stacks with a model: nothing is fitted."""
    targets = find_targets(inputs, output, in_place=False)
    try:
        file = ModelReference(model, hash_file(model))
    except OSError as error:
        raise FileError(f"{str(model)!r}: cannot be read ({error.strerror})") from None
    known = read_known(recipe)
    if known and (known.model or {}).get("sha256") != file.sha256:
        raise UsageError(f"the recipe is not of this model ({str(recipe)!r}; --recipe takes what apply wrote with it)")
    options = merge(
        known, seed=seed, strength=strength, detail=detail, device=device, threads=threads, axes=axes, joint=joint
    )
    threads = options.pop("threads")
    run = Run(
        settings=load_model(file).settings,
        data_range=None,
        save=parse_save(save),
        compare=None,
        overwrite=overwrite,
        in_place=False,
        strict=strict,
        max_pixels=max_pixels,
        fit="once",
        model=file,
        **options,
    )
    raise typer.Exit(denoise_files(inputs, targets, run, threads=threads))
