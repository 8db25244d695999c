"""Laws of readiness: unrelated channels do not share a network, and nothing that was not learnt is believed."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from mashpix import PRESETS, denoise_stack, denoise_steps, fit_model, psnr
from mashpix.arrays.costs import expected_costs
from mashpix.arrays.denoising import denoise
from mashpix.method.predicting import Prediction
from mashpix.method.readiness import average_neighbours, replace_unready
from mashpix.method.relations import group_channels, measure_gains
from mashpix.picture import Picture
from mashpix.refine.few_blocks import fine_variance
from mashpix.settings import preset

FAST = PRESETS["fast"]
HURRIED = replace(FAST, steps=4, channels=8, depth=2, masks=2)


def spots(seed, size=64):
    """A sparse scene, 0..1: a few blurred discs on black."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    scene = np.zeros((size, size))
    for _ in range(6):
        row, column = rng.uniform(0, size, 2)
        disc = (rows - row) ** 2 + (columns - column) ** 2 < rng.uniform(3, 9) ** 2
        scene = np.maximum(scene, disc * rng.uniform(0.4, 1))
    return gaussian_filter(scene / scene.max(), 1.0)


def dyes(units, rng, scenes=None):
    """Clean and noisy channels (C, H, W) in units of their own; scenes of their own unless given."""
    scenes = [spots(seed) for seed in range(len(units))] if scenes is None else scenes
    clean = np.stack([unit * scene for unit, scene in zip(units, scenes, strict=True)])
    return clean, clean + rng.normal(0, 0.05, clean.shape) * np.array(units)[:, None, None]


def small_scene(kind, shape, rng):
    """A scene of any shape, 0..1."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    scene = np.zeros(shape)
    if kind == "texture":
        scene = gaussian_filter(rng.normal(size=shape), 1.2)
    for _ in range(max(3, scene.size // 400) if kind != "texture" else 0):
        far = (rows - rng.uniform(0, shape[0])) ** 2 + (columns - rng.uniform(0, shape[1])) ** 2
        radius = rng.uniform(2, 4)
        spot = np.exp(-far / (2 * radius**2)) if kind == "cells" else gaussian_filter((far < radius**2) * 1.0, 0.8)
        scene = np.maximum(scene, rng.uniform(0.3, 1) * spot)
    return (scene - scene.min()) / np.ptp(scene)


def picture_of(array):
    pixels = torch.from_numpy(array / array.std(axis=(1, 2), keepdims=True)).float()[None]
    return Picture(pixels, torch.ones_like(pixels) == 1, torch.ones(len(array)))


@pytest.mark.parametrize("size", [24, 64, 128])
def test_unrelated_channels_are_apart_and_copies_of_one_scene_are_together(size, rng):
    scene = spots(0, size)
    scenes = [scene, spots(1, size), scene, spots(2, size), spots(3, size)]
    _, noisy = dyes([1.0] * 5, rng, scenes)
    assert group_channels(picture_of(noisy), settings=FAST) == ((0, 2), (1,), (3,), (4,))
    published = replace(FAST, refine=False)
    assert group_channels(picture_of(noisy), settings=published) == ((0, 1, 2, 3, 4),)


def test_noise_alone_helps_nobody(rng):
    gains, pixels = measure_gains(picture_of(rng.normal(size=(3, 64, 64))))
    assert pixels == 60 * 60
    assert gains.max() < 20 / pixels


@pytest.mark.parametrize("units", [(1.0,), (1000.0, 1.0), (1.0, 1000.0, 30.0), (5.0, 1.0, 1.0, 300.0)])
def test_unrelated_channels_are_denoised_together_as_alone(units, rng):
    _, noisy = dyes(units, rng)
    together = denoise(noisy, channel_axis=0, channels="joint", settings=HURRIED, device="cpu")
    backwards = denoise(noisy[::-1], channel_axis=0, channels="joint", settings=HURRIED, device="cpu")[::-1]
    alone = np.stack([denoise(channel, settings=HURRIED, device="cpu") for channel in noisy])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(backwards, alone)


def test_the_report_says_which_channels_shared_a_network(rng):
    scene = spots(0)
    _, noisy = dyes([1.0, 20.0, 1.0], rng, [scene, spots(1), scene])
    *steps, last = denoise_steps(
        noisy, channel_axis=0, channels="joint", settings=HURRIED, device="cpu", preview_every=3
    )
    assert last.report.channel_groups == ((0, 2), (1,))
    assert "denoised apart: 0 + 2, 1" in " ".join(last.report.notes)
    previews = [step.denoised for step in steps if step.denoised is not None]
    assert {preview.shape for preview in previews} == {noisy.shape}
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions)


def test_unrelated_channels_of_a_stack_are_denoised_together_as_apart(rng):
    _, noisy = dyes([1.0, 1000.0], rng)
    stack = np.stack([noisy, noisy[:, ::-1]])
    apart = denoise_stack(stack, axes="TCYX", settings=HURRIED)
    np.testing.assert_array_equal(denoise_stack(stack, axes="TCYX", channels="joint", settings=HURRIED), apart)


@pytest.mark.parametrize("steps", [1, 5])
def test_too_few_updates_make_nothing_worse_than_the_input(steps, rng):
    scenes = {"sparse": spots(0), "texture": gaussian_filter(rng.normal(size=(64, 64)), 1.5)}
    for scene in scenes.values():
        scene = scene / np.ptp(scene)
        noisy = scene + rng.normal(0, 0.08, scene.shape)
        *_, last = denoise_steps(noisy, settings=replace(FAST, steps=steps), device="cpu")
        assert last.report.averaged_channels == (0,)
        assert "had not learnt to predict the image" in last.report.notes[0]
        assert psnr(scene, last.denoised, data_range=1) > psnr(scene, noisy, data_range=1)


def test_texture_of_a_small_image_is_not_taken_for_correlated_noise(rng):
    texture = gaussian_filter(rng.normal(size=(32, 32)), 1.2)
    texture = (texture - texture.min()) / np.ptp(texture)
    noisy = texture + rng.normal(0, 0.05, texture.shape)
    *_, last = denoise_steps(noisy, settings=replace(FAST, steps=20), device="cpu")
    assert last.report.masking_ratio == FAST.high_ratio
    assert psnr(texture, last.denoised, data_range=1) > psnr(texture, noisy, data_range=1) + 1


def test_what_is_learnt_is_kept_to_the_byte(rng):
    clean, noisy = dyes([1.0], rng)
    picture, truth = picture_of(noisy), torch.from_numpy(clean / noisy.std()).float()[None]
    for mean, replaced in ((truth, ()), (truth.roll(32, dims=3), (0,))):
        held_out = (mean - picture.pixels).square().mean(dim=(0, 2, 3))
        result = replace_unready(Prediction(mean, mean, held_out), picture, 0.2, settings=FAST)
        assert result.averaged == replaced
        assert torch.equal(result.mean, mean) == (not replaced)


def test_an_average_never_sees_its_own_pixel():
    pixels = torch.zeros(1, 1, 9, 9)
    pixels[0, 0, 4, 4] = 1e3
    average = average_neighbours(pixels, torch.ones_like(pixels) == 1, width=1.0)
    assert average[0, 0, 4, 4] < 0.1 < average[0, 0, 4, 5]


SMALL = [(8, 8), (16, 16), (32, 32), (64, 64), (12, 200), (20, 60)]
IN_BETWEEN = [("fast", (12, 12)), ("fast", (24, 24)), ("fast", (48, 48)), ("fast", (9, 100)), ("default", (16, 16))]


@pytest.mark.parametrize(
    ("name", "shape"),
    [*(("fast", shape) for shape in SMALL), *(pytest.param(*pair, marks=pytest.mark.slow) for pair in IN_BETWEEN)],
)
def test_no_small_image_is_worse_than_its_input(name, shape):
    rng = np.random.default_rng(1)
    for kind in ("cells", "discs", "texture"):
        clean = small_scene(kind, shape, rng)
        noisy = clean + rng.normal(0, 0.02, shape)
        *_, last = denoise_steps(noisy, settings=name, device="cpu", preview_every=0)
        assert psnr(clean, last.denoised, data_range=1) > psnr(clean, noisy, data_range=1) - 0.1
        assert last.report.few_blocks == (shape != (64, 64))
        assert ("few blocks" in " ".join(last.report.notes)) == last.report.few_blocks


@pytest.mark.parametrize("shape", [(12, 200), (160, 9)])
def test_narrow_strips_are_denoised(shape, rng):
    clean = np.broadcast_to(np.sin(np.indices(shape).sum(axis=0) / 30), shape)
    noisy = clean + rng.normal(0, 0.2, shape)
    result = denoise(noisy, settings=replace(FAST, steps=60, masks=8), device="cpu")
    assert np.square(result - clean).mean() < 0.3 * np.square(noisy - clean).mean()


def test_few_counts_and_images_of_holes_gain(rng):
    clean = 3 * small_scene("cells", (32, 32), rng)
    holey = small_scene("discs", (96, 96), rng)
    noisy = {
        "counts": (clean, rng.poisson(clean).astype(float)),
        "holes": (holey, holey + rng.normal(0, 0.02, (96, 96))),
    }
    noisy["holes"][1][::8, ::8] = np.nan
    for truth, image in noisy.values():
        here = np.isfinite(image)
        result = denoise(image, settings="fast", device="cpu")
        assert np.square(result - truth)[here].mean() < np.square(image - truth)[here].mean()


def test_the_limit_of_the_noise_is_that_between_neighbours(rng):
    noise = torch.from_numpy(rng.normal(0, [[[1.0]], [[5.0]]], (2, 64, 64))).float()
    usable = torch.ones(64, 64) == 1
    usable[20:40] = False
    variance = fine_variance(noise.where(usable, 1e6), usable)
    np.testing.assert_allclose(variance, [1, 25], rtol=0.15)
    slopes = torch.arange(64.0).expand(1, 64, 64)
    assert fine_variance(slopes, usable) == fine_variance(noise, ~(usable | True)).max() == 0


def test_a_model_of_unrelated_channels_says_so(rng):
    _, noisy = dyes([1.0, 1.0], rng)
    with pytest.warns(UserWarning, match="do not help to predict each other"):
        fit_model([noisy], channel_axis=0, channels="joint", settings=HURRIED, device="cpu")
    scene = spots(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, noisy = dyes([1.0, 1.0], rng, [scene, scene])
        fit_model([noisy], channel_axis=0, channels="joint", settings=HURRIED, device="cpu")


def test_channels_that_share_a_network_cost_updates_each():
    assert expected_costs(64**2, FAST, joint_channels=3)["fit"] == 3 * expected_costs(64**2, FAST)["fit"] == 180
    published = preset("scripts")
    assert expected_costs(64**2, published, joint_channels=3) == expected_costs(64**2, published)
