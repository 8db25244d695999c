"""What denoising costs: memory, network updates per stage, and seconds from a few updates timed on this machine.

The unit of cost is one update of the network: on the whole image, or on one window of a larger image. The progress
bar, the estimates of `inspect`, of `--dry-run` and of studies all read the tables below.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch

from mashpix.arrays.model import MAX_FITTED_IMAGES
from mashpix.arrays.normalization import MAX_VALUES
from mashpix.devices import available_memory
from mashpix.errors import InputError
from mashpix.method.fitting import fit, new_network
from mashpix.method.mash import side_multiple
from mashpix.method.masking_ratio import wants_shuffle
from mashpix.picture import Picture
from mashpix.refine import stages
from mashpix.settings import Settings
from mashpix.steps import numbered

BYTES_PER_VALUE = 30
"""Memory for each value of an image, about: that of a photo, a fourth above that of benchmarks/scale.csv."""
BYTES_FOR_TILES = 11 * 2**26
"""Memory for one tile or window in the network, about, and for torch itself."""
SECONDS_FOR_DEFECTS, SECONDS_FOR_STRIPES = 1.7e-7, 1e-7
"""Seconds of a CPU core for each value of an image in which they are looked for, about, before the first update."""
PREDICTION = 1 / 3
"""Cost of one prediction of a window in updates: the forward pass without the backward pass, which takes twice that."""
MIN_TIMED, MAX_TIMED = 2, 8
"""Updates that are timed, after a first one that is slower."""
LONG_ENOUGH = 0.5
"""Seconds after which no more updates are timed, once there are MIN_TIMED: of their own, not of a busy machine's."""

Costs = dict[str, float]
"""Expected cost of each stage, by the name that its steps carry, in updates."""


def expected_memory(values: int) -> int:
    """Bytes of memory that an image of so many values (height x width x channels) needs, about."""
    return values * BYTES_PER_VALUE + BYTES_FOR_TILES


def check_memory(values: int) -> None:
    """Refuse an image of so many values that it would not fit into memory, before any work is done."""
    needed, free = expected_memory(values), available_memory()
    if free is not None and needed > free:
        hint = "; `by_blocks` denoises it in blocks" if _blocks_help(values) else ""
        numbers = f"about {needed / 2**30:.1f} GiB needed, {free / 2**30:.1f} GiB free"
        raise InputError(f"not enough memory ({numbers}{hint})")


def needs_blocks(values: int) -> bool:
    """Whether an image of so many values must be denoised block by block: no tensor, or no free memory, holds it."""
    free = available_memory()
    is_too_large = free is not None and expected_memory(values) > free
    return values > MAX_VALUES or (is_too_large and _blocks_help(values))


def _blocks_help(values: int) -> bool:
    """Whether most of the memory is for the values: else a block needs hardly less."""
    return values * BYTES_PER_VALUE > BYTES_FOR_TILES


def expected_costs(pixels: int, settings: Settings, *, joint_channels: int = 1) -> Costs:
    """Costs of denoising an image of so many pixels (height x width) with networks of its own.

    `joint_channels` is how many channels share a network without being the colours of one scene.
    """
    fitting = _fitting_costs(pixels, settings, joint_channels=joint_channels)
    return fitting | _applying_costs(pixels, settings)


def model_costs(
    pixels: int, fitted: int, settings: Settings, *, share_noise: bool, joint_channels: int = 1
) -> tuple[Costs, Costs]:
    """Costs of fitting a model to so many images, and of applying it to one of them; parameters as for `fit_model`."""
    fitting = _fitting_costs(pixels * fitted, settings, joint_channels=joint_channels)
    applying = _applying_costs(pixels, settings)
    if settings.refine and share_noise:  # the noise is measured once, in the images that are fitted
        for index in range(settings.fits):
            predict = numbered("predict", index)
            fitting[predict] = applying[predict] * fitted
            for stage in stages.MEASURING:
                fitting[numbered(stage, index)] = applying.pop(numbered(stage, index)) * fitted
    return fitting, applying


def seconds_before(values: int, settings: Settings) -> float:
    """Seconds from the image of so many values (height x width x channels) to its first update, about."""
    seconds = SECONDS_FOR_DEFECTS * settings.find_defects + SECONDS_FOR_STRIPES * (settings.stripes != "off")
    return seconds * values


def fit_updates(settings: Settings) -> int:
    """Network updates of denoising one image, those of the probes included."""
    probes = 2 * settings.probe_steps if _needs_probes(settings) else 0
    return settings.steps * settings.fits + probes


def _fitting_costs(pixels: int, settings: Settings, *, joint_channels: int) -> Costs:
    """Costs of choosing the masking ratio and of the fits."""
    prediction = _prediction_cost(pixels, settings)
    costs: Costs = {}
    if _needs_probes(settings):
        masks = 1 if settings.noise_estimate == "one-pass" else settings.masks
        for ratio in (settings.low_probe_ratio, settings.high_probe_ratio):
            costs |= {f"probe {ratio:g}": float(settings.probe_steps)}
            costs |= {f"probe {ratio:g}: noise level": masks * prediction}
    for index in range(settings.fits):
        costs[numbered("fit", index)] = float(settings.steps * (joint_channels if settings.refine else 1))
        if _may_shuffle(settings):
            costs[f"{numbered('fit', index)}: flat regions"] = settings.masks * prediction
    return costs


def _applying_costs(pixels: int, settings: Settings) -> Costs:
    """Costs of predicting and refining."""
    prediction = _prediction_cost(pixels, settings)
    costs: Costs = {}
    for index in range(settings.fits):
        costs[numbered("predict", index)] = settings.masks * prediction
        if settings.refine:
            costs |= {numbered(stage, index): cost * prediction for stage, cost in stages.COSTS.items()}
    return costs


def _prediction_cost(pixels: int, settings: Settings) -> float:
    return max(pixels / settings.window_size**2, 1) * PREDICTION


def _needs_probes(settings: Settings) -> bool:
    return settings.masking_ratio is None and settings.choose_by == "gap"


def _may_shuffle(settings: Settings) -> bool:
    """Whether flat regions are looked for; True where the image decides that."""
    if settings.shuffle_start >= settings.steps:
        return False
    high = settings.masking_ratio is None or settings.masking_ratio >= settings.high_ratio
    return wants_shuffle(high, settings)


@dataclass(frozen=True)
class Estimate:
    """Expected seconds, and bytes of memory, Python and the libraries included."""

    seconds: float
    memory: int


@dataclass(frozen=True)
class Estimator:
    """Estimates the cost of images from their shape, (H, W) or (H, W, C).

    Updates are timed once for each number of channels, on one window of noise. Images denoised at the same time slow
    each other down, which the estimate leaves out.
    """

    settings: Settings
    device: torch.device
    seconds_per_update: dict[int, float] = field(default_factory=dict)

    def __call__(
        self,
        shape: tuple[int, ...],
        *,
        applied: int = 1,
        fitted: int | None = None,
        share_noise: bool = False,
        joint: bool = False,
    ) -> Estimate:
        """Cost of so many images: each with networks of its own, or all with a model fitted to some of `fitted`.

        `fitted` is 0 where the model exists already; `share_noise` as for `fit_model`;
        `joint` if the channels share a network without being the colours of one scene.
        """
        settings, channels = self.settings, shape[2] if len(shape) == 3 else 1
        pixels, together = shape[0] * shape[1], min(fitted or 1, MAX_FITTED_IMAGES)
        shared = channels if joint else 1
        if fitted is None:
            updates = applied * _windows(expected_costs(pixels, settings, joint_channels=shared), pixels, settings)
        else:
            fitting, applying = model_costs(pixels, together, settings, share_noise=share_noise, joint_channels=shared)
            updates = applied * _windows(applying, pixels, settings)
            updates += _windows(fitting, pixels * together, settings) if fitted else 0.0
        if channels not in self.seconds_per_update:
            window = (channels, settings.window_size, settings.window_size)
            self.seconds_per_update[channels] = time_update(window, settings, device=self.device)
        seconds = updates * self.seconds_per_update[channels]
        seconds += applied * seconds_before(pixels * channels, settings)
        return Estimate(seconds, expected_memory(pixels * channels * together))


def _windows(costs: Costs, pixels: int, settings: Settings) -> float:
    """Costs in updates on a whole window: an image that is smaller costs less."""
    return sum(costs.values()) * min(pixels / settings.window_size**2, 1.0)


def time_update(shape: Sequence[int], settings: Settings, *, device: torch.device) -> float:
    """Seconds of one network update on an image of a shape (C, H, W), on a machine that does nothing else.

    The fastest of a few updates on noise counts. On a CPU that is the processor time of the calling thread, which
    takes part in every operation (with one torch thread it does all of them): it does not grow while other programs,
    or other threads of this one, hold the processor. What they push out of its caches is counted.
    """
    multiple = side_multiple(settings)
    size = [min(-(-side // multiple) * multiple, settings.window_size) for side in shape[1:]]
    generator = torch.Generator(device).manual_seed(0)
    pixels = torch.rand((1, shape[0], *size), generator=generator, device=device)
    picture = Picture(pixels, torch.ones_like(pixels, dtype=torch.bool), torch.ones(shape[0], device=device))
    network = new_network(picture, settings=settings, generator=generator)
    steps = fit(
        network,
        picture,
        settings.masking_ratio or settings.medium_ratio,
        shuffle=False,
        steps=1 + MAX_TIMED,
        stage="time",
        settings=settings,
        generator=generator,
    )
    losses = (float(step.loss) for step in steps if step.loss is not None)  # taking the loss waits for a GPU
    return _fastest(losses, cpu=device.type == "cpu")


def _fastest(updates: Iterable[float], *, cpu: bool) -> float:
    """Seconds of the fastest of a few updates, the first left out."""
    read = time.thread_time if cpu else time.perf_counter
    before, times = 0.0, list[float]()
    for index, _ in enumerate(updates):
        if index:
            times.append(read() - before)
        if len(times) >= MIN_TIMED and sum(times) > LONG_ENOUGH:
            break
        before = read()
    return min(times)
