"""Laws of measured noise: it is what was put in, at every frequency and brightness; missed texture does not count."""

import numpy as np
import pytest
import torch

from mashpix.refine.reconciling import measure_again
from mashpix.refine.residual_noise import CLIPPED_SQUARE, MEDIAN_SQUARE, OUTLIER, measure_noise
from mashpix.refine.tuning import TUNED
from mashpix.refine.variance_model import CONSTANT
from mashpix.simulation import correlated_noise

SIDE = 16
HOW = {"usable": torch.ones(256, 256, dtype=torch.bool), "side": SIDE, "is_rgb": False}


def noise_of(beta):
    return torch.from_numpy(correlated_noise((256, 256), sigma=2, beta=beta, rng=np.random.default_rng(0)))[None]


def smooth():
    return torch.linspace(0, 5, 256).expand(1, 256, 256)


def test_the_constants_of_the_clipped_mean_follow_from_the_normal_distribution():
    from scipy.stats import chi2, norm

    inside = 2 * norm.cdf(OUTLIER) - 1
    assert pytest.approx(1 - 2 * OUTLIER * norm.pdf(OUTLIER) / inside, abs=5e-5) == CLIPPED_SQUARE
    assert pytest.approx(chi2(1).median(), abs=5e-5) == MEDIAN_SQUARE


@pytest.mark.parametrize("beta", [0, 0.5, 1])
def test_the_spectrum_is_that_of_the_noise(beta):
    measured = measure_noise(smooth() + noise_of(beta), smooth(), **HOW)
    deviation = measured.psd[0].sqrt()
    assert float(deviation.square().mean().sqrt()) == pytest.approx(2, rel=0.1)
    ratio = float(deviation[1:20].mean() / deviation[-20:].mean())  # slow coefficients over fast ones
    assert ratio == pytest.approx(1, abs=0.1) if beta == 0 else ratio > 1.5


def test_noise_that_grows_with_the_brightness_is_followed():
    rows = torch.linspace(0.05, 1, 256)[None, :, None].expand(1, 256, 256)
    noise = 0.1 * torch.randn((1, 256, 256), generator=torch.Generator().manual_seed(0)) * rows.sqrt()
    measured = measure_noise(rows + noise, rows, **HOW)
    dark, bright = measured.variance(torch.tensor([0.1, 0.9])).mean(dim=(0, 1)).tolist()
    assert bright / dark == pytest.approx(9, rel=0.35)
    assert bright == pytest.approx(0.009, rel=0.35)  # seen through the calmest blocks


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
    noise = torch.randn((3, 256, 256), generator=torch.Generator().manual_seed(0)) * growth
    noise[1:] *= colour
    noise[0] += 1.5 * bright * noise_of(0)[0].flip(0) / 2
    picture = torch.stack([40 * bright.expand(256, 256), *torch.zeros(2, 256, 256)])
    measured = measure_noise(picture + noise, picture, **HOW | {"is_rgb": True})
    assert (measured.variance_model == CONSTANT) is constant


def test_a_picture_without_a_whole_block_has_no_noise():
    scattered = HOW | {"usable": torch.rand((256, 256), generator=torch.Generator().manual_seed(0)) > 0.1}
    assert measure_noise(noise_of(0), smooth(), **scattered) is None
    assert measure_again(noise_of(0), smooth(), smooth(), **scattered) is None


def test_reconciled_noise_lies_between_both_views():
    """A prediction that misses a ripple sees too much noise; one that holds the ripple does not."""
    ripple = 3 * torch.sin(torch.arange(256) * 0.8).expand(1, 256, 256)
    noise = noise_of(0)
    flat = torch.zeros_like(noise)
    above, below = (measure_noise(ripple + noise, seen, **HOW) for seen in (flat, ripple))
    reconciled, _ = measure_again(ripple + noise, flat, ripple, **HOW)
    assert below.psd.mean() < reconciled.psd.mean() < above.psd.mean()


def test_two_blocks_with_none_between_the_quantiles_have_no_noise():
    observed, predicted = torch.randn((2, 3, 20, 16), generator=torch.Generator().manual_seed(0))
    how = HOW | {"usable": torch.ones(20, 16, dtype=torch.bool)}
    assert measure_noise(observed, predicted, **how, textured=True) is None
    assert measure_again(observed, predicted, predicted, **how) is None


def grown_by_texture(strength):
    """Colour channels of a picture with flat and rough blocks in turn; noise has `strength` more variance in these."""
    rough = (torch.arange(256) // 32 % 2).float().expand(3, 256, 256)
    texture = rough * torch.sin(torch.arange(256) * 0.8)
    noise = torch.randn((3, 256, 256), generator=torch.Generator().manual_seed(0))
    return texture + noise * (1 + strength * rough).sqrt(), texture


@pytest.mark.parametrize("strength", [0, 1])
def test_noise_has_a_floor_where_flat_blocks_understate_it(strength):
    observed, texture = grown_by_texture(strength)
    reconciled, _ = measure_again(observed, texture, texture, **HOW)
    plain = measure_noise(observed, texture, **HOW)
    assert float(reconciled.psd.mean() / plain.psd.mean()) == pytest.approx(1.6 if strength else 1, rel=0.05)


def test_what_a_prediction_missed_by_far_is_no_noise():
    picture = smooth() + 20 * noise_of(0).flip(1)
    observed = picture + noise_of(0)
    reconciled, missed = measure_again(observed, smooth(), picture, **HOW)
    noise = measure_noise(observed, picture, **HOW)
    assert float(missed.psd.mean() / noise.psd.mean()) == pytest.approx(TUNED.max_excess, rel=0.05)
    assert float(reconciled.psd.mean() / noise.psd.mean()) == pytest.approx(TUNED.max_excess**0.5, rel=0.05)
    assert missed.variance_model == reconciled.variance_model == noise.variance_model
