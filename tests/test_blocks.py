"""Laws of blocks and groups: transforms are orthonormal, nothing is lost unless it is shrunk, groups are similar."""

import pytest
import torch

from mashpix.refine.block_matching import GROUP_SIZE, SIDE, STEP, filter_groups, find_similar
from mashpix.refine.dct import analyse, brightness, cosine_matrix, synthesise
from mashpix.refine.residual_noise import Law, Noise


@pytest.fixture
def picture():
    return torch.rand((3, 48, 64), generator=torch.Generator().manual_seed(0))


def white(variance, side=SIDE, channels=3):
    return Noise(torch.full((channels, side * side), variance), Law(1.0, 0.0, 1.0), channels == 3)


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


def test_the_brightness_of_a_block_is_its_mean(picture):
    grey = picture[:1]
    expected = grey[0].unfold(0, 8, 2).unfold(1, 8, 2).mean((2, 3)).reshape(-1)
    torch.testing.assert_close(brightness(analyse(grey, 8), is_rgb=False), expected, rtol=0, atol=1e-5)


def test_repeated_blocks_are_found():
    """In a picture that repeats every 8 pixels, all members of a group are the same block."""
    tile = torch.rand((1, 8, 8), generator=torch.Generator().manual_seed(1))
    picture = tile.repeat(1, 8, 8)
    places = find_similar(picture, is_rgb=False)
    assert places.shape == (15 * 15, GROUP_SIZE)
    rows, columns = places // 64, places % 64
    assert ((rows - rows[:, :1]) % 8 == 0)[:, :9].all()  # at least nine lie within reach of any corner
    assert ((columns - columns[:, :1]) % 8 == 0)[:, :9].all()


def test_each_block_leads_its_own_group():
    places = find_similar(torch.zeros(1, 32, 32), is_rgb=False)
    corners = torch.arange(0, 25, STEP)
    assert torch.equal(places[:, 0], (corners[:, None] * 32 + corners).reshape(-1))


def test_without_noise_groups_leave_a_picture_alone(picture):
    filtered = filter_groups(picture, picture, white(1e-9), caution=1.0)
    torch.testing.assert_close(filtered, picture, rtol=0, atol=1e-4)


def test_groups_average_the_noise_of_what_repeats():
    tile = torch.rand((1, 8, 8), generator=torch.Generator().manual_seed(1))
    clean = tile.repeat(1, 8, 8)
    noise = 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
    filtered = filter_groups(clean + noise, clean, white(0.01, channels=1), caution=1.0)
    assert (filtered - clean).std() < 0.4 * noise.std()
