"""Fit one network to a few files of a series, to serve all files of the most common kind."""

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar

from mashpix.errors import FileError, MashpixError, reason_of
from mashpix.files.atomic import remove_stale
from mashpix.jobs.batch.batch import Batch
from mashpix.jobs.batch.events import BatchEvent, BatchProgress, Counts, FileNote, NetworkFitted
from mashpix.jobs.batch.executor import Executor
from mashpix.jobs.batch.items import Item
from mashpix.jobs.events import Event, FitOutcome, Note
from mashpix.jobs.fit_model import fit_model, origin_of
from mashpix.jobs.model_reference import ModelReference, kind_of, read_origin
from mashpix.jobs.recipe import hash_file
from mashpix.jobs.request import FitRequest

MODEL = "mashpix-model.safetensors"
"""Name of the model file in the output folder."""
MAX_SAMPLED = 32
"""Largest number of files, evenly spaced in the series, that are opened to find the most common kind and to fit to."""

Thing = TypeVar("Thing")


def share_network(
    batch: Batch, items: Sequence[Item], *, execute: Executor, counts: Counts
) -> Generator[BatchEvent, None, ModelReference]:
    """Fit one network for all files, or reuse that of an earlier run, before the first file is begun.

    Parameters
    ----------
    batch, items : Batch, sequence of Item
        The request, and all files, including those done already.
    execute : Executor
        Runs the fit, alone.
    counts : Counts
        Numbers of files, for the progress.

    Yields
    ------
    BatchEvent
        Progress of the fit. The generator returns the model to apply.

    Raises
    ------
    FileError
        If no network can be fitted.
    """
    if (model := find_model(batch, items)) is not None:
        return model
    request = fit_request_of(batch, items)
    yield FileNote(request.target, Note("one network is fitted first", "info"))
    ended: FitOutcome | Exception | None = None
    try:
        with closing(execute(_run_fit, iter([request]), at_once=1)) as messages:
            for message in messages:
                if message is None:
                    yield BatchProgress(0.0, counts)
                elif isinstance(message.event, Note):
                    yield FileNote(request.target, message.event)
                elif message.event is None:
                    ended = message.result or FileError(message.death or "")
    finally:
        remove_stale(request.target, older_than=0)
    if isinstance(ended, MashpixError | OSError):
        reason = reason_of(ended)
        raise FileError(
            f"no network for all files can be fitted ({reason}; leave out `networks` to denoise each by itself)"
        )
    if not isinstance(ended, FitOutcome):
        raise ended or AssertionError("no message about the end")
    yield NetworkFitted(ended)
    return ModelReference(ended.target, ended.sha256, ended.kinds[0])


def find_model(batch: Batch, items: Sequence[Item]) -> ModelReference | None:
    """Find the model of an earlier run to resume, if it was fitted with the same options to unchanged files.

    Raises
    ------
    FileError
        If a file has the name of the model but is not a model.
    """
    path = batch.out / MODEL
    if not (batch.resume and path.exists()):
        return None
    try:
        origin = read_origin(path)
    except FileError as error:
        raise FileError(f"{str(path)!r}: {error}; move it away") from None
    sources, wanted = {item.name: item.source for item in items}, origin_of(fit_request_of(batch, items))
    inputs = origin.get("inputs", {})
    same = bool(inputs) and {key: origin.get(key) for key in wanted} == wanted
    same = same and all(name in sources and sources[name].is_file() for name in inputs)
    if same and all(hash_file(sources[name]) == inputs[name] for name in inputs):
        (kind,) = origin["kinds"]
        return ModelReference(path, hash_file(path), kind)
    return None


def fit_request_of(batch: Batch, items: Sequence[Item]) -> FitRequest:
    """Make the request to fit the network of a series, with all options that a fit shares with denoising."""
    request, sampled = batch.request, sample(items)
    options = {item.name: getattr(request, item.name) for item in fields(FitRequest) if hasattr(request, item.name)}
    options |= {"target": batch.out / MODEL, "overwrite": request.overwrite or batch.resume}
    sources, names = (item.source for item in sampled), (item.name for item in sampled)
    return FitRequest(sources=tuple(sources), names=tuple(names), **options)


def most_common_kind(kinds: Sequence[str | None]) -> str | None:
    """Return the most common kind in a sample of the files; None stands for files that cannot be read."""
    counted = Counter(kind for kind in sample(kinds) if kind is not None)
    return counted.most_common(1)[0][0] if counted else None


def sample(things: Sequence[Thing]) -> list[Thing]:
    """Return an evenly spaced sample of at most `MAX_SAMPLED`."""
    count = min(len(things), MAX_SAMPLED)
    return [things[int((index + 0.5) * len(things) / count)] for index in range(count)]


def _run_fit(request: FitRequest, attempt: int) -> Generator[Event, None, FitOutcome | Exception]:
    """Fit a model to files of the most common kind; return the error if that fails."""
    try:
        sources, names = _choose_alike(request)
        overwrite = request.overwrite or attempt > 1
        alike = replace(request, sources=sources, names=names, overwrite=overwrite)
        return (yield from fit_model(alike))
    except Exception as error:  # raised again in the process of the batch
        return error


def _choose_alike(request: FitRequest) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Choose the files of the most common kind; return them and their names."""
    kinds: list[str | None] = []
    error: Exception = FileError("there are no files")
    for source in request.sources:
        try:
            with request.open(source) as opened:
                kinds.append(kind_of(opened.axes, opened.shape, opened.dtype))
        except (MashpixError, OSError) as problem:  # reported when this file's turn comes
            kinds.append(None)
            error = problem
    wanted = most_common_kind(kinds)
    if wanted is None:
        raise error
    chosen = zip(request.sources, request.names or (), kinds, strict=True)
    sources, names, _ = zip(*(entry for entry in chosen if entry[2] == wanted), strict=True)
    return sources, names
