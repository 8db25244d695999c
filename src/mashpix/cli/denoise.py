"""`mashpix denoise`: denoise images, and write a recipe beside each."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from mashpix.cli.console import complain, use_threads
from mashpix.cli.folders import FolderOptions, denoise_folder, is_batch
from mashpix.cli.from_recipe import merge, read_known
from mashpix.cli.options import (
    Axes,
    ChannelKind,
    Compare,
    DataRange,
    Detail,
    Device,
    Joint,
    MaxPixels,
    Output,
    Overwrite,
    RecipeFile,
    Save,
    Seed,
    Sparse,
    Strength,
    Strict,
    Threads,
    build_settings,
    folder_flags,
    parse_save,
    read_channels,
    settings_flags,
)
from mashpix.cli.outcomes import denoise_files
from mashpix.cli.targets import find_targets
from mashpix.deprecation import networks_of
from mashpix.errors import UsageError
from mashpix.files import FORMATS, MAX_PIXELS
from mashpix.jobs import DenoiseRequest
from mashpix.settings import PRESETS, preset


@settings_flags
@folder_flags
def denoise(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="IN...", readable=False, help=f"Images: {FORMATS}; or folders and 'patterns*' of them."),
    ],
    output: Output = None,
    preset_name: Annotated[
        str | None, typer.Option("--preset", metavar="|".join(PRESETS), help="Settings to start from.")
    ] = None,
    recipe: RecipeFile = None,
    device: Device = None,
    threads: Threads = None,
    seed: Seed = None,
    strength: Strength = None,
    detail: Detail = None,
    data_range: DataRange = None,
    save: Save = "",
    compare: Compare = None,
    overwrite: Overwrite = False,
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace the inputs themselves.")] = False,
    strict: Strict = False,
    max_pixels: MaxPixels = MAX_PIXELS,
    axes: Axes = None,
    networks: Annotated[
        str | None,
        typer.Option(
            metavar="shared|each",
            help="One network shared by all planes of a stack (default), or one for each; in a folder one shared by "
            "all images, or one for each (default).",
        ),
    ] = None,
    fit: Annotated[str | None, typer.Option(metavar="once|each", hidden=True)] = None,
    channels: ChannelKind = None,
    joint: Joint = None,
    sparse: Sparse = False,
    *,
    overrides: dict[str, Any],
    folders: FolderOptions,
) -> None:
    """Denoise images, each from that image alone."""
    if recipe is not None and preset_name is not None:
        raise UsageError("--preset and --recipe both name the settings (give one of them)")
    known = read_known(recipe)
    if known and known.model:
        raise UsageError(f"the recipe is of a model ({known.model['name']!r}; mashpix apply MODEL IN --recipe FILE)")
    networks = _read_networks(networks, fit)
    options = merge(
        known,
        seed=seed,
        strength=strength,
        detail=detail,
        data_range=data_range,
        device=device,
        threads=threads,
        axes=axes,
        networks=networks,
        channels=read_channels(channels, joint, overrides),
    )
    threads = options.pop("threads")
    request = DenoiseRequest(
        source=Path(),
        target=Path(),
        settings=build_settings(known.settings if known else preset(preset_name or "default"), overrides),
        save=parse_save(save),
        compare=compare,
        overwrite=overwrite,
        in_place=in_place,
        strict=strict,
        max_pixels=max_pixels,
        sparse=sparse,
        command=shlex.join(["mashpix", *sys.argv[1:]]),
        **options,
    )
    is_folder = is_batch(inputs, output, folders, in_place=in_place)
    if compare is not None and (is_folder or len(inputs) > 1):
        raise UsageError("--compare draws one image (give one input)")
    if is_folder:
        share_network = networks == "shared"
        raise typer.Exit(denoise_folder(inputs, output, request, folders, threads=threads, share_network=share_network))
    targets = find_targets(inputs, output, in_place=in_place)
    use_threads(threads)
    pairs = zip(inputs, targets, strict=True)
    raise typer.Exit(denoise_files([replace(request, source=source, target=target) for source, target in pairs]))


def _read_networks(networks: str | None, fit: str | None) -> str | None:
    """Return the value of --networks, or of --fit, its name in version 0.1."""
    if fit is None:
        return networks
    if networks is not None:
        raise UsageError("--networks and --fit are one option (--fit is its former name; leave it out)")
    found = networks_of(fit)
    complain(f"--fit {fit} is now spelled --networks {found}; the old spelling will go")
    return found
