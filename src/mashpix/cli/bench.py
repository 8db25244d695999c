"""`mashpix bench`: measure presets and baselines on images whose clean version is known."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from mashpix.cli.console import progress
from mashpix.cli.options import DEVICES, noise_flags, shared_flags
from mashpix.errors import FileError, UsageError
from mashpix.evaluation import baselines
from mashpix.evaluation.bench import plot as plots
from mashpix.evaluation.bench.images import find_sources
from mashpix.evaluation.bench.results import NOISY, Row, means_of
from mashpix.evaluation.bench.run import BenchPlan, run
from mashpix.evaluation.bench.text import RowTable, definitions, means_table
from mashpix.evaluation.synthetic_noise import SyntheticNoise
from mashpix.evaluation.table import read_rows
from mashpix.report import Step
from mashpix.settings import PRESETS, Settings, preset


@noise_flags
@shared_flags("threads")
def bench(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Contains noisy/ and clean/ with files of the same names, or clean images."),
    ],
    presets: Annotated[
        list[str] | None, typer.Option("--preset", metavar="|".join(PRESETS), help="One or more; default: default.")
    ] = None,
    others: Annotated[
        list[str] | None,
        typer.Option("--baseline", metavar="|".join(baselines.METHODS), help="Other methods for comparison."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only N images, evenly spaced in sorted order.")
    ] = None,
    crop: Annotated[int | None, typer.Option(metavar="N", min=8, help="Only the central N x N pixels.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of all random draws.")] = 0,
    device: Annotated[
        str, typer.Option(metavar=DEVICES, help="Device for presets; baselines always run on the CPU.")
    ] = "cpu",
    table: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write one line per measurement, at once.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG|SVG", help="Plot PSNR against seconds; default: no plot.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue the CSV: measure what is missing and what failed."),
    ] = False,
    *,
    given: dict[str, Any],
    synthetic_noise: SyntheticNoise,
) -> None:
    """Measure the gain and the cost of presets and baselines on images whose clean version is known.

    The noise options apply to a folder of clean images.
    """
    from mashpix import files
    from mashpix.devices import choose_device

    plan = BenchPlan(
        folder=folder,
        sources=find_sources(folder, limit=limit),
        methods=find_methods(presets or ["default"], others or []),
        synthetic_noise=synthetic_noise,
        crop=crop,
        seed=seed,
        threads=given.get("threads") or os.cpu_count() or 1,
        device=str(choose_device(device)[0]),
    )
    if plan.has_pairs and synthetic_noise != SyntheticNoise():
        raise UsageError(f"{str(folder)!r}: its images are noisy already (leave out --model and its options)")
    check_outputs(table, plot, resume=resume)
    known = {row.key: row for row in read_rows(table, Row) if not row.error} if table and table.exists() else {}
    rows = print_rows(plan, known=known, table=table)
    means = means_of(rows)
    typer.echo(means_table(means))
    if plot is not None:
        files.atomic_write(plot, plots.draw_plot(means, suffix=plot.suffix), overwrite=True)
    raise typer.Exit(int(any(row.error for row in rows)))


def print_rows(plan: BenchPlan, *, known: dict[tuple[object, ...], Row], table: Path | None) -> list[Row]:
    """Measure, and print each row as soon as it is complete."""
    lines = RowTable([source.name for source in plan.sources], [NOISY, *plan.methods])
    rows: list[Row] = []
    with progress(str(plan.folder)) as show:
        for event in run(plan, known=known, table=table):
            if isinstance(event, Step):
                show(event)
                continue
            if not rows:
                typer.echo(definitions(plan.noise, seed=plan.seed, threads=plan.threads, device=plan.device))
                typer.echo(lines.head)
            typer.echo(lines.line(event))
            rows.append(event)
    return rows


def find_methods(presets: list[str], others: list[str]) -> dict[str, Settings | str]:
    """Return settings of presets and names of baselines, by name; refuse any that is unknown or cannot run."""
    for name in others:
        baselines.check(name)
    return {name: preset(name) for name in presets} | {name: name for name in others}


def check_outputs(table: Path | None, plot: Path | None, *, resume: bool) -> None:
    """Refuse outputs that cannot or must not be written."""
    from mashpix import files

    if resume and table is None:
        raise UsageError("--resume goes on with a CSV (name it with --csv)")
    if plot is not None:
        plots.check_plot(plot)
    for path in filter(None, (table, plot)):
        if path.exists() and not resume:
            raise FileError(f"{str(path)!r}: it exists (choose another name, or go on with --resume)")
        files.check_output(None, path, overwrite=True)
