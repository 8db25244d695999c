"""`mashpix denoise`: denoise images, and write a recipe beside each."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from mashpix.cli.console import use_threads
from mashpix.cli.folders import FolderOptions, denoise_folder, is_batch
from mashpix.cli.from_recipe import options_of, read_known
from mashpix.cli.one_input import denoise_shared, is_shared
from mashpix.cli.options import build_settings, folder_flags, respell, settings_flags, shared_flags
from mashpix.cli.outcomes import denoise_files, shared_request
from mashpix.cli.targets import find_targets
from mashpix.errors import UsageError
from mashpix.files import FORMATS
from mashpix.settings import preset


@settings_flags
@folder_flags
@shared_flags(
    "output preset recipe device threads seed strength detail data_range save compare overwrite in_place strict "
    "max_pixels axes networks fit channels joint sparse nodata mask dtype by_blocks"
)
def denoise(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="IN...", readable=False, help=f"Images: {FORMATS}; or folders and 'patterns*' of them."),
    ],
    *,
    given: dict[str, Any],
    overrides: dict[str, Any],
    folders: FolderOptions,
) -> None:
    """Denoise images, each from that image alone."""
    preset_name, recipe = given.pop("preset", None), given.pop("recipe", None)
    if recipe is not None and preset_name is not None:
        raise UsageError("--preset and --recipe both name the settings (give one of them)")
    known = read_known(recipe)
    if known and known.model:
        raise UsageError(f"the recipe is of a model ({known.model['name']!r}; mashpix apply MODEL IN --recipe FILE)")
    given = respell(given, overrides)
    output, share_network = given.pop("output", None), given.get("networks") == "shared"
    options = options_of(known, given) | given
    threads = options.pop("threads", None)
    settings = build_settings(known.settings if known else preset(preset_name or "default"), overrides)
    request = shared_request(settings=settings, **options)
    if is_shared(inputs, request, folders):
        source, target = inputs[0], find_targets(inputs, output, in_place=request.in_place)[0]
        raise typer.Exit(denoise_shared(replace(request, source=source, target=target), folders, threads=threads))
    is_folder = is_batch(inputs, output, folders, in_place=request.in_place)
    if request.compare is not None and (is_folder or len(inputs) > 1):
        raise UsageError("--compare draws one image (give one input)")
    if is_folder:
        raise typer.Exit(denoise_folder(inputs, output, request, folders, threads=threads, share_network=share_network))
    targets = find_targets(inputs, output, in_place=request.in_place)
    use_threads(threads)
    raise typer.Exit(denoise_files(request, inputs, targets))
