"""Laws of channels: unrelated ones change nothing of each other, and colour is measured, never guessed from a count."""

from dataclasses import replace

import numpy as np
import pytest

from mashpix import PRESETS, UsageError, add_detail, check, denoise, denoise_stack, denoise_steps
from mashpix.arrays.colour import show_one_scene
from mashpix.simulation import correlated_noise

TINY = replace(PRESETS["fast"], steps=6, channels=6, depth=2, masks=2)
UNITS = np.array([1000.0, 100.0, 10.0])


def spots(rng, side=64):
    """Sparse spots, 0..1, as of one fluorescent dye."""
    rows, columns = np.mgrid[:side, :side]
    scene = np.zeros((side, side))
    for row, column, size in zip(*rng.uniform(0, side, (2, 12)), rng.uniform(1.5, 5, 12), strict=True):
        scene += np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * size**2))
    return scene / scene.max()


def dyes(rng, channels=3, side=64):
    """Unrelated channels (C, H, W) of range 1 with noise of 5 % of it."""
    return np.stack([spots(rng, side) for _ in range(channels)]) + rng.normal(0, 0.05, (channels, side, side))


def colours(rng, side=128):
    """One scene (3, H, W) in three colours, 0..200."""
    scene = np.kron(rng.uniform(0, 200, (side // 8, side // 8)), np.ones((8, 8)))
    return scene * np.array([1.0, 0.7, 0.4])[:, None, None]


def last_step(image, **options):
    *_, last = denoise_steps(image, channel_axis=0, settings=TINY, device="cpu", **options)
    return last


@pytest.mark.parametrize("units", [np.ones(2), np.ones(3), UNITS, np.ones(5)])
def test_any_number_of_unrelated_channels_is_denoised_as_if_alone(units, rng):
    image = dyes(rng, len(units), side=32) * units[:, None, None]
    last = last_step(image, preview_every=2)
    alone = [denoise(channel, settings=TINY, device="cpu") for channel in image]
    np.testing.assert_array_equal(last.denoised, alone)
    assert last.report.channels == "independent"
    assert last.spread.shape == image.shape


def test_the_report_says_why_where_nobody_else_has_decided(rng):
    image = dyes(rng, side=32)
    found = [last_step(image[:count], channels=said).report.notes for count, said in ((3, "auto"), (2, "auto"))]
    assert found[0][-1] == "channels: independent (three channels, but they do not show one scene in one unit)"
    assert found[1][-1] == "channels: independent (2 of them, and RGB has three)"
    notes = last_step(colours(rng) + rng.normal(0, 5, (3, 128, 128))).report.notes
    assert notes[-1] == "channels: rgb (three channels that show one scene in one unit)"
    said = last_step(image, channels="independent").report.notes
    assert not any(note.startswith("channels:") for note in (*said, *last_step(image[:1]).report.notes))


def test_the_order_of_unrelated_channels_changes_nothing(rng):
    image = dyes(rng, side=32) * UNITS[:, None, None]
    order = [2, 0, 1]
    expected = denoise(image, channel_axis=0, settings=TINY, device="cpu")[order]
    np.testing.assert_array_equal(denoise(image[order], channel_axis=0, settings=TINY, device="cpu"), expected)


def test_the_unit_of_a_channel_changes_nothing_of_the_others(rng):
    image = dyes(rng)
    scaled = image * np.array([1.0, 0.001, 1.0])[:, None, None]
    one, other = (denoise(array, channel_axis=0, settings=TINY, device="cpu") for array in (image, scaled))
    np.testing.assert_array_equal(one[[0, 2]], other[[0, 2]])
    np.testing.assert_allclose(one[1] * 0.001, other[1], atol=1e-6)


def test_blank_channels_come_back(rng):
    image = dyes(rng)
    image[0], image[2] = 7.0, np.nan
    last = last_step(image)
    np.testing.assert_array_equal(last.denoised[[0, 2]], image[[0, 2]])
    np.testing.assert_array_equal(last.denoised[1], denoise(image[1], settings=TINY, device="cpu"))
    assert last.report.notes[:2] == (
        "4096 of 12288 values hold no data: left out and kept",
        "2 blank channels left as they were",
    )
    why = "channels: independent (three channels, but they do not show one scene in one unit)"
    assert why in last.report.notes


def test_joint_channels_do_not_depend_on_units_and_are_not_colour(rng):
    image = dyes(rng).astype(np.float64)
    one = last_step(image, channels="joint")
    other = last_step(image * UNITS[:, None, None], channels="joint")
    assert one.report.channels == "joint"
    np.testing.assert_allclose(one.denoised * UNITS[:, None, None], other.denoised, rtol=0, atol=2e-3 * 1000)
    np.testing.assert_allclose(one.denoised[2] * 10, other.denoised[2], rtol=0, atol=2e-3 * 10)


def test_one_scene_in_noise_is_rgb(rng):
    image = colours(rng) + rng.normal(0, 50, (3, 128, 128))
    last = last_step(image)
    assert last.report.channels == "rgb"
    np.testing.assert_array_equal(last.denoised, last_step(image, channels="rgb").denoised)


@pytest.mark.parametrize("side", [128, 512])
def test_one_scene_in_correlated_noise_is_rgb(side, rng):
    noise = correlated_noise((side, side, 3), sigma=40, beta=1.0, rng=rng)
    assert show_one_scene(colours(rng, side) + np.moveaxis(noise, -1, 0))


def invert(image):
    return image * [[[1]], [[-1]], [[1]]]


def shuffle(image):
    rng = np.random.default_rng(0)
    return np.stack([image[0], rng.permutation(image[1].ravel()).reshape(image[1].shape), image[2]])


CHANGES = {
    "inverted": invert,
    "shuffled": shuffle,
    "flipped": lambda image: np.stack([image[0], image[1, ::-1], image[2]]),
    "other units": lambda image: image * (UNITS / 10)[:, None, None],
}


@pytest.mark.parametrize("change", CHANGES)
def test_channels_that_do_not_show_one_scene_in_one_unit_are_not_rgb(change, rng):
    image = colours(rng) + rng.normal(0, 10, (3, 128, 128))
    assert show_one_scene(image)
    assert not show_one_scene(CHANGES[change](image))


@pytest.mark.parametrize("image", [np.zeros((3, 9, 9)), np.full((3, 9, 9), np.nan), np.zeros((2, 9, 9))])
def test_nothing_to_measure_is_not_rgb(image):
    assert not show_one_scene(image)


def test_ramps_and_noise_have_no_scene_in_common(rng):
    for _ in range(20):
        assert not show_one_scene(rng.normal(0, 1, (3, 64, 64)))
        assert not show_one_scene(dyes(rng))


def test_holes_take_no_part(rng):
    image = colours(rng) + rng.normal(0, 20, (3, 128, 128))
    image[1, 30:40] = np.nan
    image[0, 50, 50] = np.inf
    assert show_one_scene(image)


@pytest.mark.parametrize(("axis", "channels"), [(0, "rgb"), (0, "colour")])
def test_what_channels_cannot_be_is_refused(axis, channels):
    with pytest.raises(UsageError, match="channels"):
        denoise(np.zeros((4, 9, 9)), channel_axis=axis, channels=channels)
    with pytest.raises(UsageError, match="channels"):
        denoise_stack(np.zeros((4, 9, 9)), axes="CYX", channels=channels)


@pytest.mark.parametrize("networks", ["shared", "each"])
def test_samples_of_a_stack_are_independent_if_the_caller_says_so(networks, rng):
    stack = np.stack([dyes(rng, 3, side=32) for _ in range(2)])
    how = {"settings": TINY, "device": "cpu", "networks": networks}
    samples = denoise_stack(np.moveaxis(stack, 1, -1), axes="TYXS", channels="independent", **how)
    np.testing.assert_array_equal(np.moveaxis(samples, -1, 1), denoise_stack(stack, axes="TCYX", **how))
    assert (samples != denoise_stack(np.moveaxis(stack, 1, -1), axes="TYXS", **how)).any()


def test_the_verdict_on_independent_channels_is_that_on_the_worst_and_names_it(rng):
    image = np.kron(rng.uniform(0, 200, (3, 16, 16)), np.ones((8, 8)))
    noisy = image + rng.normal(0, 10, image.shape)
    assert check(noisy, image, channel_axis=0).verdict == "good"
    image[1] += 5
    verdict = check(noisy, image, channel_axis=0)
    assert verdict.verdict == "signal lost"
    assert verdict.reason == f"channel 1: {check(noisy[1], image[1]).reason}"


def test_detail_of_independent_channels_is_that_of_each_alone(rng):
    image = dyes(rng)
    blurred = np.stack([spots(rng) for _ in range(3)])
    both = add_detail(image, blurred, detail=1.0, channel_axis=0)
    np.testing.assert_array_equal(both, [add_detail(*pair, detail=1.0) for pair in zip(image, blurred, strict=True)])
