"""Laws of refining on CPUs: compiled strips give what the tiles of GPUs give, in any number of threads."""

import pytest
import torch

from mashpix import PRESETS
from mashpix.refine import blending, block_matching, shrinking, strips
from mashpix.refine.refining import by_tiles
from mashpix.refine.residual_noise import NoiseModel
from mashpix.refine.variance_model import VarianceModel
from mashpix.steps import drain

SETTINGS = PRESETS["default"]
LEVEL = 0.05


def pictures(channels, *, height=64, width=96):
    """A noisy image of stripes and an edge, a pilot and a prediction of it."""
    generator = torch.Generator().manual_seed(channels)
    rows, columns = torch.meshgrid(torch.arange(height) / 40, torch.arange(width) / 40, indexing="ij")
    clean = torch.stack([0.5 + 0.3 * torch.sin(20 * rows + channel) + (columns > 1.2) for channel in range(channels)])
    noise, wrong = (torch.randn(clean.shape, generator=generator) for _ in range(2))
    return clean + LEVEL * noise, clean + 0.2 * LEVEL * wrong, clean + 0.3 * LEVEL * wrong.roll(1, dims=2)


def noise_of(side, channels):
    """A spectrum that falls with the frequency, of noise that follows the brightness."""
    psd = LEVEL**2 * torch.linspace(1.5, 0.5, side * side).expand(channels, -1).contiguous()
    return NoiseModel(psd, VarianceModel(0.4, 0.8, 0.3, 2.0), channels == 3)


def tiled(function, *images, context=2 * shrinking.SIDE):
    return drain(by_tiles(function, *images, stage="", settings=SETTINGS, context=context))


def assert_alike(strip, tile):
    """Within rounding: a thousandth of the noise in 99 of 100 pixels, a hundredth in all.

    In groups, a last bit decides which of two blocks is closer.
    """
    difference = (strip - tile).abs() / LEVEL
    assert difference.quantile(0.99) < 1e-3
    assert difference.max() < 1e-2


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shrinking_is_the_same(channels):
    noisy, noise = pictures(channels)[0], noise_of(shrinking.SIDE, channels)
    strip = drain(strips.shrink(noisy, noise=noise, threshold=2.7, stage=""))
    assert_alike(strip, tiled(lambda image: shrinking.shrink(image, noise=noise, threshold=2.7), noisy))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_restoring_is_the_same(channels):
    (noisy, grouped, predicted), noise = pictures(channels), noise_of(shrinking.SIDE, channels)
    how = {"noise": noise, "keep_means": not noise.is_rgb}
    strip = drain(strips.restore(noisy, predicted, grouped, **how, stage=""))
    assert_alike(strip, tiled(lambda *images: blending.restore(*images, **how), noisy, predicted, grouped))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_groups_are_the_same(channels):
    (noisy, pilot, _), noise = pictures(channels), noise_of(block_matching.SIDE, channels)
    strip = drain(strips.collaborative_wiener(noisy, pilot, noise=noise, stage=""))
    assert_alike(strip, block_matching.collaborative_wiener(noisy, pilot, noise=noise))


def test_the_bytes_do_not_depend_on_the_number_of_threads():
    noisy, noise = pictures(3, height=256)[0], noise_of(shrinking.SIDE, 3)
    results, before = [], torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        results.append(drain(strips.shrink(noisy, noise=noise, threshold=2.7, stage="")))
    torch.set_num_threads(before)
    assert torch.equal(*results)
