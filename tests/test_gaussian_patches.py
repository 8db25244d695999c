"""Laws of R24: similar patches keep what they differ by in the pilot, in all colours together, and lose the rest."""

import pytest
import torch
import torch.nn.functional as F

from mashpix.refine import strips
from mashpix.refine.block_matching import SIDE
from mashpix.refine.dct import analyse
from mashpix.refine.gaussian_patches import PATCH, filter_patches, patch_covariance
from mashpix.refine.residual_noise import NoiseModel
from mashpix.refine.variance_model import CONSTANT, VarianceModel
from mashpix.steps import drain

LEVEL = 0.1


def white(*, channels, is_rgb, model=CONSTANT, level=LEVEL):
    return NoiseModel(torch.full((channels, SIDE * SIDE), level**2), model, is_rgb)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def blocks_of_one_pattern(*, seed=0):
    """One pattern of 8 x 8 pixels and three colours, with another amplitude in each block: (3, 64, 64)."""
    pattern, amplitudes = draw(3, SIDE, SIDE, seed=seed), draw(SIDE, SIDE, seed=seed + 1)
    return pattern.repeat(1, 8, 8) * amplitudes.repeat_interleave(SIDE, 0).repeat_interleave(SIDE, 1)


@pytest.mark.parametrize("is_rgb", [True, False])
def test_without_noise_nothing_changes_whatever_the_pilot_is(is_rgb):
    picture, pilot = draw(3, 48, 64), draw(3, 48, 64, seed=1)
    filtered = filter_patches(picture, pilot, noise=white(channels=3, is_rgb=is_rgb, level=0.0))
    torch.testing.assert_close(filtered, picture, rtol=0, atol=1e-5)


@pytest.mark.parametrize("level", [1e-6, 1e-5, 1e-4, 1e-3])
def test_patches_that_repeat_lose_noise_or_keep_it_however_weak_it_is(level):
    """Their covariance has few directions: to single precision it can hardly be inverted."""
    clean = torch.rand((3, SIDE, SIDE), generator=torch.Generator().manual_seed(1)).repeat(1, 12, 12)
    noisy, noise = clean + level * draw(3, 96, 96), white(channels=3, is_rgb=True, level=level)
    by_strips = drain(strips.filter_patches(noisy, clean, noise=noise, stage=""))
    for filtered in (by_strips, filter_patches(noisy, clean, noise=noise)):
        assert (filtered - clean).std() < 1.1 * level


def test_where_the_pilot_does_not_vary_it_is_the_result():
    pilot = torch.full((1, 48, 64), 0.5)
    filtered = filter_patches(pilot + LEVEL * draw(1, 48, 64), pilot, noise=white(channels=1, is_rgb=False))
    torch.testing.assert_close(filtered, pilot, rtol=0, atol=1e-4)


def test_colours_together_lose_more_noise_than_each_alone():
    clean = blocks_of_one_pattern()
    noisy = clean + LEVEL * draw(3, 64, 64, seed=5)
    together, alone = (
        (filter_patches(noisy, clean, noise=white(channels=3, is_rgb=is_rgb)) - clean).std() for is_rgb in (True, False)
    )
    assert together < 0.8 * alone


def test_bright_patches_lose_more_where_the_noise_grows_with_the_brightness():
    dark, bright = torch.full((1, 64, 64), 0.1), torch.full((1, 64, 64), 10.0)
    texture = LEVEL * draw(1, 64, 64)
    noise = white(channels=1, is_rgb=False, model=VarianceModel(0.0, 1.0, 0.01, 100.0))
    lost = [(filter_patches(level + texture, level + texture, noise=noise) - level).std() for level in (dark, bright)]
    assert lost[1] < 0.5 * lost[0]


def test_the_covariance_of_patches_is_that_of_the_noise():
    noise = F.avg_pool2d(draw(1, 513, 513), 2, stride=1)
    psd = analyse(noise, SIDE).square().mean(dim=2)
    patches = F.unfold(noise[None], PATCH)[0]
    measured = patches @ patches.T / patches.shape[1]
    expected = patch_covariance(NoiseModel(psd, CONSTANT))[0]
    assert (measured - expected).abs().max() < 0.05 * expected[0, 0]
