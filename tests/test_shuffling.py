"""Laws of local pixel shuffling: tiles keep their pixels, channels move together, only flat tiles move."""

import pytest
import torch

from mashpix.method.shuffling import flat_regions, shuffle_tiles


def cut(pixels, size):
    """Sorted pixels of every tile, (B, C, rows, columns, size * size)."""
    return pixels.unfold(2, size, size).unfold(3, size, size).flatten(4)


def everywhere(pixels):
    return torch.ones_like(pixels[:, :1], dtype=torch.bool)


@pytest.mark.parametrize("block_size", [2, 3, 4, 5, 6])
def test_every_tile_keeps_its_pixels(block_size, generator):
    pixels = torch.rand((1, 3, 32, 41), generator=generator)
    shuffled = shuffle_tiles(pixels, everywhere(pixels), block_size=block_size, generator=generator)
    assert torch.equal(cut(shuffled, block_size).sort().values, cut(pixels, block_size).sort().values)
    assert not torch.equal(shuffled, pixels)


def test_the_channels_of_a_pixel_stay_together(generator):
    first = torch.rand((1, 1, 32, 32), generator=generator)
    shuffled = shuffle_tiles(torch.cat([first, 2 * first], 1), everywhere(first), block_size=4, generator=generator)
    assert torch.equal(shuffled[:, 1], 2 * shuffled[:, 0])


def test_tiles_get_permutations_of_their_own(generator):
    places = torch.arange(16.0).reshape(1, 1, 4, 4).repeat(1, 1, 8, 8)
    tiles = cut(shuffle_tiles(places, everywhere(places), block_size=4, generator=generator), 4).reshape(64, 16)
    assert len({tuple(tile.tolist()) for tile in tiles}) > 60


def test_a_tile_with_one_structured_pixel_stays(generator):
    pixels = torch.rand((1, 1, 8, 8), generator=generator)
    flat = everywhere(pixels)
    flat[0, 0, 1, 1] = False
    shuffled = shuffle_tiles(pixels, flat, block_size=4, generator=generator)
    assert torch.equal(shuffled[..., :4, :4], pixels[..., :4, :4])
    assert not torch.equal(shuffled[..., 4:, 4:], pixels[..., 4:, 4:])


def test_shuffling_decorrelates_neighbours(generator):
    noise = torch.randn((1, 1, 257, 257), generator=generator)
    smooth = (noise[..., 1:, 1:] + noise[..., :-1, 1:] + noise[..., 1:, :-1] + noise[..., :-1, :-1]) / 2

    def lag1(pixels):
        return (pixels[..., 1:] * pixels[..., :-1]).mean().item() / pixels.square().mean().item()

    shuffled = shuffle_tiles(smooth, everywhere(smooth), block_size=4, generator=generator)
    assert lag1(smooth) > 0.45
    assert lag1(shuffled) < 0.2


def test_a_picture_smaller_than_a_tile_stays(generator):
    pixels = torch.rand((1, 1, 3, 8), generator=generator)
    assert torch.equal(shuffle_tiles(pixels, everywhere(pixels), block_size=4, generator=generator), pixels)


def test_an_edge_is_not_flat_and_its_surroundings_are():
    prediction = torch.zeros(1, 3, 16, 16)
    prediction[..., 7:] = 1.0
    flat = flat_regions(prediction, torch.ones_like(prediction, dtype=torch.bool), flat_threshold=0.5)
    expected = torch.ones(1, 1, 16, 16, dtype=torch.bool)
    expected[..., 6:8] = False
    assert torch.equal(flat, expected)


def test_flatness_does_not_depend_on_the_unit(generator):
    prediction = torch.rand((1, 3, 32, 32), generator=generator) ** 4
    valid = torch.ones_like(prediction, dtype=torch.bool)
    assert torch.equal(
        flat_regions(prediction, valid, flat_threshold=0.3), flat_regions(256 * prediction, valid, flat_threshold=0.3)
    )


def test_holes_are_never_flat():
    prediction = torch.zeros(1, 1, 8, 8)
    prediction[..., 0, 0] = 1.0
    valid = torch.ones_like(prediction, dtype=torch.bool)
    valid[..., 4:, 4:] = False
    flat = flat_regions(prediction, valid, flat_threshold=0.5)
    assert not flat[..., 4:, 4:].any()
    assert flat[..., 4:, :4].all()
