"""`mashpix study`: reproduce a figure or a table of the paper."""

import os
from contextlib import closing
from importlib.resources import files as package_files
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mashpix.cli.console import PATIENCE, progress
from mashpix.cli.demo import PICTURE
from mashpix.cli.options import shared_flags
from mashpix.errors import UsageError
from mashpix.evaluation.bench.images import Source, find_sources
from mashpix.extras import need
from mashpix.report import Step
from mashpix.settings import PRESETS, preset

PUBLISHED = "paper"
"""The preset that every study uses."""
CPU_LIMIT = 4
"""Images per set of real pairs without a GPU: the published network takes half an hour for each."""


@shared_flags("device threads")
def study(
    name: Annotated[
        Literal["noise", "ratio", "shuffle", "gap", "ablation", "table"],
        typer.Argument(help="Study to run; docs/studies.md explains each."),
    ],
    images: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR|FILE",
            help="Clean images; for ablation and table, folders with noisy/ and clean/. Default: the demo image.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Output folder; default: study_NAME.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Smaller study: minutes instead of hours.")] = False,
    presets: Annotated[
        list[str] | None,
        typer.Option("--preset", metavar="|".join(PRESETS), help="Presets in addition to the published `paper`."),
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Number of images from each folder.")] = None,
    crop: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Only the central N x N pixels; 0: whole images.")
    ] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", min=1, help="Limit of network updates.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of all random draws.")] = 0,
    *,
    given: dict[str, Any],
) -> None:
    """Reproduce a figure or a table of the paper: CSV, figure and two sentences.

    Run again with the same options to continue where it stopped.
    """
    need("matplotlib", what="mashpix study", extra="bench")
    chosen = {key: preset(key) for key in (PUBLISHED, *(presets or ()))}
    import torch

    from mashpix.devices import choose_device
    from mashpix.evaluation.study.plan import StudyPlan, shortened
    from mashpix.evaluation.study.run import check_folder, find_study, run
    from mashpix.jobs import Note, in_background

    where = choose_device(given.get("device", "auto"))[0]
    what = find_study(name)
    if presets and not what.fits_networks:
        raise UsageError(f"--preset: the study {name!r} fits no network (leave it out)")
    size = what.quick if quick else what.full
    if what.needs_pairs and where.type == "cpu":
        size = size.changed(limit=size.limit or CPU_LIMIT)
    size = size.changed(crop=crop, limit=limit, steps=steps)
    every = find_sets(images or [], pairs=what.needs_pairs, limit=None)
    plan = StudyPlan(
        study=name,
        sets=find_sets(images or [], pairs=what.needs_pairs, limit=size.limit),
        in_set={key: len(sources) for key, sources in every.items()},
        presets={key: shortened(settings, size.steps) for key, settings in chosen.items()}
        if what.fits_networks
        else {},
        size=size,
        seed=seed,
        threads=given.get("threads") or os.cpu_count() or 1,
        device=str(where),
    )
    for sources in plan.sets.values():
        for source in sources:
            plan.load(source)  # refuse an unusable device now
    output = output or Path(f"study_{name}")
    check_folder(plan, output)
    torch.set_num_threads(plan.threads)
    work = in_background(run(plan, what, output, quick=quick), patience=PATIENCE)
    with progress(plan.study) as show, closing(work) as events:
        for event in events:
            if isinstance(event, Note):
                typer.echo(event.text)
            elif isinstance(event, Step):
                show(event)


def find_sets(images: list[Path], *, pairs: bool, limit: int | None) -> dict[str, list[Source]]:
    """Find the images of each folder by its name; single files count under the name of their folder.

    Raises
    ------
    FileError, UsageError
        For anything but an image or a folder, one of the wrong kind for the study, or one named twice.
    """
    if not images and pairs:
        raise UsageError("real pairs are needed (--images DIR with noisy/ and clean/ in it)")
    sets: dict[str, list[Source]] = {}
    for path in images or [Path(str(package_files("mashpix").joinpath(PICTURE)))]:
        found = [Source(path.name, path, None)] if path.is_file() else find_sources(path, limit=limit)
        if (found[0].noisy is not None) != pairs:
            needed = "noisy/ and clean/ in it are needed" if pairs else "clean images are needed"
            raise UsageError(f"{str(path)!r}: not for this study ({needed})")
        folder = path.resolve().parent.name if path.is_file() else path.resolve().name
        known = sets.setdefault(folder, [])
        known += found
        if len({source.name for source in known}) < len(known):
            raise UsageError(f"{str(path)!r}: an image of this folder and name is there already (rename one)")
    return sets
