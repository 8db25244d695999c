"""`mashpix denoise --dry-run`: the files of a batch with expected seconds and memory; nothing is written."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from mashpix.axes import plane_groups
from mashpix.cli.console import complain
from mashpix.cli.one_file import Run
from mashpix.cli.opening import opened
from mashpix.cli.series import choose_like, find_model
from mashpix.errors import DeviceError, MashpixError, UsageError
from mashpix.jobs.batch import Batch, Item, find_sources, plan_items
from mashpix.jobs.model_reference import check_kind, kind_of

if TYPE_CHECKING:
    from mashpix.arrays.costs import Estimate, Estimator


@dataclass(frozen=True)
class Known:
    """What a look at a picture of a batch tells.

    item : the picture
    kind : what pictures of a series have in common, in words
    size : in words
    shape : of what a network sees at once, (H, W, C)
    counts : pictures of that shape in each group that one network can serve
    is_stack : whether the file is one
    """

    item: Item
    kind: str
    size: str
    shape: tuple[int, int, int]
    counts: tuple[int, ...]
    is_stack: bool


def print_plan(batch: Batch, run: Run, *, threads: int | None, with_run: Callable[[Run], Batch] | None) -> int:
    """List the files with their targets, expected seconds and memory; write nothing; return the exit code.

    `with_run` makes the batch of another run; it is given where one network is to serve all files.
    """
    if batch.watch_every is not None:
        raise UsageError("--dry-run and --watch: nobody knows what will come (give one of them)")
    import torch

    from mashpix.arrays.costs import make_estimator

    if threads is not None:
        torch.set_num_threads(threads)
    found = find_sources(batch.inputs, batch.out)
    items, skipped = plan_items(batch, found)
    if with_run is not None and (model := find_model(batch, items, run=run)):
        run = replace(run, model=model)
        items, skipped = plan_items(with_run(run), found)
    for path, message in found.unreadable:
        complain(message, name=str(path))
    looks = [_look(item, run) for item in items]
    known, estimate = [one for one in looks if one], make_estimator(run.settings, device=run.device)
    seconds, memory = 0.0, 0
    kind = run.model.kind if run.model else choose_like([one.kind if one else None for one in looks])
    if with_run is not None and kind is not None:
        known = [one for one in known if _is_like(one, kind)]
        if run.model is None:
            cost = estimate(known[0].shape, fitted=sum(sum(one.counts) for one in known), applied=0)
            seconds, memory = cost.seconds * batch.jobs, cost.memory // batch.jobs  # it is done before the jobs begin
            typer.echo(f"one network for {kind}: about {cost.seconds:.0f} s, {cost.memory / 2**30:.1f} GiB")
    for one in known:
        cost = _estimate(one, run, estimate, shared=with_run is not None)
        seconds, memory = seconds + cost.seconds, max(memory, cost.memory)
        typer.echo(
            f"{str(one.item.source)!r} -> {str(one.item.target)!r}: {one.size}, about {cost.seconds:.0f} s, "
            f"{cost.memory / 2**30:.1f} GiB"
        )
    bad, unlike = len(found.unreadable) + looks.count(None), len(looks) - looks.count(None) - len(known)
    typer.echo(
        f"{len(known)} files, about {seconds / batch.jobs:.0f} s with {batch.jobs} at a time, up to "
        f"{memory * batch.jobs / 2**30:.1f} GiB; {skipped} skipped, {bad} cannot be read, "
        f"{f'{unlike} unlike the series, ' if with_run else ''}"
        f"{found.no_pictures + found.own_outputs} left out; nothing is written"
    )
    return int(bad + unlike > 0)


def _look(item: Item, run: Run) -> Known | None:
    """Open one file, and check that its target can be written; None if not, and that is said."""
    from mashpix.files import check_same_format, check_writable

    try:
        with opened(item.source, run.axes, run.max_pixels, say=False) as (stack, axes, image):
            if image is None:
                check_same_format(item.source, item.target)
            else:
                check_writable(image, item.target)
            groups = plane_groups(axes, stack.shape, joint=run.joint)
            lengths = dict(zip(axes, stack.shape, strict=True))
            channels = lengths.get("S", 1) * len(groups[0][0])
            return Known(
                item,
                kind_of(axes, stack.shape, stack.dtype),
                (f"{axes} " if image is None else "") + " x ".join(map(str, stack.shape)),
                (lengths["Y"], lengths["X"], channels),
                tuple(map(len, groups)),
                image is None,
            )
    except (DeviceError, UsageError):
        raise
    except MashpixError as error:
        complain(str(error), name=str(item.source))
        return None


def _is_like(one: Known, kind: str) -> bool:
    """Whether a file is of the kind of a series; if not, that is said."""
    try:
        check_kind(one.kind, kind)
    except MashpixError as error:
        complain(str(error), name=str(one.item.source))
        return False
    return True


def _estimate(one: Known, run: Run, estimate: "Estimator", *, shared: bool) -> "Estimate":
    """What the pictures of one file cost, with a network that is there, one for each group, or one for each picture."""
    count, groups = sum(one.counts), len(one.counts)
    if shared:
        return estimate(one.shape, applied=count, fitted=0)
    if run.fit == "each" or max(one.counts) == 1:
        return estimate(one.shape, applied=count)
    cost = estimate(one.shape, applied=one.counts[0], fitted=one.counts[0], share_noise=True)
    return replace(cost, seconds=cost.seconds * groups)
