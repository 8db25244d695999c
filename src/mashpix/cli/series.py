"""`mashpix denoise --fit once` on many files: one network, fitted to a few of them, for all that are like those."""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import typer

from mashpix.cli.model import Fit, Place, fit_to_places, list_planes, origin_of
from mashpix.cli.one_file import Run
from mashpix.errors import FileError, MashpixError
from mashpix.jobs.batch import Batch, Event, Item, run_workers
from mashpix.jobs.model_header import read_origin
from mashpix.jobs.model_reference import ModelReference
from mashpix.jobs.recipe import hash_file
from mashpix.report import Step

MODEL = "mashpix-model.safetensors"
"""Its name in the output folder."""
MOST_LOOKED_AT = 32
"""Files, spread over the series, that are looked at to know what most are like."""


def share_model(
    batch: Batch, items: Sequence[Item], *, run: Run, threads: int | None, with_run: Callable[[Run], Batch]
) -> Generator[Event, None, Batch]:
    """Fit the model of a series, or take over that of an earlier run, before the first picture is begun.

    Parameters
    ----------
    batch, items : Batch, list of Item
        What is asked for, and its pictures.
    run, threads : Run, int or None
        How all pictures are denoised, and the threads of the fit.
    with_run : callable
        Makes the batch that denoises as another run says.

    Yields
    ------
    Event
        While a worker fits; the generator returns the batch that applies the model.
    """
    model = find_model(batch, items, run=run)
    if model is None:
        path, names = batch.out / MODEL, {item.source: item.name for item in items}
        job = Item(_find_file(names), MODEL, path, (), replace=batch.overwrite or batch.resume)
        fit = partial(_fit, names=names, how=_fit_of(run), threads=threads)
        yield Event(complained=f"mashpix: {str(path)!r}: one network is fitted first\n")
        for item, answer in run_workers(iter([job]), fit, jobs=1):
            yield Event(said=answer.said, complained=answer.complained)
            if item is not None and answer.error is not None:
                raise FileError(f"no network for all files can be fitted ({answer.error}; leave out --fit once)")
        model = _model_in(path)
    return with_run(replace(run, model=model))


def find_model(batch: Batch, items: Sequence[Item], *, run: Run) -> ModelReference | None:
    """The model of an earlier run that is to go on, if it was fitted in this way to pictures of these, as they are."""
    path = batch.out / MODEL
    if not (batch.resume and path.exists()):
        return None
    sources, origin, wanted = {item.name: item.source for item in items}, _origin_in(path), origin_of(_fit_of(run))
    inputs = origin.get("inputs", {})
    same = bool(inputs) and {key: origin.get(key) for key in wanted} == wanted
    same = same and all(name in sources and sources[name].is_file() for name in inputs)
    return _model_in(path) if same and all(hash_file(sources[name]) == inputs[name] for name in inputs) else None


def _model_in(path: Path) -> ModelReference:
    """The model of a series, for pictures of its kind alone."""
    (kind,) = _origin_in(path)["kinds"]
    return ModelReference(path, hash_file(path), kind)


def _origin_in(path: Path) -> dict[str, Any]:
    """What the model of a series was fitted to."""
    try:
        return read_origin(path)
    except FileError as error:
        raise FileError(f"{str(path)!r}: {error}; move it away") from None


def _fit_of(run: Run) -> Fit:
    """How the model of a run is fitted."""
    return Fit(run.settings, run.data_range, run.axes, run.joint, run.seed, run.device, run.max_pixels)


def choose_like(kinds: Sequence[str | None]) -> str | None:
    """The kind that most of so many files have, as far as some spread over them tell; None where none can be read."""
    counted = Counter(kind for kind in spread(kinds) if kind is not None)
    return counted.most_common(1)[0][0] if counted else None


def spread(things: Sequence[Any]) -> list[Any]:
    """Up to so many things spread over those given."""
    most = min(len(things), MOST_LOOKED_AT)
    return [things[int((index + 0.5) * len(things) / most)] for index in range(most)]


def _find_file(names: dict[Path, str]) -> Path:
    """The first that is there."""
    for source in names:
        if source.is_file():
            return source
    raise FileError("none of the pictures is there")


def _fit(
    source: Path,
    target: Path,
    *,
    names: dict[Path, str],
    how: Fit,
    threads: int | None,
    replace_outputs: bool,
    show: Callable[[Step], None],
) -> None:
    """Fit a model to some of the pictures that are like most of them, in a worker process."""
    found: list[tuple[str, list[Place]]] = []
    error: MashpixError = FileError("there are no pictures")
    for path in spread(list(names)):
        try:
            found.append(list_planes(path, how, say=False))
        except MashpixError as problem:  # it will be told when its turn comes
            error = problem
    kind = choose_like([kind for kind, _ in found])
    if kind is None:
        raise error
    places = [place for other, listed in found for place in listed if other == kind]
    said = fit_to_places(places, target, how, threads=threads, overwrite=replace_outputs, show=show, names=names)
    typer.echo(f"{said}; for {kind}")
