"""Denoise planes that are too large for memory: block by block into a folder, then window by window into the output."""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from mashpix import __version__
from mashpix.axes import Index, plane_groups, samples_axis
from mashpix.errors import UsageError
from mashpix.files.atomic import errors_in_one_line
from mashpix.jobs.block_store import DENOISED, RUN, SPREAD, BlockStore
from mashpix.jobs.kept_planes import KeptPlanes
from mashpix.jobs.lock import lock_folder
from mashpix.jobs.outputs import residual_of
from mashpix.jobs.recipe import hash_settings, to_json
from mashpix.jobs.request import DenoiseRequest
from mashpix.jobs.shard import Shard
from mashpix.report import Report, Step

if TYPE_CHECKING:
    from mashpix.files import Copy, OpenFile, Put
    from mashpix.trust.outcome import Verdict
    from mashpix.trust.stack_verdict import PlaneVerdicts


def check_blocks(request: DenoiseRequest) -> None:
    """Refuse options that need whole planes, if blocks are asked for or needed."""
    for name in ("detail", "model"):
        if request.by_blocks is not None and getattr(request, name):
            raise UsageError(f"`{name}` needs whole planes, and these are denoised in blocks (leave it out)")


def store_folder(target: Path) -> Path:
    """Return the folder of the blocks of an output."""
    return target.with_name(f".{target.name}.mashpix-blocks")


@contextmanager
def open_store(
    opened: "OpenFile", request: DenoiseRequest, *, input_sha256: str, shard: Shard | None = None
) -> Iterator[tuple[BlockStore, int]]:
    """Open the blocks of a result for one run, or for one of several shards, and say how many are done already.

    Raises
    ------
    FileError
        If another run is writing there, or blocks of another run are there that may not be removed.
    """
    import torch

    from mashpix.devices import choose_device

    folder = store_folder(request.target)
    run = {
        "version": __version__,
        "settings": hash_settings(request.settings, **request.options),
        "seed": request.seed,
        "device": str(choose_device(request.device)[0]),
        "threads": torch.get_num_threads(),
        "input_sha256": input_sha256,
        "side": request.by_blocks,
        "save": sorted(request.save),
    }
    store = BlockStore(folder, opened.axes, tuple(opened.shape), opened.dtype, request.by_blocks, to_json(run))
    with errors_in_one_line(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with lock_folder(folder, shard):
            yield (store if shard is None else replace(store, wanted=shard.numbers)), store.begin(may_remove=not shard)
    finally:
        if shard is None and all(path.name == RUN for path in folder.glob("*")):
            store.remove()


def put_blocks(
    steps: Generator[Step, None, None], planes: KeptPlanes, store: BlockStore, request: DenoiseRequest
) -> Generator[Step, None, Report | None]:
    """Pass the steps on; finish, judge and keep each block as soon as it is denoised; return the report of all."""
    axis, report = samples_axis(planes.axes), None
    with closing(steps):
        for step in steps:
            report = step.report
            if step.plane is not None and step.denoised is not None:
                known = report.channels if report and axis is not None else None
                how: dict[str, Any] = {"axis": axis, "channels": known or "auto"}
                finished, verdict = _finish(planes.take(step.plane), step.denoised, request, **how)
                arrays = {DENOISED: finished} | ({SPREAD: step.spread} if "spread" in request.save else {})
                store.put(step.plane, verdict, report, arrays)
            yield step
    return report


def _finish(
    noisy: NDArray[Any], denoised: NDArray[Any], request: DenoiseRequest, *, axis: int | None, channels: Any
) -> tuple[NDArray[Any], "Verdict"]:
    """As `finish`, for blocks: the rest at an edge of the plane may be too small to judge."""
    from mashpix.arrays.blending import blend
    from mashpix.arrays.normalization import MIN_SIDE, channels_first
    from mashpix.trust.finishing import finish
    from mashpix.trust.outcome import Verdict

    if min(channels_first(denoised, axis).shape[1:]) < MIN_SIDE:
        return blend(noisy, denoised, strength=request.strength), Verdict("good", "too small to judge")
    how: dict[str, Any] = {"strength": request.strength, "detail": request.detail, "channels": channels}
    return finish(noisy, denoised, channel_axis=axis, **how)


def judge(planes: KeptPlanes, store: BlockStore, report: Report) -> "PlaneVerdicts":
    """Sum up the verdicts on all blocks, with the pixels of the worst."""
    from mashpix.trust.stack_verdict import PlaneVerdicts, name_plane

    blocks = [block for index in _planes_of(store) for block in store.blocks(index)]
    verdicts = [store.verdict_of(block) for block in blocks]
    names = (name_plane(block, store.axes) for block in blocks)
    judged = PlaneVerdicts(store.axes, store.shape, store.parts, dict(zip(names, verdicts, strict=True)))
    number = max(range(len(blocks)), key=lambda number: judged.rank(blocks[number], verdicts[number]))
    worst, known = blocks[number], report.channels if "S" in store.axes else None
    judged.add(worst, planes.take(worst), store.read(worst), verdicts[number], channels=known or "auto")
    return judged


def assemble(store: BlockStore, planes: KeptPlanes, copy: "Copy", maps: "dict[str, Put]") -> None:
    """Write all planes from their blocks."""

    def residual(window: Index) -> Any:
        return residual_of(planes[window], store.read(window))

    for index in _planes_of(store):
        copy(index, store.plane(index))
        if "spread" in maps:
            maps["spread"](index, store.plane(index, lambda window: store.read(window, SPREAD)))
        if "residual" in maps:
            maps["residual"](index, store.plane(index, residual))


def _planes_of(store: BlockStore) -> Iterator[Index]:
    """Yield the index of each plane."""
    for planes in chain.from_iterable(plane_groups(store.axes, store.shape, joint=False)):
        yield from planes
