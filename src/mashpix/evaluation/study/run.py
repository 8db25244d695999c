"""Carry out a study: measure what is missing, then draw the figure and write the sentences."""

import json
from collections.abc import Generator
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path

import torch

from mashpix import __version__, files
from mashpix.arrays import costs
from mashpix.durations import format_duration
from mashpix.errors import FileError, UsageError
from mashpix.evaluation.plots import encode
from mashpix.evaluation.study.plan import Study, StudyPlan
from mashpix.evaluation.study.rows import Measured, Row
from mashpix.evaluation.table import append_rows, read_rows
from mashpix.jobs.events import Event, Note, Written
from mashpix.jobs.recipe import sha256, to_json
from mashpix.report import Step
from mashpix.steps import relay

SUFFIXES = (".png", ".svg")


def find_study(name: str) -> Study[Row]:
    """Return the study with this name."""
    study: Study[Row] = import_module(f"mashpix.evaluation.study.{name}").STUDY
    return study


def check_folder(plan: StudyPlan, output: Path) -> None:
    """Make the folder and write the settings into it; refuse a folder with other settings.

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
        raise FileError(f"{str(place)!r}: cannot be read (remove it, or choose another folder with `output`)") from None
    for suffix in (".csv", ".txt", *SUFFIXES):
        files.check_output(None, output / f"{plan.study}{suffix}", overwrite=True)
    if there is None:
        files.atomic_write(place, to_json(wanted))
    elif there != wanted:
        other = there if isinstance(there, dict) else {}
        names = ", ".join(name for name in wanted if other.get(name) != wanted[name])
        raise UsageError(f"{str(output)!r}: holds a study with other settings ({names}; choose another with `output`)")


def describe(plan: StudyPlan) -> dict[str, object]:
    """Return what all rows of a folder have in common, which must be the same to resume."""
    pictures = {
        f"{name}/{source.name}": [sha256(path.read_bytes()) for path in (source.clean, source.noisy) if path]
        for name, sources in plan.sets.items()
        for source in sources
    }
    presets = {name: settings.to_dict() for name, settings in plan.presets.items()}
    own = {"study": plan.study, "version": __version__, "seed": plan.seed}
    where = {"threads": plan.threads, "device": plan.device}
    return own | where | asdict(plan.size) | {"presets": presets, "pictures": pictures}


def run(plan: StudyPlan, study: Study[Measured], output: Path, *, quick: bool) -> Generator[Event, None, None]:
    """Measure, and write the CSV, the figure and the sentences.

    Yields
    ------
    Step, Note or Written
        The steps of each measurement, the remaining work and each result, and the files at the end.

    Raises
    ------
    MashpixError
        For an image that cannot be denoised; the rows measured so far are kept.
    """
    table = output / f"{plan.study}.csv"
    rows = read_rows(table, study.row) if table.exists() else []
    known = {row.key for row in rows}
    wanted = study.jobs(plan, quick=quick)
    jobs = [job for job in wanted if job.key not in known]
    for line in describe_cost(plan, study, jobs, done=len(wanted) - len(jobs)):
        yield Note(line, "info")
    for index, job in enumerate(jobs):
        found = yield from _in_study(study.measure(plan, job), job, index, len(jobs))
        append_rows(table, found)
        rows += found
    keys = {job.key for job in wanted}
    yield from finish(plan, study, output, [row for row in rows if row.key in keys])


def _in_study(
    steps: Generator[Step, None, list[Measured]], job: Measured, index: int, total: int
) -> Generator[Step, None, list[Measured]]:
    """Pass on the steps of one measurement, with the fraction of all measurements that is done."""
    label = f"{index + 1} of {total}, {job.preset}, {job.name}"

    def change(step: Step) -> Step:
        share = step.fraction or step.index / step.total
        return replace(step, stage=f"{label}: {step.stage}", fraction=(index + share) / total)

    return relay(steps, change)


def describe_cost(plan: StudyPlan, study: Study[Measured], jobs: list[Measured], *, done: int) -> list[str]:
    """Describe what is left to do, and estimate how long it takes from a few timed updates of each preset."""
    lines = [f"{plan.caption}; on {plan.device}, threads: {plan.threads}"]
    if not jobs:
        return [*lines, f"all {done} measurements are there"]
    seconds = 0.0
    for preset in {job.preset for job in jobs if study.updates(plan, job)}:
        own = [job for job in jobs if job.preset == preset]
        seconds += time_update(plan, preset) * sum(study.updates(plan, job) for job in own)
    there = f", {done} are there already" if done else ""
    return [*lines, f"{len(jobs)} measurements to make, about {format_duration(max(seconds, 60))}{there}"]


def time_update(plan: StudyPlan, preset: str) -> float:
    """Time one network update, in seconds, on the largest of the folders' first images."""
    pairs = [plan.load(sources[0]) for sources in plan.sets.values()]
    largest = max((pair.noisy for pair in pairs), key=lambda noisy: noisy.size)
    shape = (*largest.shape[2:], 1)[0], *largest.shape[:2]
    return costs.time_update(shape, plan.presets[preset], device=torch.device(plan.device))


def finish(plan: StudyPlan, study: Study[Measured], output: Path, rows: list[Measured]) -> Generator[Event, None, None]:
    """Draw the figure and write the sentences."""
    sentences = study.summarise(rows)
    figure = study.draw(plan, rows)
    for suffix in SUFFIXES:
        path = output / f"{plan.study}{suffix}"
        files.atomic_write(path, encode(figure, suffix=suffix), overwrite=True)
        yield Written(path, "figure")
    path = output / f"{plan.study}.txt"
    files.atomic_write(path, ("\n".join([plan.caption, *sentences]) + "\n").encode(), overwrite=True)
    yield Written(path, "sentences")
    for sentence in sentences:
        yield Note(sentence, "info")
    names = ", ".join(plan.study + suffix for suffix in (".csv", *SUFFIXES, ".txt"))
    yield Note(f"wrote {names} in {output}", "info")
