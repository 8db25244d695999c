"""Denoise stacks plane by plane; planes along Z and T share networks, and so do the colours of RGB."""

from collections.abc import Generator
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mashpix.arrays.blocks import denoise_in_blocks
from mashpix.arrays.colour import Channels, decide_stack_channels
from mashpix.arrays.kept import NOTHING, Kept
from mashpix.arrays.planes import Indexable, Planes, StackJob, collect, denoise_alone, mask_stack, run
from mashpix.arrays.shared import denoise_shared
from mashpix.axes import Networks, check_axes, plane_groups
from mashpix.deprecation import channels_from, networks_from
from mashpix.devices import choose_device
from mashpix.errors import UsageError
from mashpix.method.early_stop import EarlyStop
from mashpix.report import Step
from mashpix.settings import Settings, preset


def denoise_stack(
    stack: Indexable,
    *,
    axes: str,
    networks: Networks = "shared",
    channels: Channels = "auto",
    missing: NDArray[np.bool_] | None = None,
    data_range: float | None = None,
    settings: Settings | str = "default",
    seed: int = 0,
    device: str = "auto",
    by_blocks: int | None = None,
    fit: Literal["once", "each"] | None = None,
    joint: bool | None = None,
) -> NDArray[Any]:
    """Denoise a stack plane by plane; planes of one kind share networks.

    Parameters
    ----------
    stack : ndarray
        Or anything with `shape` and `dtype` that returns planes when indexed, such as a memory-mapped file; planes
        are read one by one.
    axes : str
        One letter per axis, as tifffile writes them, such as "TZCYX". Y and X are the plane, S its samples, C
        channels; all other axes count planes of one kind.
    networks : {"shared", "each"}
        "shared" fits one network to up to four planes of a kind, spread over the stack, and applies it to all:
        faster, and equal planes stay equal. "each" fits one network per plane, as `denoise` does.
    channels : {"auto", "rgb", "independent", "joint"}
        As for `denoise`, of the axes S and C together. "auto": three samples along S are RGB; samples of any other
        number, and all channels along C, are independent. Nothing is measured.
    missing : ndarray of bool or None
        True for pixels without data, as for `denoise`: the shape of an array `stack`, or (H, W) for all planes. Other
        stacks may return masked planes.
    data_range, settings, seed, device
        As for `denoise`.
    by_blocks : int or None
        Denoise each plane block by block, of about this side in pixels: memory is that of a block, for planes of any
        size. The result does not depend on the number, but differs from that without it: a network is fitted to
        windows of the planes, and neither stripes nor padding are looked for. A stack that is read from a file must
        then return windows when it is indexed with slices.
    fit, joint
        Deprecated: `networks` ("once" is "shared") and `channels="joint"`.

    Returns
    -------
    ndarray
        Shape and dtype of `stack`. Planes that are blank, or hardly hold a finite value, are returned unchanged.

    Raises
    ------
    InputError, UsageError, DeviceError
        As `denoise`; `UsageError` also for axes that do not match the shape.

    Notes
    -----
    The method is that of `denoise`. A shared network is fitted to a mosaic of at most four planes of about four million
    pixels together, and applied to each plane with the same masks; the noise is measured in the mosaic. So it changes
    little from plane to plane and flickers less, and costs one fit and a prediction per plane. Where the noise or the
    content changes along the stack, "each" adapts to every plane, at the cost of one fit per plane. Memory is that of
    one plane, and of the planes of the mosaic during the fit. For presets and references see `denoise`.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(100, 10, (3, 32, 32)).astype(np.float32)
    >>> quick = Settings(masking_ratio=0.5, steps=3)
    >>> denoise_stack(noisy, axes="TYX", settings=quick, device="cpu").shape
    (3, 32, 32)
    """
    steps = denoise_stack_steps(
        stack,
        axes=axes,
        networks=networks,
        channels=channels,
        missing=missing,
        data_range=data_range,
        settings=settings,
        seed=seed,
        device=device,
        by_blocks=by_blocks,
        fit=fit,
        joint=joint,
    )
    return collect(steps, stack)


def denoise_stack_steps(
    stack: Indexable,
    *,
    axes: str,
    networks: Networks = "shared",
    channels: Channels = "auto",
    missing: NDArray[np.bool_] | None = None,
    data_range: float | None = None,
    settings: Settings | str = "default",
    seed: int = 0,
    device: str = "auto",
    by_blocks: int | None = None,
    fit: Literal["once", "each"] | None = None,
    joint: bool | None = None,
    early_stop: EarlyStop | None = None,
    kept: Kept = NOTHING,
) -> Generator[Step, None, None]:
    """Denoise a stack step by step: the generator behind `denoise_stack`, with the same parameters and errors.

    Memory holds one plane at a time, and during a fit the planes that the network is fitted to.

    Parameters
    ----------
    early_stop : EarlyStop or None
        As in `denoise_steps`; later fits make as many updates as the one that was stopped.
    kept : Kept
        What other runs have done, and what this one is to do and keeps for them: there is no step for a plane or block
        that is done already or is not wanted.

    Yields
    ------
    Step
        One per update, and one with the stage "plane" for each finished plane: its `denoised` belongs at
        `stack[step.plane]`, and `spread` and `report` are those of the plane (of channels denoised together, the last
        plane carries the report). The last has the stage "done" and holds the report of all.
    """
    settings, axes = preset(settings), check_axes(axes, tuple(stack.shape))
    stack = mask_stack(stack, missing, axes)
    networks, channels = networks_from(networks, fit), channels_from(channels, joint, axes=axes)
    if networks not in get_args(Networks):
        raise UsageError(f"`networks`: unknown choice ({networks!r}; one of {', '.join(get_args(Networks))})")
    kind, together = decide_stack_channels(axes, tuple(stack.shape), channels)
    chosen, _ = choose_device(device)
    early_stop = early_stop or EarlyStop(settings.stop_after)
    job = StackJob(stack, axes, data_range, settings, seed, chosen, kind, early_stop=early_stop, kept=kept)
    groups = plane_groups(axes, tuple(stack.shape), joint=together)
    shared = networks == "shared"
    if by_blocks is not None:
        groups = groups if shared else [[planes] for group in groups for planes in group]
        return denoise_in_blocks(job, groups, side=by_blocks)

    def denoise(job: StackJob, group: list[Planes], todo: list[Planes]) -> Generator[Step, None, None]:
        return (denoise_shared if shared and len(group) > 1 else denoise_alone)(job, group, todo)

    return run(job, groups, denoise)
