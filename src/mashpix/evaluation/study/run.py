"""From a plan to a folder: measure what is not there yet, then draw and tell."""

import json
from collections.abc import Generator
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import typer

from mashpix import __version__, files
from mashpix.arrays import costs
from mashpix.cli.console import progress
from mashpix.errors import FileError, UsageError
from mashpix.evaluation.plots import encode
from mashpix.evaluation.study.plan import Plan, Study
from mashpix.evaluation.table import append_rows, read_rows
from mashpix.jobs import in_background
from mashpix.jobs.recipe import sha256, to_json
from mashpix.report import Step

SUFFIXES = (".png", ".svg")


def find_study(name: str) -> Study:
    """The study of a name."""
    study: Study = import_module(f"mashpix.evaluation.study.{name}").STUDY
    return study


def check_folder(plan: Plan, output: Path) -> None:
    """Make the folder and put the settings there; a folder with other settings is refused.

    Raises
    ------
    FileError, UsageError
        Before anything is measured.
    """
    wanted = json.loads(to_json(describe(plan)))
    place = output / "settings.json"
    try:
        output.mkdir(parents=True, exist_ok=True)
        there = json.loads(place.read_text(encoding="utf-8")) if place.exists() else None
    except OSError as error:
        raise FileError(f"cannot write there ({str(output)!r}; {error.strerror})") from None
    except ValueError:
        raise FileError(f"{str(place)!r}: cannot be read (remove it, or choose another folder with -o)") from None
    for suffix in (".csv", ".txt", *SUFFIXES):
        files.check_output(None, output / f"{plan.study}{suffix}", overwrite=True)
    if there is None:
        files.atomic_write(place, to_json(wanted))
    elif there != wanted:
        other = there if isinstance(there, dict) else {}
        names = ", ".join(name for name in wanted if other.get(name) != wanted[name])
        raise UsageError(f"{str(output)!r}: it holds a study with other settings ({names}; choose another with -o)")


def describe(plan: Plan) -> dict[str, Any]:
    """All that the rows of a folder have in common, and that must be the same to go on."""
    pictures = {
        f"{name}/{source.name}": [sha256(path.read_bytes()) for path in (source.clean, source.noisy) if path]
        for name, sources in plan.sets.items()
        for source in sources
    }
    presets = {name: settings.to_dict() for name, settings in plan.presets.items()}
    own = {"study": plan.study, "version": __version__, "seed": plan.seed}
    where = {"threads": plan.threads, "device": plan.device}
    return own | where | asdict(plan.size) | {"presets": presets, "pictures": pictures}


def run(plan: Plan, study: Study, output: Path, *, quick: bool) -> None:
    """Measure, and write the CSV, the figure and the sentences.

    Raises
    ------
    MashpixError
        For a picture that cannot be denoised; the rows measured so far are kept.
    """
    table = output / f"{plan.study}.csv"
    rows = read_rows(table, study.row) if table.exists() else []
    known = {row.key for row in rows}
    wanted = study.jobs(plan, quick)
    jobs = [job for job in wanted if job.key not in known]
    state_cost(plan, study, jobs, done=len(wanted) - len(jobs))
    with progress(plan.study) as show:
        for index, job in enumerate(jobs):
            found: list[Any] = []
            label = f"{index + 1} of {len(jobs)}, {job.preset}, {job.name}"
            for step in in_background(_collect(study.measure(plan, job), found)):
                share = step.fraction or step.index / step.total
                show(replace(step, stage=f"{label}: {step.stage}", fraction=(index + share) / len(jobs)))
            append_rows(table, found)
            rows += found
    keys = {job.key for job in wanted}
    finish(plan, study, output, [row for row in rows if row.key in keys])


def _collect(steps: Generator[Step, None, list[Any]], found: list[Any]) -> Generator[Step, None, None]:
    """Pass steps on, and keep what the generator returns."""
    found.extend((yield from steps))


def state_cost(plan: Plan, study: Study, jobs: list[Any], *, done: int) -> None:
    """Say what is left to do and how long that takes, from a few timed updates of each preset."""
    typer.echo(f"{plan.caption}; on {plan.device}, threads: {plan.threads}")
    if not jobs:
        typer.echo(f"all {done} measurements are there")
        return
    seconds = 0.0
    for preset in {job.preset for job in jobs if study.updates(plan, job)}:
        own = [job for job in jobs if job.preset == preset]
        seconds += time_update(plan, preset) * sum(study.updates(plan, job) for job in own)
    there = f", {done} are there already" if done else ""
    typer.echo(f"{len(jobs)} measurements to make, about {max(seconds / 60, 1):.0f} min{there}")


def time_update(plan: Plan, preset: str) -> float:
    """Seconds of one network update, on the largest of the folders' first pictures."""
    pairs = [plan.load(sources[0]) for sources in plan.sets.values()]
    largest = max((pair.noisy for pair in pairs), key=lambda noisy: noisy.size)
    shape = (*largest.shape[2:], 1)[:1] + largest.shape[:2]
    return costs.time_update(shape, plan.presets[preset], device=torch.device(plan.device))


def finish(plan: Plan, study: Study, output: Path, rows: list[Any]) -> None:
    """Draw and tell what came out."""
    sentences = study.tell(rows)
    text = "\n".join([plan.caption, *sentences]) + "\n"
    figure = study.draw(plan, rows)
    for suffix in SUFFIXES:
        files.atomic_write(output / f"{plan.study}{suffix}", encode(figure, suffix=suffix), overwrite=True)
    files.atomic_write(output / f"{plan.study}.txt", text.encode(), overwrite=True)
    for sentence in sentences:
        typer.echo(sentence)
    typer.echo(f"wrote {', '.join(plan.study + suffix for suffix in ('.csv', *SUFFIXES, '.txt'))} in {output}")
