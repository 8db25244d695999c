"""Laws of the choice of the masking ratio: what is trained, what is measured, what follows."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mashpix import PRESETS
from mashpix.method.masking_ratio import (
    choose_masking,
    choose_ratio,
    correlation_gap,
    neighbour_correlation,
    probe_residual_level,
)
from mashpix.simulation import correlated_noise
from mashpix.steps import drain, relay
from pictures import picture_of


def choose(picture, *, settings):
    stages = []
    working = choose_masking(picture, settings=settings, generator=torch.Generator().manual_seed(0))
    masking = drain(relay(working, lambda step: stages.append(step.stage)))
    return stages, masking


@pytest.fixture
def picture(generator):
    return picture_of(torch.rand((1, 2, 32, 32), generator=generator), unit=255.0)


def test_both_probes_are_trained_and_measured(picture, quick):
    stages, masking = choose(picture, settings=replace(quick, masking_ratio=None))
    assert list(dict.fromkeys(stages)) == ["probe 0.2", "probe 0.2: noise level", "probe 0.8", "probe 0.8: noise level"]
    low, high = masking.noise_levels
    assert masking.gap == pytest.approx(abs(high - low), rel=1e-4)  # 255 units are 255 grey levels
    assert masking.masking_ratio in (0.1, 0.5, 0.9)


def test_levels_are_in_units_of_the_picture_and_the_gap_is_not(picture, quick):
    settings = replace(quick, masking_ratio=None)
    _, one = choose(picture, settings=settings)
    _, other = choose(replace(picture, unit=2 * picture.unit), settings=settings)
    assert other.noise_levels == pytest.approx([2 * level for level in one.noise_levels])
    assert other.gap == one.gap


@pytest.mark.parametrize(("ratio", "shuffle"), [(0.3, False), (0.9, True), (1.0, True)])
def test_a_named_ratio_is_taken_without_training(picture, quick, ratio, shuffle):
    stages, masking = choose(picture, settings=replace(quick, masking_ratio=ratio))
    assert stages == []
    assert masking[:2] == (ratio, shuffle)
    assert masking.noise_levels is None
    assert masking.gap is None


@pytest.mark.parametrize(("shuffle", "expected"), [("always", True), ("never", False)])
def test_shuffling_can_be_asked_for_and_refused(picture, quick, shuffle, expected):
    for ratio in (0.1, 0.9):
        settings = replace(quick, masking_ratio=ratio, shuffle=shuffle)
        assert choose(picture, settings=settings)[1].shuffle is expected


def test_published_thresholds_are_in_grey_levels_of_any_range():
    assert correlation_gap(10 / 255, 12 / 255) == correlation_gap(12 / 255, 10 / 255) == pytest.approx(2)


@pytest.mark.parametrize(
    ("preset", "ratios", "gaps"), [("scripts", (0.1, 0.5, 0.9), (1.0, 2.0)), ("paper", (0.2, 0.5, 0.8), (1.5, 2.5))]
)
def test_regimes_are_the_published_ones(preset, ratios, gaps):
    settings = PRESETS[preset]
    thresholds = settings.low_gap, settings.high_gap
    chosen = [
        choose_ratio(gap, thresholds, settings=settings)
        for gap in (0.0, gaps[0], gaps[0] + 0.01, gaps[1], gaps[1] + 0.01)
    ]
    low, medium, high = ratios
    assert chosen == [(low, False), (low, False), (medium, False), (medium, False), (high, True)]


def test_noise_level_leaves_holes_out(generator):
    residual = torch.randn((1, 1, 200, 200), generator=generator) * 3 + 1
    valid = torch.rand((1, 1, 200, 200), generator=generator) < 0.7
    for noise_estimate, expected in (("mean", 3.0), ("one-pass", 10**0.5)):
        levels = {
            probe_residual_level(residual.masked_fill(~valid, fill), valid, noise_estimate=noise_estimate)
            for fill in (0.0, 1e9)
        }
        assert len(levels) == 1
        assert levels.pop() == pytest.approx(expected, rel=0.02)


def test_the_correlation_chooses_without_training(picture, quick):
    stages, masking = choose(picture, settings=replace(quick, masking_ratio=None, choose_by="correlation"))
    assert stages == []
    assert masking.masking_ratio == 0.1  # the picture is white noise
    assert masking.gap is None


def scene_with_noise(beta, *, side=192):
    """Shapes with edges and texture, of which a good part is flat, in noise of Eq. 2."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    scene = 0.3 + 0.3 * (rows + columns > 1) + 0.2 * (columns > 0.7) * np.sin(200 * rows * columns)
    noise = correlated_noise((side, side, 2), sigma=0.1, beta=beta, rng=np.random.default_rng(1))
    return picture_of(scene + noise.transpose(2, 0, 1))


@pytest.mark.parametrize(("beta", "expected"), [(0, 0.0), (0.5, 0.28), (1, 0.56)])
def test_the_correlation_of_neighbours_is_measured_through_structure(beta, expected):
    assert neighbour_correlation(scene_with_noise(beta)) == pytest.approx(expected, abs=0.05)


def test_the_measured_correlation_does_not_depend_on_the_scale_or_on_holes():
    picture = scene_with_noise(1)
    reference = neighbour_correlation(picture)
    assert neighbour_correlation(replace(picture, pixels=3 * picture.pixels - 1)) == pytest.approx(reference, abs=1e-4)
    valid = picture.valid.clone()
    valid[..., :40, :] = False
    holed = replace(picture, pixels=picture.pixels.masked_fill(~valid, 1e6), valid=valid)
    assert neighbour_correlation(holed) == pytest.approx(reference, abs=0.05)


def test_without_a_usable_block_there_is_no_correlation(generator):
    for pixels in (torch.rand((1, 1, 12, 100), generator=generator), torch.zeros(1, 1, 64, 64)):
        assert neighbour_correlation(picture_of(pixels)) is None
