"""`mashpix denoise`: pictures in, clean pictures and their recipes out."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from mashpix import __version__
from mashpix.cli.folders import FolderOptions, denoise_batch, find_folder, is_batch
from mashpix.cli.from_recipe import merge, read_known
from mashpix.cli.one_file import SAVES, Run, denoise_file, denoise_files, list_beside, parse_save
from mashpix.cli.options import DEVICES, build_settings, folder_flags, settings_flags
from mashpix.cli.planning import print_plan
from mashpix.cli.series import share_model
from mashpix.cli.stack import check_fit
from mashpix.cli.targets import find_targets
from mashpix.errors import UsageError
from mashpix.files import FORMATS, MAX_PIXELS
from mashpix.jobs.batch import Batch, Origin, hash_settings
from mashpix.report import Step
from mashpix.settings import PRESETS, preset


@settings_flags
@folder_flags
def denoise(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN...", readable=False, help=f"Pictures: {FORMATS}; or folders and 'patterns*' of them."
        ),
    ],
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
    detail: Annotated[
        float | None,
        typer.Option(metavar="0..1", min=0, max=1, help="Fine texture brought back where there is some; default 0."),
    ] = None,
    data_range: Annotated[
        float | None, typer.Option(metavar="X", help="Distance from black to white, for the published presets.")
    ] = None,
    save: Annotated[
        str, typer.Option(metavar=",".join(SAVES), help="Write these too, beside the output, separated by commas.")
    ] = "",
    compare: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw before, after and residual side by side; one input only.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace the inputs themselves.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a picture when part of its file cannot be kept.")
    ] = False,
    max_pixels: Annotated[int, typer.Option(metavar="N", min=1, help="Refuse larger pictures.")] = MAX_PIXELS,
    axes: Annotated[
        str | None, typer.Option(metavar="LETTERS", help="Axes of a stack, such as TZCYX; else as the file says.")
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(
            metavar="once|each",
            help="One network for all planes of a stack (default) or one each; for all pictures of a folder or each "
            "(default).",
        ),
    ] = None,
    joint: Annotated[
        bool | None,
        typer.Option("--joint/--no-joint", help="Stacks: denoise all channels together."),
    ] = None,
    sparse: Annotated[
        bool, typer.Option("--sparse", help="OME-Zarr: take missing chunks for empty ones, and leave them missing.")
    ] = False,
    *,
    overrides: dict[str, Any],
    folders: FolderOptions,
) -> None:
    """Denoise pictures, each from itself alone."""
    if recipe is not None and preset_name is not None:
        raise UsageError("--preset and --recipe both name the settings (give one of them)")
    known = read_known(recipe)
    if known and known.model:
        raise UsageError(f"the recipe is of a model ({known.model['name']!r}; mashpix apply MODEL IN --recipe FILE)")
    options = merge(
        known,
        seed=seed,
        strength=strength,
        detail=detail,
        data_range=data_range,
        device=device,
        threads=threads,
        axes=axes,
        fit=fit,
        joint=joint,
    )
    threads = options.pop("threads")
    check_fit(options["fit"])
    run = Run(
        settings=build_settings(known.settings if known else preset(preset_name or "default"), overrides),
        save=parse_save(save),
        compare=compare,
        overwrite=overwrite,
        in_place=in_place,
        strict=strict,
        max_pixels=max_pixels,
        sparse=sparse,
        **options,
    )
    several = is_batch(inputs, output, folders, in_place=in_place)
    if compare is not None and (several or len(inputs) > 1):
        raise UsageError("--compare draws one picture (give one input)")
    if several:
        raise typer.Exit(_denoise_many(inputs, output, run, folders, threads=threads, shared=fit == "once"))
    targets = find_targets(inputs, output, in_place=in_place)
    raise typer.Exit(denoise_files(inputs, targets, run, threads=threads))


def _denoise_many(
    inputs: list[Path], output: str | None, run: Run, folders: FolderOptions, *, threads: int | None, shared: bool
) -> int:
    """Denoise folders or many files; return the exit code."""
    if shared and folders.watch:
        raise UsageError("--watch and --fit once: nobody knows what will come (mashpix fit and apply do it in two)")
    all_threads = threads
    if folders.jobs > 1:
        threads = max((threads or os.cpu_count() or 1) // folders.jobs, 1)

    def with_run(run: Run) -> Batch:
        return Batch(
            inputs=inputs,
            out=find_folder(output, in_place=run.in_place),
            denoise=partial(_denoise_item, run=run, threads=threads),
            beside_of=lambda target: list_beside(target, run.save).values(),
            origin=Origin(hash_settings(run.settings, **run.options), run.seed, __version__),
            jobs=folders.jobs,
            resume=folders.resume,
            overwrite=run.overwrite,
            watch_every=folders.interval if folders.watch else None,
        )

    batch = with_run(run)
    if shared:
        batch = replace(batch, prepare=partial(share_model, run=run, threads=all_threads, with_run=with_run))
    if folders.dry_run:
        return print_plan(batch, run, threads=threads, with_run=with_run if shared else None)
    return denoise_batch(batch, device=run.device)


def _denoise_item(
    source: Path, target: Path, *, run: Run, threads: int | None, replace_outputs: bool, show: Callable[[Step], None]
) -> None:
    """One picture of a batch, in its worker process."""
    denoise_file(source, target, replace(run, overwrite=replace_outputs), threads=threads, show=show)
