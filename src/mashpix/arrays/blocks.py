"""Denoise planes of any size block by block: one network for all, fitted to windows that are spread over them.

To the method, a large plane is a mosaic of windows, as a stack is one of planes. It is denoised in cells of a fixed
grid, each read with all the context that can change it, and with masks that belong to the plane. So there is no seam,
and the result does not depend on the blocks, which are whole numbers of cells; memory is that of a cell and a block.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mashpix.arrays.costs import check_memory, model_costs
from mashpix.arrays.model import MAX_FITTED_PIXELS, Model
from mashpix.arrays.normalization import Array, is_blank
from mashpix.arrays.planes import Part, Planes, StackJob, run
from mashpix.arrays.shared import apply_parts, fit_and_apply
from mashpix.arrays.summary import summarise
from mashpix.axes import window_of
from mashpix.errors import UsageError
from mashpix.method.mash import context_of
from mashpix.missing import holds_data
from mashpix.report import Step
from mashpix.steps import relay, scaled
from mashpix.tiling import Tile, tiles

CELL = 2048
"""Side in pixels of the cells that are denoised at once: another number gives other last bits."""
WINDOW = 512
"""Side in pixels of the windows that networks are fitted to."""
MAX_SEEN = 256
"""Windows that those are chosen from."""
GRAIN = 8
"""Side in pixels of the squares whose means show the structure of a window."""
NOTE = (
    f"denoised in cells of {CELL} x {CELL} pixels; network fitted to windows of {WINDOW} x {WINDOW}, those of "
    f"{MAX_SEEN} that cover the brightness and the structure; stripes and padding not looked for"
)
"""Remark on how a result was made."""
STRIDES = (0.7548776662466927, 0.5698402909980532)
"""1 / p and 1 / p**2 for the real root of p**3 = p + 1: fractions of their multiples cover a square evenly."""


def block_side(wanted: int) -> int:
    """The side of blocks that are a whole number of cells, and at least as large as wanted, in pixels."""
    return -(-wanted // CELL) * CELL


def cut_blocks(job: StackJob, group: Sequence[Planes], *, side: int) -> list[Planes]:
    """Cut planes into blocks of at least `side` pixels a side."""
    side = block_side(side)
    grid = list(tiles(job.length("Y"), job.length("X"), tile_size=side, context=0))
    return [_window(job, planes, tile.target) for planes in group for tile in grid]


def denoise_in_blocks(job: StackJob, groups: list[list[Planes]], *, side: int) -> Generator[Step, None, None]:
    """Denoise groups of planes block by block; what looks at a whole plane, as for stripes, is left out."""
    if side < 1:
        raise UsageError(f"`by_blocks`: not a positive number ({side})")
    job = replace(job, settings=job.settings.replace(stripes="off"))
    steps = run(job, groups, denoise_blocks, cut=lambda group: cut_blocks(job, group, side=side))
    return relay(
        steps,
        lambda step: replace(step, report=step.report.noted(NOTE)) if step.stage == "done" and step.report else step,
    )


def denoise_blocks(job: StackJob, group: list[Planes], todo: list[Planes]) -> Generator[Step, None, None]:
    """Denoise blocks of a group of planes, with networks fitted to windows of them."""
    pixels = job.length("Y") * job.length("X")
    check_memory(min(pixels, CELL**2) * len(group[0]) * job.length("S"))
    count = min(MAX_FITTED_PIXELS // WINDOW**2, len(group) * max(pixels // WINDOW**2, 1))
    how: dict[str, Any] = {"share_noise": True, "joint_channels": job.count_joint(group)}
    fitting, _ = model_costs(WINDOW**2, count, job.settings, **how)
    _, applying = model_costs(CELL**2, count, job.settings, **how)

    def choose(part: Part) -> list[Array]:
        return [job.read(window)[part] for window in choose_windows(job, group, part)]

    cells = len(group) * pixels / CELL**2
    yield from fit_and_apply(job, todo, choose, fitting=fitting, applying=applying, count=cells, denoise=denoise_block)


def denoise_block(
    job: StackJob,
    block: Planes,
    models: Sequence[Model | None],
    *,
    plan: dict[str, float],
    seconds: dict[str, float],
) -> Generator[Step, None, Step]:
    """Denoise one block of `cut_blocks`, cell by cell; return its last step, as `denoise_image` does."""
    result = job.read(block)
    spread, reports = np.zeros(result.shape, np.float32), []
    known = [(context_of(model.networks, model.settings)) for model in models if model is not None]
    cells = list(_cells(job, block, context=max(known, default=0)))
    for index, (cell, target) in enumerate(cells):
        if is_blank(result[:, *target]):
            continue
        window, origin = _window(job, block, cell.source), (cell.read[0], cell.read[2])
        steps = apply_parts(job, job.read(window), models, plan=plan, seconds=seconds, origin=origin)
        done = yield from scaled(steps, index / len(cells), 1 / len(cells))
        for whole, part in ((result, done.denoised), (spread, done.spread)):
            assert part is not None
            whole[:, *target] = part[:, *cell.inside]
        if done.report is not None:
            reports.append(done.report)
            seconds = {}
    report = summarise(reports, shape=result.shape, channels=job.channels, parts="cells") if reports else None
    return Step("block", 1, 1, 1.0, denoised=result, spread=spread, report=report)


def choose_windows(job: StackJob, group: Sequence[Planes], part: Part = slice(None)) -> list[Planes]:
    """Choose windows of planes to fit a network to: they cover the intensities and the structure of all, none is blank.

    Of `MAX_SEEN` windows spread evenly over all planes, half of those taken are evenly spaced in the order of their
    mean, from the darkest to the brightest, and half in the order of their structure, from the flattest to the
    richest. If all of them are blank, the first cell that is not blank is taken; none if there is none.
    """
    most, found = MAX_FITTED_PIXELS // WINDOW**2, list[tuple[float, float, int]]()
    windows = _spread(job, group)
    for number, window in enumerate(windows):
        pixels = job.read(window)[part]
        if not is_blank(pixels):
            found.append((*_describe(pixels), number))
    if not found:
        cells = (
            _window(job, block, cell.target)
            for block in cut_blocks(job, group, side=CELL)
            for cell, _ in _cells(job, block, context=0)
        )
        return next(([cell] for cell in cells if not is_blank(job.read(cell)[part])), [])
    places = np.linspace(0, len(found) - 1, most // 2).round().astype(int)
    by_order = (sorted(found, key=lambda item: (item[order], item[2])) for order in (0, 1))
    chosen = {ordered[place][2] for ordered in by_order for place in places}
    return [windows[number] for number in sorted(chosen)]


def _spread(job: StackJob, group: Sequence[Planes]) -> list[Planes]:
    """Windows that are spread evenly over all planes: each once."""
    rows, columns = (max(job.length(letter) - WINDOW, 0) + 1 for letter in "YX")
    places = (
        (number * len(group) // MAX_SEEN, int(number * STRIDES[0] % 1 * rows), int(number * STRIDES[1] % 1 * columns))
        for number in range(MAX_SEEN)
    )
    return [
        _window(job, group[plane], (slice(top, top + WINDOW), slice(left, left + WINDOW)))
        for plane, top, left in dict.fromkeys(places)
    ]


def _describe(pixels: Array) -> tuple[float, float]:
    """The mean of an image (C, H, W), and its structure: the deviation of the means of small squares."""
    held = holds_data(pixels)
    mean = float(np.asarray(pixels)[held].mean())
    values = np.where(held, np.asarray(pixels), mean).mean(axis=0)
    rows, columns = (length // GRAIN for length in values.shape)
    grains = values[: rows * GRAIN, : columns * GRAIN].reshape(rows, GRAIN, columns, GRAIN).mean(axis=(1, 3))
    return mean, float(grains.std())


def _cells(job: StackJob, block: Planes, *, context: int) -> Iterator[tuple[Tile, tuple[slice, slice]]]:
    """The cells of a block as tiles of the plane that see some context, and the place of each in the block."""
    bounds = dict(zip(job.axes, block[0], strict=True))
    rows, columns = bounds["Y"], bounds["X"]
    assert isinstance(rows, slice)
    assert isinstance(columns, slice)
    for tile in tiles(rows.stop - rows.start, columns.stop - columns.start, tile_size=CELL, context=0):
        (top, bottom, left, right), down, across = tile.keep, rows.start, columns.start
        keep = top + down, bottom + down, left + across, right + across
        read = (
            max(keep[0] - context, 0),
            min(keep[1] + context, job.length("Y")),
            max(keep[2] - context, 0),
            min(keep[3] + context, job.length("X")),
        )
        yield Tile(read, keep), tile.target


def _window(job: StackJob, planes: Planes, window: tuple[slice, slice]) -> Planes:
    """A window of the plane, or of each of several planes."""
    return tuple(window_of(index, job.axes, *window) for index in planes)
