"""Laws of the choice of the masking ratio: what is trained, what is measured, what follows."""

from dataclasses import replace

import pytest
import torch

from mashpix import PRESETS
from mashpix.correlation import choose_masking, choose_ratio, correlation_gap, noise_level
from mashpix.images import Picture


def choose(picture, *, settings):
    stages = []
    working = choose_masking(picture, settings=settings, generator=torch.Generator().manual_seed(0))
    while True:
        try:
            stages.append(next(working).stage)
        except StopIteration as stop:
            return stages, stop.value


@pytest.fixture
def picture(generator):
    pixels = torch.rand((1, 2, 32, 32), generator=generator)
    return Picture(pixels, torch.ones_like(pixels, dtype=torch.bool), torch.tensor([255.0, 255.0]))


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
    assert masking == (ratio, shuffle, None, None)


@pytest.mark.parametrize(("shuffle", "expected"), [("always", True), ("never", False)])
def test_shuffling_can_be_asked_for_and_refused(picture, quick, shuffle, expected):
    for ratio in (0.1, 0.9):
        settings = replace(quick, masking_ratio=ratio, shuffle=shuffle)
        assert choose(picture, settings=settings)[1].shuffle is expected


def test_published_thresholds_are_in_grey_levels_of_any_range():
    assert correlation_gap(10 / 255, 12 / 255, gap_unit="grey-levels") == pytest.approx(2)
    assert correlation_gap(0.0, 0.5, gap_unit="relative") == 0


@pytest.mark.parametrize(
    ("preset", "ratios", "gaps"), [("scripts", (0.1, 0.5, 0.9), (1.0, 2.0)), ("paper", (0.2, 0.5, 0.8), (1.5, 2.5))]
)
def test_regimes_are_the_published_ones(preset, ratios, gaps):
    settings = PRESETS[preset]
    chosen = [choose_ratio(gap, settings=settings) for gap in (0.0, gaps[0], gaps[0] + 0.01, gaps[1], gaps[1] + 0.01)]
    low, medium, high = ratios
    assert chosen == [(low, False), (low, False), (medium, False), (medium, False), (high, True)]


def test_noise_level_leaves_holes_out(generator):
    residual = torch.randn((1, 1, 200, 200), generator=generator) * 3 + 1
    valid = torch.rand((1, 1, 200, 200), generator=generator) < 0.7
    for noise_estimate, expected in (("mean", 3.0), ("one-pass", 10**0.5)):
        levels = {
            noise_level(residual.masked_fill(~valid, fill), valid, noise_estimate=noise_estimate) for fill in (0.0, 1e9)
        }
        assert len(levels) == 1
        assert levels.pop() == pytest.approx(expected, rel=0.02)
