"""Laws of readiness: unrelated channels do not share a network, and nothing that was not learnt is believed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from mashpix import PRESETS, denoise_stack, denoise_steps, psnr
from mashpix.arrays.denoising import denoise
from mashpix.method.predicting import Prediction
from mashpix.method.readiness import average_neighbours, replace_unready
from mashpix.method.relations import group_channels, measure_gains
from mashpix.picture import Picture

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
