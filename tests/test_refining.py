"""Laws of refining: tiles make no difference, noise is measured as it is, lost detail comes back, noise does not."""

import re
import weakref
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from mashpix import PRESETS
from mashpix.method.mash import mash
from mashpix.refine import gaussian, tuning
from mashpix.refine.measuring import measure_noises
from mashpix.refine.refining import channels_of, refine
from mashpix.refine.tuning import TUNED, RefineSettings
from mashpix.simulation import correlated_noise
from mashpix.steps import drain
from pictures import picture_of

SETTINGS = PRESETS["default"]


def scene(channels=3, side=96):
    """A flat upper half, and stripes with an edge in the lower."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    plane = 0.4 + 0.1 * rows + (rows > 0.5) * (0.2 * np.sin(60 * columns) + 0.2 * (columns > 0.5))
    return np.stack([plane * (1 - 0.2 * channel) for channel in range(channels)])


def noisy_scene(beta, *, channels=3, sigma=0.08):
    noise = correlated_noise((96, 96, channels), sigma=sigma, beta=beta, rng=np.random.default_rng(0))
    return scene(channels) + noise.transpose(2, 0, 1)


def blurred(pixels, radius=4):
    """What a prediction without fine detail looks like."""
    from scipy.ndimage import uniform_filter

    return torch.from_numpy(np.stack([uniform_filter(plane, radius) for plane in pixels]).astype(np.float32))[None]


def measured(picture, prediction, *, settings=SETTINGS, tuning=TUNED):
    y, p = channels_of(picture, prediction, tuning=tuning)
    return drain(measure_noises(picture, y, p, settings=settings, tuning=tuning))


def refined(picture, prediction, *, settings=SETTINGS, noises=None, tuning=TUNED):
    noises = noises or measured(picture, prediction, settings=settings, tuning=tuning)
    y, p = channels_of(picture, prediction, tuning=tuning)
    return drain(refine(picture, y, p, noises=noises, settings=settings, tuning=tuning))


def error(result, clean):
    return float(np.sqrt(np.mean((result[0].numpy() - clean) ** 2)))


def with_hole(picture, radius=12):
    """The picture without a round part, and the distance of each pixel from its middle."""
    rows, columns = np.mgrid[0:96, 0:96]
    distance = torch.from_numpy(np.hypot(rows - 60, columns - 50))
    return replace(picture, valid=picture.valid & (distance > radius)), distance


@pytest.mark.parametrize(("beta", "most", "limit"), [(0.8, 1.8, 4.5e-4), (0.5, 2.0, 3.2e-4), (0, 1.8, 2.3e-4)])
def test_the_rim_of_a_hole_is_nearly_as_clean_as_without_it(beta, most, limit):
    """The squared error there, relative and absolute: what a hole is filled with is in the patches beside it."""
    picture, clean = picture_of(noisy_scene(beta)), scene()
    holed, distance = with_hole(picture)
    rim = (distance > 12) & (distance <= 15)
    wrong = blurred(clean) + 0.3
    results = [refined(image, wrong)[0] - torch.from_numpy(clean) for image in (picture, holed)]
    whole, beside = (error[:, rim].square().mean() for error in results)
    assert beside < min(most * whole, limit)


def test_holes_are_filled_tile_by_tile_as_in_one_piece(monkeypatch):
    holed, _ = with_hole(picture_of(noisy_scene(0.5)))
    planes = holed.pixels[0], blurred(scene())[0], holed.valid[0]
    whole = gaussian.fill_holes(*planes, width=0.7)
    monkeypatch.setattr(gaussian, "TILE", 32)
    torch.testing.assert_close(gaussian.fill_holes(*planes, width=0.7), whole, rtol=0, atol=1e-6)
    assert not torch.equal(whole, holed.pixels[0])


def test_in_the_noise_of_a_sensor_a_wrong_prediction_in_a_hole_leaves_no_noise_beside_it():
    """What a network puts where it sees nothing is wrong by more than the noise: a step that would keep noise."""
    clean = scene()
    holed, distance = with_hole(picture_of(clean + photo_noise(0.8)))
    prediction = torch.where(holed.valid, blurred(clean), 1.0)
    noises = measured(holed, prediction)
    assert noises.in_blocks8.is_of_sensor
    rim = (distance > 12) & (distance <= 15)
    whole = refined(picture_of(clean + photo_noise(0.8)), blurred(clean))
    beside, without = (
        (result[0] - torch.from_numpy(clean))[:, rim].square().mean()
        for result in (refined(holed, prediction, noises=noises), whole)
    )
    assert beside < 2.5 * without


def test_holes_continue_what_is_around_them_tile_by_tile_as_in_one_piece(monkeypatch):
    holed, _ = with_hole(picture_of(noisy_scene(0.5)), radius=8)
    how = {"valid": holed.valid[0], "widths": (1.0, 3.0), "share": 0.03}
    level = torch.where(holed.valid[0], 0.3, 9.0)
    gaussian.continue_smoothly(level, **how)
    torch.testing.assert_close(level, torch.full_like(level, 0.3))
    whole, tiled = holed.pixels[0].clone(), holed.pixels[0].clone()
    gaussian.continue_smoothly(whole, **how)
    monkeypatch.setattr(gaussian, "TILE", 32)
    gaussian.continue_smoothly(tiled, **how)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-6)
    assert torch.equal(whole[holed.valid[0]], holed.pixels[0][holed.valid[0]])


def test_rows_and_columns_that_an_image_is_padded_with_are_no_holes():
    valid = torch.zeros((3, 8, 8), dtype=torch.bool)
    assert not gaussian.has_holes(valid)
    valid[:, :6, :7] = True
    assert not gaussian.has_holes(valid)
    valid[1, 2, 3] = False
    assert gaussian.has_holes(valid)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("beta", [0, 1])
def test_lost_detail_comes_back_and_noise_does_not(channels, beta):
    clean, noisy = scene(channels), noisy_scene(beta, channels=channels)
    prediction = blurred(clean)
    result = refined(picture_of(noisy), prediction)
    assert error(result, clean) < 0.8 * error(prediction, clean)
    assert error(result, clean) < 0.6 * error(torch.from_numpy(noisy)[None], clean)


def test_a_perfect_prediction_is_hardly_touched():
    clean = scene()
    prediction = torch.from_numpy(clean.astype(np.float32))[None]
    result = refined(picture_of(noisy_scene(0.5)), prediction)
    assert error(result, clean) < 0.03


def test_without_noise_the_picture_comes_back():
    clean = scene()
    result = refined(picture_of(clean), blurred(clean))
    assert error(result, clean) < 0.25 * error(blurred(clean), clean)


@pytest.mark.parametrize("tile_size", [16, 32, 80])
def test_tiled_equals_untiled(tile_size):
    noisy = noisy_scene(0.5)
    whole, tiled = (
        refined(picture_of(noisy), blurred(scene()), settings=replace(SETTINGS, tile_size=max(size, 32)))
        for size in (512, tile_size)
    )
    torch.testing.assert_close(tiled, whole, rtol=0, atol=2e-4)  # a last bit may decide which of two blocks is closer


def test_a_prediction_counts_only_where_the_picture_agrees():
    """Where it is right, flat parts get flatter; where it puts the stripes in the wrong places, they stay."""
    clean, noisy = scene(), picture_of(noisy_scene(1))
    right = torch.from_numpy(clean.astype(np.float32))[None]
    wrong = right.roll(5, dims=-1)
    half_wrong = torch.cat([right[..., :48, :], wrong[..., 48:, :]], dim=-2)
    half, misled = (refined(noisy, prediction) for prediction in (half_wrong, wrong))
    assert error(half[..., :44, :], clean[:, :44]) < 0.4 * error(noisy.pixels[..., :44, :], clean[:, :44])
    for result in (half, misled):
        assert error(result[..., 52:, 8:], clean[:, 52:, 8:]) < 0.5 * error(wrong[..., 52:, 8:], clean[:, 52:, 8:])


@pytest.mark.parametrize("channels", [1, 4])
def test_intensities_are_kept(channels):
    """Whatever the prediction's offset: the mean over the picture and over its parts stays."""
    clean, noisy = scene(channels), noisy_scene(0, channels=channels)
    result = refined(picture_of(noisy), blurred(clean) + 0.05)[0].numpy()
    np.testing.assert_allclose(result.mean((1, 2)), noisy.mean((1, 2)), atol=2e-3)
    np.testing.assert_allclose(result[:, :48].mean((1, 2)), noisy[:, :48].mean((1, 2)), atol=5e-3)


def test_black_borders_are_not_taken_for_a_noiseless_picture():
    noisy = noisy_scene(0.5)
    noisy[:, :, :30] = 0
    prediction = blurred(scene())
    prediction[..., :30] = 1e-4 * torch.rand((30,), generator=torch.Generator().manual_seed(0))
    result = refined(picture_of(noisy), prediction)
    assert error(result[..., 34:], scene()[:, :, 34:]) < 0.7 * error(
        torch.from_numpy(noisy)[None, ..., 34:], scene()[:, :, 34:]
    )


def test_holes_and_padding_take_no_part():
    noisy = noisy_scene(0.5)
    valid = torch.ones((1, 3, 96, 96), dtype=torch.bool)
    valid[..., 40:44, 10:80] = False
    valid[..., 90:, :] = False
    results = []
    for value in (0.0, 1e6):
        picture = picture_of(noisy)
        holed = replace(picture, pixels=picture.pixels.masked_fill(~valid, value), valid=valid)
        results.append(refined(holed, blurred(scene())))
    assert torch.equal(*results)
    assert torch.isfinite(results[0]).all()


@pytest.mark.parametrize(("channels", "beta"), [(1, 0), (3, 0), (3, 0.5), (4, 0)])
def test_what_the_caller_holds_is_not_overwritten(channels, beta):
    """`refine` overwrites y and p, which are copies even where R1 changes nothing; measuring overwrites nothing."""
    picture, prediction = picture_of(noisy_scene(beta, channels=channels)), blurred(scene(channels))
    y, p = channels_of(picture, prediction)
    held = picture.pixels, picture.valid, prediction, y, p
    before = [image.clone() for image in held]
    noises = drain(measure_noises(picture, y, p, settings=SETTINGS))
    assert all(map(torch.equal, held, before))
    drain(refine(picture, y, p, noises=noises, settings=SETTINGS))
    assert all(map(torch.equal, held[:3], before[:3]))
    assert not torch.equal(y, before[3])


@pytest.mark.parametrize("beta", [0, 0.5])
def test_the_noisy_pixels_are_freed_before_rgb_is_refined(beta):
    """A large image has no room for what nothing reads again."""
    picture = picture_of(noisy_scene(beta))
    pixels = weakref.ref(picture.pixels)
    settings = SETTINGS.replace(steps=10, masks=1)
    steps = mash(picture, settings=settings, generator=torch.Generator().manual_seed(0))
    del picture
    held = {step.stage: pixels() is not None for step in steps}
    assert held["predict"]
    assert not held["group"]


def test_no_noise_is_measured_without_a_usable_block():
    picture = picture_of(noisy_scene(0))
    scattered = torch.rand((1, 3, 96, 96), generator=torch.Generator().manual_seed(0)) > 0.05
    holed = replace(picture, pixels=picture.pixels.masked_fill(~scattered, 0.0), valid=scattered)
    assert measured(picture, blurred(scene())) is not None
    assert measured(holed, blurred(scene())) is None


def test_the_channels_of_rgb_are_put_together():
    """The same noise in all channels is one of brightness: opponent colours stay clean."""
    noise = np.repeat(correlated_noise((96, 96, 1), sigma=0.1, beta=0, rng=np.random.default_rng(0)), 3, axis=2)
    noisy = scene() + noise.transpose(2, 0, 1)
    result = refined(picture_of(noisy), blurred(scene()))[0].numpy()
    difference = (result[0] - result[2]) - (scene()[0] - scene()[2])
    assert np.abs(difference).mean() < 0.01


def photo_noise(beta):
    """Noise as in a processed photo: more of it in the brightness than in the colours."""
    noise = noisy_scene(beta) - scene()
    return noise + noise.mean(axis=0)


def textured_noise():
    """Noise that follows the brightness, on flat parts, repeated stripes and a hole as black as clipping leaves it."""
    noisy = scene() + photo_noise(0.5) * np.linspace(0.3, 1.5, 96)
    noisy[:, 80:, 76:] = 0
    return noisy


def in_blocks(noise):
    """Noise with the steps between blocks that JPEG leaves."""
    return 0.2 * noise + noise.reshape(3, 12, 8, 12, 8).mean(axis=(2, 4)).repeat(8, axis=1).repeat(8, axis=2) * 4


@pytest.mark.parametrize(("beta", "known"), [(0, True), (0.5, False), (1, False)])
def test_known_noise_that_is_nearly_white_gets_a_pilot_from_groups(beta, known):
    picture, prediction = picture_of(noisy_scene(beta)), blurred(noisy_scene(beta), 9)
    noises = measured(picture, prediction)
    assert (noises.in_blocks8.pilot == "groups") == known
    by_blocks = noises._replace(in_blocks8=noises.in_blocks8._replace(pilot="blocks"))
    of_groups, of_blocks = (error(refined(picture, prediction, noises=given), scene()) for given in (noises, by_blocks))
    assert of_groups < 0.99 * of_blocks if known else of_groups == of_blocks


@pytest.mark.parametrize(("treat", "pilot"), [(in_blocks, "both"), (lambda noise: noise, "blocks")])
def test_noise_that_a_camera_has_treated_gets_half_a_pilot_from_groups(treat, pilot):
    noises = measured(picture_of(scene() + treat(photo_noise(0.5))), blurred(scene()))
    assert noises.in_blocks8.pilot == pilot


def test_noise_at_half_the_size_follows_the_brightness_as_at_full_size():
    picture, prediction = picture_of(textured_noise()), blurred(scene())
    noises = measured(picture, prediction, tuning=RefineSettings(blind_noise=False))
    assert noises.in_half_size.variance_model == noises.in_blocks16.variance_model
    assert noises.in_half_size.variance_model.slope != 0


SKY, STAR_NOISE = 0.1, 0.02
"""Level of the sky, and of its noise, around the stars of `star_field`."""


def star_field(width):
    """Clean and noisy sky (1, 96, 96) with 16 stars of 7 to 40 noise levels, and their places (rows, columns)."""
    rng = np.random.default_rng(0)
    rows, columns = (12 + 24 * places + rng.uniform(-4, 4, 16) for places in np.divmod(np.arange(16), 4))
    down, right = np.mgrid[0:96, 0:96]
    clean = np.full((96, 96), SKY)
    for row, column, height in zip(rows, columns, np.geomspace(7, 40, 16), strict=True):
        clean += height * STAR_NOISE * np.exp(-((down - row) ** 2 + (right - column) ** 2) / (2 * width**2))
    return clean[None], (clean + rng.normal(0, STAR_NOISE, clean.shape))[None], (rows, columns)


@pytest.mark.parametrize("width", [0.6, 1.2])
def test_stars_that_the_prediction_has_missed_keep_their_flux_and_the_sky_gets_clean(width):
    clean, noisy, places = star_field(width)
    result = refined(picture_of(noisy), torch.full((1, 1, 96, 96), SKY))[0, 0].numpy()
    for row, column in np.rint(np.transpose(places)).astype(int):
        near = slice(row - 3, row + 4), slice(column - 3, column + 4)
        weight = clean[0][near] - SKY
        before, after = ((weight * (image[near] - SKY)).sum() for image in (noisy[0], result))
        assert abs(after / before - 1) < 0.1
    sky = clean[0] < SKY + 0.01 * STAR_NOISE
    assert (result - clean[0])[sky].std() < 0.25 * STAR_NOISE


@pytest.mark.parametrize("beta", [0, 0.5])
def test_images_without_stars_keep_their_bytes(beta):
    picture, prediction = picture_of(noisy_scene(beta, channels=1)), blurred(scene(channels=1))
    without = refined(picture, prediction, tuning=RefineSettings(compact_structures=False))
    assert torch.equal(refined(picture, prediction), without)


def gratings():
    """A texture of 36 tiles with stripes of random directions: each block holds few frequencies."""
    rng, places = np.random.default_rng(2), np.indices((16, 16)).reshape(2, -1)
    stripes = [[np.cos(rng.uniform(1, 2.5, 2) @ places).reshape(16, 16) for _ in range(6)] for _ in range(6)]
    return np.block(stripes)


@pytest.mark.parametrize(("level", "most"), [(0.03, 1.0), (0.02, 1.15)])
def test_texture_that_the_prediction_has_missed_is_hardly_taken_for_noise(level, most):
    """Where it is several times the noise, a little of it is lost."""
    flat = np.full((3, 96, 96), 0.4)
    clean = flat + 0.06 * gratings()
    noisy = clean + level * photo_noise(0.5)
    result = refined(picture_of(noisy), blurred(flat))
    assert error(result, clean) < most * error(torch.from_numpy(noisy)[None], clean)


OTHERS = {
    "flat_quantiles": (0.0, 0.4),
    "min_blocks": 10_000,
    "textured_quantiles": (0.5, 0.9),
    "n_clippings": 1,
    "block_step": 8,
    "max_blocks": 100,
    "min_block_variance": 1e-2,
    "n_levels": 3,
    "level_quantiles": (0.2, 0.8),
    "flat_in_level": 0.6,
    "calm_in_level": 0.5,
    "min_in_level": 200,
    "floor_of_levels": 2.0,
    "fill_width": 3.0,
    "smooth_widths": (3.0,),
    "smooth_share": 1.0,
    "max_variance_ratio": 1.1,
    "min_colour_noise": 1e3,
    "range_quantiles": (0.5, 0.51),
    "min_colour_range": 1e3,
    "caution": 2.0,
    "min_kept_noise": 0.1,
    "max_excess": 0.5,
    "floor": 1.0,
    "full_floor_bias": 100.0,
    "slow_window": 9,
    "group_size": 8,
    "group_step": 8,
    "search_radius": 8,
    "wiener_colours": 3.0,
    "threshold_colours": 1.0,
    "max_blind_excess": 0.1,
    "max_white_unevenness": 1.0,
    "max_faint_noise": 0.0,
    "min_over_rounding": 1e9,
    "min_jpeg_noise": 1.0,
    "max_alike_difference": 1.0,
    "max_fast_excess": 0.1,
    "max_white_excess": 0.1,
    "max_white_slope": 0.1,
    "threshold_group_size": 8,
    "white_threshold": 2.0,
    "measured_white_threshold": 2.0,
    "white_share": 1.0,
    "white_disagreement": 0.5,
    "patch_group_size": 16,
    "known_patch_share": 1.5,
    "max_treated_likeness": -1.0,
    "treated_threshold": 2.0,
    "treated_step": 4,
    "treated_slow_share": 1.0,
    "min_photons": 1e6,
    "min_bright_share": 2.0,
    "max_poisson_ratio": 1.0,
    "max_over_colours": 0.01,
    "max_cleaned_noise": 10.0,
    "sensor_fourth": (9.0, 10.0),
    "sensor_deviation": (9.0, 10.0),
    "sensor_factor": 1.0,
    "texture_fourth": (2.0, 1.0),
    "texture_factor": 1.0,
    "other_factor": 1.0,
    "seen_blockiness": (0.01, 0.0),
    "max_across": 1.0,
    "restored_share": 1.0,
    "agreement_window": 4,
    "disagreement": 0.5,
    "compact_widths": (2.0,),
    "compact_height": 9.0,
    "compact_loss": 50.0,
    "compact_rest": 0.1,
    "compact_range": 0.5,
    "compact_share": 1.5,
    "compact_structures": False,
    "opponent_colours": False,
    "second_measurement": False,
    "floor_by_flat_bias": False,
    "blind_noise": False,
    "slow_part": False,
    "groups": False,
    "similar_patches": False,
}
"""Another value for each constant of refining."""


@pytest.fixture(scope="module")
def as_it_ships():
    """Photos whose noise follows the brightness, one with a hole, independent noise, one rounded, grey noise; stars."""
    pictures = [picture_of(textured_noise()), with_hole(picture_of(scene() + photo_noise(0.5)))[0]]
    pictures += [picture_of(noisy_scene(beta)) for beta in (0, 0.5)]
    texture = gaussian_filter(np.random.default_rng(1).standard_normal((96, 96)), 0.8)
    pictures.append(picture_of(noisy_scene(0, sigma=0.02) - scene() + 0.2 * texture))
    pictures.append(picture_of(scene() + 2 * photo_noise(0.5).mean(axis=0) + 0.01 * photo_noise(0.5)))
    weak, uneven = 0.2 * photo_noise(0.5), np.linspace(0.3, 1.5, 96)
    pictures += [picture_of(scene() + noise) for noise in (weak, weak * uneven, in_blocks(photo_noise(0.5)))]
    pictures.append(picture_of(scene() + weak + 0.1 * gratings()))
    pictures.append(picture_of(noisy_scene(0, sigma=0.004) + 0.02 * texture))
    pictures.append(replace(picture_of(np.rint(255 * noisy_scene(0)) / 255), unit=torch.full((3,), 255.0)))
    examples = [(noisy, blurred(scene())) for noisy in pictures]
    in_grey = picture_of(scene(channels=1) + in_blocks(photo_noise(0.5))[:1])
    examples.append((in_grey, blurred(scene(channels=1))))
    photons = np.random.default_rng(4).poisson(100 * scene(channels=1))
    examples.append((replace(picture_of(photons), zero=torch.zeros(1)), 100 * blurred(scene(channels=1))))
    grains = picture_of(noisy_scene(0, channels=1))  # which the prediction knows
    rest = np.random.default_rng(3).normal(0, 0.01, grains.pixels.shape)
    examples.append((grains, grains.pixels + torch.from_numpy(rest).float()))
    examples.append((picture_of(star_field(0.6)[1]), torch.full((1, 1, 96, 96), SKY)))
    return [(noisy, prediction, refined(noisy, prediction)) for noisy, prediction in examples]


@pytest.mark.parametrize("name", OTHERS)
def test_each_tuned_constant_changes_some_result(name, as_it_ships):
    other = RefineSettings(**{name: OTHERS[name]})
    examples = as_it_ships[::-1] if name.startswith("compact") else as_it_ships  # the stars first, to save time
    assert any(
        not torch.equal(refined(noisy, prediction, tuning=other), result) for noisy, prediction, result in examples
    )


def test_each_tuned_constant_has_a_unit_a_meaning_and_a_source_that_exists():
    experiments = (Path(__file__).parents[1] / "docs" / "experiments.md").read_text()
    lines = Path(tuning.__file__).read_text().splitlines()
    found = {line[1]: line for line in (re.match(r"    (\w+): .+  # .+: .+ \[(.+)\]$", line) for line in lines) if line}
    assert found.keys() == {item.name for item in fields(RefineSettings)}
    for name, line in found.items():
        assert line[2].startswith("by hand") or f"\n## {line[2]}. " in experiments, name
