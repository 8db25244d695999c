"""Counts of few photons: the means stay, and what whole numbers cannot hold is said."""

import numpy as np
import pytest
import tifffile

import mashpix
from commands import run_here
from mashpix.arrays.rounding import measure_mean_loss

QUICK = mashpix.preset("fast").replace(steps=12, masks=2, channels=8, depth=2)
EVERY = {"settings": QUICK, "device": "cpu"}


@pytest.fixture
def counts(rng):
    """A disc of 0.35 photons per pixel on 0.03, in whole numbers."""
    rows, columns = np.indices((64, 64)) - 31.5
    return rng.poisson(np.where(np.hypot(rows, columns) < 16, 0.35, 0.03)).astype(np.uint8)


def test_floats_keep_the_mean_of_few_photons_within_its_standard_error(counts):
    denoised = mashpix.denoise(counts.astype(np.float32), **EVERY).astype(float)
    assert abs(denoised.sum() - counts.sum()) < counts.sum() ** 0.5
    loss = measure_mean_loss(counts[None], denoised[None])
    assert loss.error < 1


def test_colours_of_few_photons_are_not_fitted_by_their_median(rng):
    counts = rng.poisson((0.3, 0.2, 0.1), (64, 64, 3)).astype(np.float32)
    denoised = mashpix.denoise(counts, channel_axis=-1, channels="rgb", **EVERY)
    assert denoised.mean((0, 1)) == pytest.approx(counts.mean((0, 1)), rel=0.1)


def test_rounding_that_loses_the_image_is_said(counts):
    whole = mashpix.denoise_and_check(counts, **EVERY)
    assert whole.report.rounding_loss > 0.2
    assert "`dtype` float32" in whole.report.notes[-1]
    assert whole.verdict.verdict != "good"
    lost = mashpix.check(counts, np.zeros_like(counts))
    assert lost.verdict == "signal lost"
    assert lost.measures["mean_loss"] > 1
    exact = mashpix.denoise_and_check(counts.astype(np.float32), **EVERY)
    assert exact.report.rounding_loss is None
    assert exact.verdict.verdict == "good"


def test_the_planes_that_rounding_loses_are_counted(counts):
    *_, last = mashpix.denoise_stack_steps(np.stack([counts, 20 * counts]), axes="TYX", networks="each", **EVERY)
    assert "in 1 of 2 planes" in last.report.notes[-1]


def test_the_command_names_the_option_that_helps(counts, tmp_path):
    tifffile.imwrite(tmp_path / "counts.tif", counts)
    flags = ["--preset", "fast", "--steps", "5", "--channels", "8", "--device", "cpu"]
    run = run_here("denoise", tmp_path / "counts.tif", "-o", tmp_path / "out.tif", *flags)
    assert "--dtype float32 keeps them" in run.stderr


def test_rounding_an_ordinary_image_is_not_worth_a_remark(rng):
    levels = np.repeat(np.linspace(10, 60, 64), 64).reshape(64, 64).T
    for sigma in (0.5, 0.9, 5):
        noisy = np.rint(levels + rng.normal(0, sigma, levels.shape)).astype(np.uint8)
        assert not measure_mean_loss(noisy[None], np.rint(levels)[None]).matters
