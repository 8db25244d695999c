"""Denoise one stack or large plane in parts, by several runs or workers: all put their blocks into one folder."""

import time
from collections import defaultdict
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from mashpix.arrays.kept import Kept, Place
from mashpix.errors import FileError, UsageError, reason_of
from mashpix.jobs.block_store import BlockStore
from mashpix.jobs.checked import Checked, check_request, keep_planes, steps_of
from mashpix.jobs.denoise_blocks import open_store, put_blocks
from mashpix.jobs.events import Event, PartOutcome
from mashpix.jobs.memory import one_line_for_memory
from mashpix.jobs.request import DenoiseRequest
from mashpix.jobs.shard import Shard
from mashpix.method.early_stop import EarlyStop
from mashpix.report import Step
from mashpix.steps import drain

if TYPE_CHECKING:
    from mashpix.files import OpenFile
    from mashpix.jobs.batch.executor import Executor


@dataclass(frozen=True)
class BlockTask:
    """One block to denoise: a task for an `Executor`."""

    request: DenoiseRequest
    store: BlockStore
    place: Place


@dataclass(frozen=True)
class _Left(Kept):
    """Lists the blocks that are not done, and wants none."""

    store: BlockStore
    places: list[Place] = field(default_factory=list)

    def is_wanted(self, place: Place) -> bool:
        if self.store.report_of(place.index) is None:
            self.places.append(place)
        return False


def has_parts(request: DenoiseRequest) -> bool:
    """Return whether a file can be denoised in parts: a stack, or planes in blocks. Errors as in `request.open`."""
    with request.open(request.source) as opened:
        return _is_cut(opened, request)


def _is_cut(opened: "OpenFile", request: DenoiseRequest) -> bool:
    return opened.is_stack or request.block_side(opened) is not None


def denoise_part(request: DenoiseRequest, *, shard: Shard) -> Generator[Event, None, PartOutcome]:
    """Denoise a shard of the planes of a stack, or of the blocks of large planes; `denoise_file` gathers them.

    Other shards may run at the same time. One that fits a network leaves it to the others.

    Yields
    ------
    Step or Note
        As `denoise_file`; the generator returns the `PartOutcome`.

    Raises
    ------
    FileError, InputError, UsageError, DeviceError, ExtraError
        As `denoise_file`.
    """
    started = time.perf_counter()
    with one_line_for_memory(), request.open(request.source) as opened:
        if not _is_cut(opened, request):
            raise UsageError("`shard` is for a stack, or for planes that are denoised in blocks (`by_blocks`)")
        checked = yield from check_request(opened, request)
        _check_settings(checked.request)
        with open_store(opened, checked.request, input_sha256=opened.sha256(), shard=shard) as (store, _):
            own = [place for place in _list_left(opened, checked, store) if store.is_wanted(place)]
            yield from _fill(opened, checked.request, store)
            left = _list_left(opened, checked, store)
    return PartOutcome(request.target, store.parts, len(own), len(left), time.perf_counter() - started)


def denoise_elsewhere(
    opened: "OpenFile", checked: Checked, store: BlockStore, execute: "Executor"
) -> Generator[Step, None, None]:
    """Denoise all blocks that are not done as the tasks of an executor.

    Raises
    ------
    FileError
        When all others are done, if a block has failed.
    """
    from mashpix.trust.stack_verdict import name_plane

    _check_settings(checked.request)
    tasks = [
        BlockTask(checked.request, replace(store, wanted=(place.number,)), place)
        for place in _take_turns(_list_left(opened, checked, store))
    ]
    ended, failed = 0, list[str]()
    with closing(execute(_run_task, iter(tasks))) as messages:
        for message in messages:
            if message is not None and message.event is None:
                ended += 1
                if reason := message.death or message.result:
                    failed.append(f"{name_plane(message.task.place.index, store.axes)}: {reason}")
            yield Step(store.parts[:-1], min(ended + 1, len(tasks)), len(tasks), ended / len(tasks))
    if failed:
        raise FileError(
            f"{len(failed)} of {len(tasks)} {store.parts} failed (the first is {failed[0]}; the others are kept, and "
            "the same command goes on)"
        )


def _run_task(task: BlockTask, attempt: int) -> Generator[Event, None, str]:
    """Denoise one block; return why that failed, "" if it did not."""
    try:
        with one_line_for_memory(), task.request.open(task.request.source) as opened:
            yield from _fill(opened, task.request, task.store)
    except Exception as error:  # a block that fails must not end the others
        return reason_of(error)
    return ""


def _fill(opened: "OpenFile", request: DenoiseRequest, store: BlockStore) -> Generator[Step, None, None]:
    """Denoise the blocks that the store wants."""
    planes, early_stop = keep_planes(opened, request), EarlyStop()
    yield from put_blocks(steps_of(opened, planes, request, early_stop, store), planes, store, request)


def _check_settings(request: DenoiseRequest) -> None:
    if request.settings.stop_after:
        raise UsageError("`stop_after` counts the updates of a whole run, of which each part knows its own only")


def _list_left(opened: "OpenFile", checked: Checked, store: BlockStore) -> list[Place]:
    """List the blocks that are not done."""
    left = _Left(store)
    drain(steps_of(opened, checked.planes, checked.request, EarlyStop(), left))
    return left.places


def _take_turns(places: list[Place]) -> list[Place]:
    """Order blocks so that groups take turns: workers that begin at the same time fit the networks of several."""
    groups = defaultdict[int, list[Place]](list)
    for place in places:
        groups[place.group].append(place)
    return [place for turn in zip_longest(*groups.values()) for place in turn if place is not None]
