"""Laws of the network: the published size, any channels, a known reach."""

import pytest
import torch

from mashpix.method.network import make_network


def test_it_has_the_published_number_of_parameters(generator):
    network = make_network(3, channels=48, depth=5, generator=generator)
    assert sum(weights.numel() for weights in network.parameters()) == 991_203


@pytest.mark.parametrize("picture_channels", [1, 2, 3, 8])
@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_any_channels_and_depth_keep_the_size(picture_channels, depth, generator):
    network = make_network(picture_channels, channels=6, depth=depth, generator=generator)
    pixels = torch.rand((1, picture_channels, 32, 3 * 2**depth), generator=generator)
    assert network(pixels).shape == (1, picture_channels, 32, 3 * 2**depth)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_nothing_beyond_the_context_reaches_a_pixel(depth, generator):
    network = make_network(1, channels=4, depth=depth, generator=generator)
    side = 4 * network.context
    pixels = torch.rand((1, 1, network.multiple, side), generator=generator).requires_grad_()
    for place in range(side // 2, side // 2 + network.multiple):
        (gradient,) = torch.autograd.grad(network(pixels)[0, 0, :, place].sum(), pixels)
        reached = gradient[0, 0].abs().sum(dim=0).nonzero().flatten()
        assert place - reached.min() <= network.context
        assert reached.max() - place <= network.context


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("rows", [(0, 40), (13, 14), (19, 53), (47, 64)])
@torch.no_grad()
def test_a_part_is_predicted_as_in_the_whole(depth, rows, generator):
    network = make_network(3, channels=6, depth=depth, generator=generator)
    pixels = torch.rand((1, 3, 64, 96), generator=generator)
    inside = slice(*rows), slice(30, 96)
    torch.testing.assert_close(network(pixels, inside), network(pixels)[:, :, *inside], rtol=0, atol=1e-6)
