"""Laws of measured noise: it is what was put in, at every frequency and brightness; missed texture does not count."""

import numpy as np
import pytest
import torch

from mashpix.refine.residual_noise import CONSTANT, MIDDLE, MOST_MISSED, measure_noise, settle
from mashpix.simulation import correlated_noise

SIDE = 16
EVERYWHERE = torch.ones(256, 256, dtype=torch.bool)


def noise_of(beta):
    return torch.from_numpy(correlated_noise((256, 256), sigma=2, beta=beta, rng=np.random.default_rng(0)))[None]


def smooth():
    return torch.linspace(0, 5, 256).expand(1, 256, 256)


@pytest.mark.parametrize("beta", [0, 0.5, 1])
def test_the_spectrum_is_that_of_the_noise(beta):
    measured = measure_noise(smooth() + noise_of(beta), smooth(), EVERYWHERE, side=SIDE, is_rgb=False)
    deviation = measured.spectrum[0].sqrt()
    assert float(deviation.square().mean().sqrt()) == pytest.approx(2, rel=0.1)
    ratio = float(deviation[1:20].mean() / deviation[-20:].mean())  # slow coefficients over fast ones
    assert ratio == pytest.approx(1, abs=0.1) if beta == 0 else ratio > 1.5


def test_noise_that_grows_with_the_brightness_is_followed():
    rows = torch.linspace(0.05, 1, 256)[None, :, None].expand(1, 256, 256)
    noise = 0.1 * torch.randn((1, 256, 256), generator=torch.Generator().manual_seed(0)) * rows.sqrt()
    measured = measure_noise(rows + noise, rows, EVERYWHERE, side=SIDE, is_rgb=False)
    dark, bright = measured.variance(torch.tensor([0.1, 0.9])).mean(dim=(0, 1)).tolist()
    assert bright / dark == pytest.approx(9, rel=0.35)
    assert bright == pytest.approx(0.009, rel=0.35)  # seen through the calmest blocks


def channels_of_noise(deviations):
    noise = torch.randn((3, 256, 256), generator=torch.Generator().manual_seed(0))
    return noise * torch.tensor(deviations)[:, None, None]


@pytest.mark.parametrize(
    ("colour", "follows", "constant"),
    [
        (1.0, False, True),  # texture that was missed in bright places, and noise that is the same everywhere
        (1.0, True, False),
        (0.0, False, False),  # a grey picture kept as RGB: its colours tell nothing
    ],
)
def test_texture_that_grows_with_the_brightness_is_told_from_noise_by_its_colour(colour, follows, constant):
    bright = torch.linspace(0.05, 1, 256)[:, None]
    growth = bright.sqrt() if follows else torch.ones_like(bright)
    noise = channels_of_noise([1.0, colour, colour]) * growth
    noise[0] += 1.5 * bright * noise_of(0)[0].flip(0) / 2
    picture = torch.stack([40 * bright.expand(256, 256), *torch.zeros(2, 256, 256)])
    assert (measure_noise(picture + noise, picture, EVERYWHERE, side=SIDE, is_rgb=True).law == CONSTANT) is constant


def test_a_picture_without_a_whole_block_has_no_noise():
    scattered = torch.rand((256, 256), generator=torch.Generator().manual_seed(0)) > 0.1
    assert measure_noise(noise_of(0), smooth(), scattered, side=SIDE, is_rgb=False) is None
    assert settle(noise_of(0), smooth(), smooth(), scattered, side=SIDE, is_rgb=False) is None


def test_settled_noise_lies_between_both_views():
    """A prediction that misses a ripple sees too much noise; one that holds the ripple does not."""
    ripple = 3 * torch.sin(torch.arange(256) * 0.8).expand(1, 256, 256)
    noise = noise_of(0)
    above, below, settled = (
        spectrum.mean()
        for spectrum in (
            measure_noise(ripple + noise, torch.zeros_like(noise), EVERYWHERE, side=SIDE, is_rgb=False).spectrum,
            measure_noise(ripple + noise, ripple, EVERYWHERE, side=SIDE, is_rgb=False).spectrum,
            settle(ripple + noise, torch.zeros_like(noise), ripple, EVERYWHERE, side=SIDE, is_rgb=False)[0].spectrum,
        )
    )
    assert below < settled < above


def test_two_blocks_with_none_between_the_quantiles_have_no_noise():
    observed, predicted = torch.randn((2, 3, 20, 16), generator=torch.Generator().manual_seed(0))
    usable = torch.ones(20, 16, dtype=torch.bool)
    assert measure_noise(observed, predicted, usable, side=SIDE, is_rgb=False, among=MIDDLE) is None
    assert settle(observed, predicted, predicted, usable, side=SIDE, is_rgb=False) is None


def grown_by_texture(strength):
    """Colour channels of a picture with flat and rough blocks in turn; noise has `strength` more variance in these."""
    rough = (torch.arange(256) // 32 % 2).float().expand(3, 256, 256)
    texture = rough * torch.sin(torch.arange(256) * 0.8)
    noise = torch.randn((3, 256, 256), generator=torch.Generator().manual_seed(0))
    return texture + noise * (1 + strength * rough).sqrt(), texture


@pytest.mark.parametrize("strength", [0, 1])
def test_noise_has_a_floor_where_flat_blocks_understate_it(strength):
    observed, texture = grown_by_texture(strength)
    settled, plain = (
        noise.spectrum.mean()
        for noise in (
            settle(observed, texture, texture, EVERYWHERE, side=SIDE, is_rgb=False)[0],
            measure_noise(observed, texture, EVERYWHERE, side=SIDE, is_rgb=False),
        )
    )
    assert float(settled / plain) == pytest.approx(1.4 if strength else 1, rel=0.05)


def test_what_a_prediction_missed_by_far_is_no_noise():
    picture = smooth() + 20 * noise_of(0).flip(1)
    observed = picture + noise_of(0)
    settled, missed = settle(observed, smooth(), picture, EVERYWHERE, side=SIDE, is_rgb=False)
    noise = measure_noise(observed, picture, EVERYWHERE, side=SIDE, is_rgb=False)
    assert float(missed.spectrum.mean() / noise.spectrum.mean()) == pytest.approx(MOST_MISSED, rel=0.05)
    assert float(settled.spectrum.mean() / noise.spectrum.mean()) == pytest.approx(MOST_MISSED**0.5, rel=0.05)
    assert missed.law == settled.law == noise.law
