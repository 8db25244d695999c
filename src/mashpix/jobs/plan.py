"""Plan a batch without running it: what it will do, and its cost; nothing is written."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from mashpix.axes import plane_groups
from mashpix.errors import DeviceError, MashpixError, UsageError
from mashpix.jobs.batch.batch import Batch, plan_items
from mashpix.jobs.batch.inputs import find_sources
from mashpix.jobs.batch.items import Item
from mashpix.jobs.channels import decide_file_channels
from mashpix.jobs.model_reference import kind_of, unlike_series
from mashpix.jobs.series import find_model, most_common_kind

if TYPE_CHECKING:
    from mashpix.arrays.costs import Estimate, Estimator


@dataclass(frozen=True)
class PlannedFile:
    """A file of a batch that can be read, and whose output can be written.

    item : the file
    kind : axes, channels and dtype, in words
    axes, shape, is_stack : of the file
    by_blocks : side of the blocks that its planes are denoised by; None: each as a whole
    image_shape : of an image, or a cell of one, that a network processes at once, (H, W, C)
    image_counts : number of such images in each group that one network can serve; independent samples count as one each
    """

    item: Item
    kind: str
    axes: str
    shape: tuple[int, ...]
    is_stack: bool
    by_blocks: int | None
    image_shape: tuple[int, int, int]
    image_counts: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """The plan of a batch.

    files : each with its cost
    series : the kind of files that one network is to serve, or None
    network : the cost of fitting that network first, or None
    unreadable : files and folders that cannot be denoised, with the reason
    unlike : files that differ from the series that one network is for, with the reason
    skipped : number of files that an earlier run has done
    left_out : number of files that are not images or are outputs of mashpix
    seconds, memory : of the whole batch
    """

    files: "list[tuple[PlannedFile, Estimate]]"
    series: str | None
    network: "Estimate | None"
    unreadable: list[tuple[Path, str]]
    unlike: list[tuple[Path, str]]
    skipped: int
    left_out: int
    seconds: float
    memory: int


def plan_batch(batch: Batch, *, jobs: int) -> Plan:
    """Plan a batch that denoises `jobs` files at a time. Every file is opened, and network updates are timed.

    Raises
    ------
    UsageError, FileError
        As for `run_batch`.
    DeviceError
        If the device is not available.
    """
    from mashpix.arrays.costs import Estimator
    from mashpix.devices import choose_device

    if batch.watch_every is not None:
        raise UsageError("`dry_run` cannot be combined with `watch`: the files are not known in advance")
    found = find_sources(batch.inputs, batch.out)
    items, skipped = plan_items(batch, found)
    model = batch.request.model
    if batch.share_network and (model := find_model(batch, items)) is not None:
        items, skipped = plan_items(batch.with_model(model), found)
    opened, unreadable = _open_all(items, shared=batch.share_network)
    estimate = Estimator(batch.request.settings, choose_device(batch.request.device)[0])
    kind, network, alike, unlike = None, None, opened, list[tuple[Path, str]]()
    if batch.share_network:
        kinds = {file.item.name: file.kind for file in opened}
        kind = str(model.kind if model else most_common_kind([kinds.get(item.name) for item in items]))
        alike = [file for file in opened if file.kind == kind]
        unlike = [(file.item.source, str(unlike_series(file.kind, kind))) for file in opened if file.kind != kind]
        if model is None and alike:
            fitted = sum(sum(file.image_counts) for file in alike)
            joint = batch.request.channels == "joint"
            network = estimate(alike[0].image_shape, fitted=fitted, applied=0, joint=joint)
    planned = [(file, _estimate(file, estimate, shared=batch.share_network)) for file in alike]
    costs = [cost for _, cost in planned]
    return Plan(
        files=planned,
        series=kind,
        network=network,
        unreadable=[*found.unreadable, *unreadable],
        unlike=unlike,
        skipped=skipped,
        left_out=found.not_images + found.own_outputs,
        seconds=sum(cost.seconds for cost in costs) / jobs + (network.seconds if network else 0.0),
        memory=max([*(cost.memory * jobs for cost in costs), network.memory if network else 0], default=0),
    )


def _open_all(items: Iterable[Item], *, shared: bool) -> tuple[list[PlannedFile], list[tuple[Path, str]]]:
    """Return the files that can be denoised, and why the others cannot."""
    opened: list[PlannedFile] = []
    failed: list[tuple[Path, str]] = []
    for item in items:
        try:
            opened.append(_open(item, shared=shared))
        except (DeviceError, UsageError):
            raise
        except MashpixError as error:
            failed.append((item.source, str(error)))
    return opened, failed


def _open(item: Item, *, shared: bool) -> PlannedFile:
    """Open one file, and check that its target can be written. A shared network serves all samples."""
    from mashpix.arrays.blocks import CELL

    request = item.request
    with request.open(item.source) as opened:
        opened.check_target(item.target, strict=request.strict)
        kind, together = decide_file_channels(opened, request.channels)
        groups = plane_groups(opened.axes, opened.shape, joint=together)
        lengths = dict(zip(opened.axes, opened.shape, strict=True))
        samples = lengths.get("S", 1)
        alone = samples if kind == "independent" and not shared else 1
        channels = samples // alone * len(groups[0][0])
        by_blocks = request.block_side(opened)
        sides = [min(lengths[letter], CELL if by_blocks else lengths[letter]) for letter in "YX"]
        cells = prod(-(-lengths[letter] // side) for letter, side in zip("YX", sides, strict=True))
        return PlannedFile(
            item=item,
            kind=kind_of(opened.axes, opened.shape, opened.dtype),
            axes=opened.axes,
            shape=tuple(opened.shape),
            is_stack=opened.is_stack,
            by_blocks=by_blocks,
            image_shape=(sides[0], sides[1], channels),
            image_counts=tuple(len(group) * cells for group in groups) * alone,
        )


def _estimate(file: PlannedFile, estimate: "Estimator", *, shared: bool) -> "Estimate":
    """Estimate the cost of one file, with an existing network, one per group of images, or one per image."""
    counts, joint = file.image_counts, file.item.request.channels == "joint"
    if shared:
        return estimate(file.image_shape, applied=sum(counts), fitted=0, joint=joint)
    if not file.by_blocks and (file.item.request.networks == "each" or max(counts) == 1):
        return estimate(file.image_shape, applied=sum(counts), joint=joint)
    fitted = 1 if file.by_blocks else counts[0]  # windows of as many pixels as a cell has
    cost = estimate(file.image_shape, applied=counts[0], fitted=fitted, share_noise=True, joint=joint)
    return replace(cost, seconds=cost.seconds * len(counts))
