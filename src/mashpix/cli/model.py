"""`mashpix fit` and `mashpix apply`: fit a network once to a few images, and apply it to all of their kind."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mashpix.cli.console import follow, use_threads
from mashpix.cli.from_recipe import merge, read_known
from mashpix.cli.options import (
    Axes,
    ChannelKind,
    DataRange,
    Detail,
    Device,
    Joint,
    MaxPixels,
    Output,
    Overwrite,
    Preset,
    RecipeFile,
    Save,
    Seed,
    Strength,
    Strict,
    Threads,
    build_settings,
    parse_save,
    read_channels,
    settings_flags,
)
from mashpix.cli.outcomes import denoise_files, describe_fit
from mashpix.cli.targets import find_targets
from mashpix.errors import UsageError
from mashpix.files import MAX_PIXELS
from mashpix.jobs import DenoiseRequest, FitRequest, fit_model, refer_to_model
from mashpix.settings import preset


@settings_flags
def fit(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="IN...", readable=False, help="Images or stacks of one kind.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="MODEL", help="Model file (safetensors).")],
    preset_name: Preset = "default",
    data_range: DataRange = None,
    axes: Axes = None,
    channels: ChannelKind = None,
    joint: Joint = None,
    device: Device = "auto",
    threads: Threads = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    max_pixels: MaxPixels = MAX_PIXELS,
    *,
    overrides: dict[str, Any],
) -> None:
    """Fit a network to up to four of the given images or planes, evenly spread."""
    kind: Any = read_channels(channels, joint, overrides)
    request = FitRequest(
        sources=tuple(inputs),
        target=output,
        settings=build_settings(preset(preset_name), overrides),
        seed=seed or 0,
        device=device or "auto",
        data_range=data_range,
        axes=axes,
        channels=kind or "auto",
        overwrite=overwrite,
        max_pixels=max_pixels,
    )
    use_threads(threads)
    typer.echo(describe_fit(follow(fit_model(request), str(output))))


def apply(
    model: Annotated[Path, typer.Argument(metavar="MODEL", readable=False, help="Model file from mashpix fit.")],
    inputs: Annotated[
        list[Path], typer.Argument(metavar="IN...", readable=False, help="Images or stacks of the same kind.")
    ],
    output: Output = None,
    recipe: RecipeFile = None,
    strength: Strength = None,
    detail: Detail = None,
    save: Save = "",
    strict: Strict = False,
    axes: Axes = None,
    channels: ChannelKind = None,
    joint: Joint = None,
    device: Device = None,
    threads: Threads = None,
    seed: Seed = None,
    overwrite: Overwrite = False,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Denoise images or stacks with a model: nothing is fitted."""
    targets = find_targets(inputs, output, in_place=False)
    reference = refer_to_model(model)
    known = read_known(recipe)
    if known and (known.model or {}).get("sha256") != reference.sha256:
        raise UsageError(f"the recipe is not of this model ({str(recipe)!r}; --recipe takes what apply wrote with it)")
    options = merge(
        known,
        seed=seed,
        strength=strength,
        detail=detail,
        device=device,
        threads=threads,
        axes=axes,
        channels=read_channels(channels, joint),
    )
    use_threads(options.pop("threads"))
    requests = [
        DenoiseRequest(
            source=source,
            target=target,
            save=parse_save(save),
            overwrite=overwrite,
            strict=strict,
            max_pixels=max_pixels,
            model=reference,
            command=shlex.join(["mashpix", *sys.argv[1:]]),
            **options,
        )
        for source, target in zip(inputs, targets, strict=True)
    ]
    raise typer.Exit(denoise_files(requests))
