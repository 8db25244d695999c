"""Laws of blocks and groups: transforms are orthonormal, nothing is lost unless it is shrunk, groups are similar."""

import pytest
import torch

from mashpix.refine.block_matching import (
    SIDE,
    collaborative_filter,
    grouping,
    is_nearly_white,
    match_blocks,
    white_grouping,
)
from mashpix.refine.dct import analyse, block_means, cosine_matrix, synthesise
from mashpix.refine.residual_noise import NoiseModel
from mashpix.refine.tuning import TUNED, RefineSettings
from mashpix.refine.variance_model import CONSTANT

PLAIN = RefineSettings(caution=1.0)


@pytest.fixture
def picture():
    return torch.rand((3, 48, 64), generator=torch.Generator().manual_seed(0))


def white(variance, side=SIDE, channels=3):
    return NoiseModel(torch.full((channels, side * side), variance), CONSTANT, channels == 3)


@pytest.mark.parametrize("size", [1, 3, 16])
def test_the_transform_is_orthonormal(size):
    matrix = cosine_matrix(size)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(size), rtol=0, atol=1e-6)


@pytest.mark.parametrize("side", [8, 16])
def test_what_is_not_shrunk_comes_back(picture, side):
    coefficients = analyse(picture, side)
    variance = torch.ones(3, side * side, 1)
    back = synthesise(coefficients, torch.ones_like(coefficients), variance, (48, 64))
    torch.testing.assert_close(back, picture, rtol=0, atol=1e-5)


def test_the_first_coefficient_gives_the_mean_of_a_block(picture):
    expected = picture.unfold(1, 8, 2).unfold(2, 8, 2).mean((3, 4)).reshape(3, -1)
    torch.testing.assert_close(block_means(analyse(picture, 8)), expected, rtol=0, atol=1e-5)


def test_repeated_blocks_are_found():
    """In a picture that repeats every 8 pixels, all members of a group are the same block."""
    tile = torch.rand((1, 8, 8), generator=torch.Generator().manual_seed(1))
    places = match_blocks(tile.repeat(1, 8, 8)[0], by=grouping())
    assert places.shape == (15 * 15, TUNED.group_size)
    rows, columns = places // 64, places % 64
    assert ((rows - rows[:, :1]) % 8 == 0)[:, :9].all()  # at least nine lie within reach of any corner
    assert ((columns - columns[:, :1]) % 8 == 0)[:, :9].all()


def test_each_block_leads_its_own_group():
    places = match_blocks(torch.zeros(32, 32), by=grouping())
    corners = torch.arange(0, 25, TUNED.group_step)
    assert torch.equal(places[:, 0], (corners[:, None] * 32 + corners).reshape(-1))


def test_without_noise_groups_leave_a_picture_alone(picture):
    filtered = collaborative_filter(picture, picture, noise=white(1e-9), by=grouping(), tuning=PLAIN)
    torch.testing.assert_close(filtered, picture, rtol=0, atol=1e-4)


def test_groups_average_the_noise_of_what_repeats():
    tile = torch.rand((1, 8, 8), generator=torch.Generator().manual_seed(1))
    clean = tile.repeat(1, 8, 8)
    noise = 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
    filtered = collaborative_filter(clean + noise, clean, noise=white(0.01, channels=1), by=grouping(), tuning=PLAIN)
    assert (filtered - clean).std() < 0.4 * noise.std()


def test_the_hard_threshold_of_groups_leaves_an_edge_and_hardly_any_noise():
    clean = torch.zeros(1, 64, 64)
    clean[:, :, 30:] = 1
    noise = 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(3))
    noisy = clean + noise
    filtered = collaborative_filter(noisy, noisy, noise=white(0.01, channels=1), by=white_grouping(), tuning=PLAIN)
    assert (filtered - clean).std() < 0.35 * noise.std()
    assert (filtered[:, :, 30:] - filtered[:, :, :30].mean()).min() > 0.8


def test_nearly_white_noise_is_told_from_noise_that_is_mostly_slow():
    frequency = torch.arange(SIDE)[:, None] + torch.arange(SIDE)
    falling = (2.0 ** -(frequency / 2)).reshape(1, -1)
    assert is_nearly_white(white(0.01))
    assert not is_nearly_white(NoiseModel(falling, CONSTANT))
