"""Denoise planes that are too large for memory: block by block into a folder, then window by window into the output."""

from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from mashpix import __version__
from mashpix.axes import Index, plane_groups, samples_axis
from mashpix.errors import UsageError
from mashpix.jobs.block_store import DENOISED, SPREAD, BlockStore
from mashpix.jobs.events import Note
from mashpix.jobs.kept_planes import KeptPlanes
from mashpix.jobs.outputs import residual_of
from mashpix.jobs.recipe import hash_settings, to_json
from mashpix.jobs.request import DenoiseRequest
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


def begin_store(opened: "OpenFile", request: DenoiseRequest, *, input_sha256: str) -> Generator[Note, None, BlockStore]:
    """Open the blocks of a result, with those that an earlier run with the same bytes has finished."""
    import torch

    from mashpix.devices import choose_device

    target = request.target
    folder = target.with_name(f".{target.name}.mashpix-blocks")
    assert request.by_blocks is not None
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
    if done := store.begin():
        yield Note(f"goes on with an interrupted run ({done} blocks are done)", "info")
    return store


def put_blocks(
    steps: Generator[Step, None, None], planes: KeptPlanes, store: BlockStore, request: DenoiseRequest
) -> "Generator[Step, None, tuple[Report, PlaneVerdicts]]":
    """Pass the steps on; finish, judge and keep each block as soon as it is denoised."""
    axis, known = samples_axis(planes.axes), None
    with closing(steps):
        for step in steps:
            if step.report is not None:
                known = step.report.channels if "S" in planes.axes else None
            if step.plane is not None and step.denoised is not None:
                how: dict[str, Any] = {"strength": request.strength, "channel_axis": axis, "channels": known or "auto"}
                finished, verdict = _finish(planes.take(step.plane), step.denoised, **how)
                arrays = {DENOISED: finished} | ({SPREAD: step.spread} if "spread" in request.save else {})
                store.put(step.plane, verdict, step.report, arrays)
            yield step
    assert step.report is not None
    return step.report, _judge(planes, store, known or "auto")


def _finish(
    noisy: NDArray[Any], denoised: NDArray[Any], *, strength: float, channel_axis: int | None, channels: Any
) -> tuple[NDArray[Any], "Verdict"]:
    """As `finish`, for blocks: the rest at an edge of the plane may be too small to judge."""
    from mashpix.arrays.blending import blend
    from mashpix.arrays.normalization import MIN_SIDE, channels_first
    from mashpix.trust.finishing import finish
    from mashpix.trust.outcome import Verdict

    if min(channels_first(denoised, channel_axis).shape[1:]) < MIN_SIDE:
        return blend(noisy, denoised, strength=strength), Verdict("good", "too small to judge")
    return finish(noisy, denoised, strength=strength, detail=0.0, channel_axis=channel_axis, channels=channels)


def _judge(planes: KeptPlanes, store: BlockStore, channels: Any) -> "PlaneVerdicts":
    """Sum up the verdicts on all blocks, with the pixels of the worst."""
    from mashpix.trust.stack_verdict import PlaneVerdicts, name_plane
    from mashpix.trust.verdict import severity

    blocks = [block for index in _planes_of(store) for block in store.blocks(index)]
    verdicts = [store.verdict_of(block) for block in blocks]
    names = (name_plane(block, store.axes) for block in blocks)
    judged = PlaneVerdicts(store.axes, store.shape, "blocks", dict(zip(names, verdicts, strict=True)))
    number = max(range(len(blocks)), key=lambda number: severity(verdicts[number]))
    worst = blocks[number]
    judged.add(worst, planes.take(worst), store.read(worst), verdicts[number], channels=channels)
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
