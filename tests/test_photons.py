"""Counts of few photons: the means stay, and what whole numbers cannot hold is said."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from scipy.ndimage import gaussian_filter

import mashpix
from commands import run_here
from mashpix.arrays.rounding import measure_mean_loss
from mashpix.refine.measuring import measure_noises
from mashpix.refine.refining import channels_of
from mashpix.refine.tuning import RefineSettings
from mashpix.steps import drain
from pictures import picture_of

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


def test_colours_of_few_photons_are_no_processed_photo(rng):
    """R17 to R19 are for photos of cameras: without them, the same comes out."""
    counts = rng.poisson(np.linspace(0.3, 1.2, 96)[:, None] * np.ones((3, 96, 96))).astype(np.float32)
    picture = picture_of(counts)
    y, p = channels_of(picture, torch.from_numpy(gaussian_filter(counts, (0, 3, 3)))[None])
    on = RefineSettings(blind_noise=False)
    off = replace(on, max_cleaned_noise=1e9, sensor_factor=1.0, other_factor=1.0, max_across=1.0)
    both = (drain(measure_noises(picture, y, p, settings=QUICK, tuning=tuning)) for tuning in (on, off))
    assert all(torch.equal(*psds) for psds in zip(*([noise.psd for noise in noises] for noises in both), strict=True))


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
