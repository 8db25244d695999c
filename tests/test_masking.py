"""Laws of masks and of the loss: the ratio is the fraction hidden, hidden values never reach the network."""

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from mashpix.method.masking import draw_hidden, hidden_loss, hide


@given(ratio=st.floats(0, 1), seed=st.integers(0, 2**31))
@example(ratio=0.0, seed=0)
@example(ratio=1.0, seed=0)
def test_the_ratio_is_the_fraction_hidden(ratio, seed):
    hidden = draw_hidden((1, 1, 100, 100), ratio, mask_channels="each", generator=torch.Generator().manual_seed(seed))
    deviation = (ratio * (1 - ratio) / 10_000) ** 0.5
    assert abs(hidden.double().mean().item() - ratio) <= 6 * deviation + 1e-9


def test_a_shared_mask_hides_all_channels_of_a_pixel_together(generator):
    hidden = draw_hidden((1, 3, 40, 40), 0.5, mask_channels="shared", generator=generator)
    assert (hidden == hidden[:, :1]).all()


def test_masks_for_each_channel_are_independent(generator):
    hidden = draw_hidden((1, 3, 200, 200), 0.5, mask_channels="each", generator=generator)
    assert abs((hidden[:, 0] & hidden[:, 1]).double().mean().item() - 0.25) < 0.02


def test_hidden_values_cannot_be_seen(generator):
    hidden = draw_hidden((1, 2, 16, 16), 0.5, mask_channels="each", generator=generator)
    pixels = torch.rand((1, 2, 16, 16), generator=generator)
    other = torch.where(hidden, torch.full_like(pixels, torch.nan), pixels)
    assert torch.equal(hide(pixels, hidden), hide(other, hidden))


@pytest.mark.parametrize(("loss", "expected"), [("squared", 2.5), ("absolute", 1.5)])
def test_only_counted_pixels_enter_the_loss(loss, expected):
    target = torch.tensor([[[[1.0, 2.0, 100.0]]]])
    counted = torch.tensor([[[[True, True, False]]]])
    assert hidden_loss(torch.zeros(1, 1, 1, 3), target, counted, loss=loss).item() == expected


def test_a_loss_of_nothing_is_zero():
    empty = torch.zeros(1, 1, 2, 2, dtype=torch.bool)
    assert hidden_loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2), empty, loss="squared").item() == 0
