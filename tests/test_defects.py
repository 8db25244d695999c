"""Defects of the sensor: left out, so that the rest is as without them; kept or repaired; stars are none."""

import numpy as np
import pytest

import mashpix
from mashpix.arrays.defects import find_defects

QUICK = mashpix.preset("fast").replace(steps=4, masks=2, channels=4, depth=2)
NOISE = 5.0


@pytest.fixture
def noisy(rng):
    """Two slow blobs with white noise."""
    rows, columns = np.indices((96, 96))
    clean = 100 + 40 * np.exp(-((rows - 30) ** 2 + (columns - 60) ** 2) / 400)
    return (clean + rng.normal(0, NOISE, clean.shape)).astype(np.float32)


@pytest.fixture
def mask(rng, noisy):
    """Single pixels, no two of which touch, and a row."""
    mask = np.zeros(noisy.shape, bool)
    mask[8:90:6, 9:90:7] = rng.random((14, 12)) < 0.15
    mask[50] = True
    return mask


def with_defects(noisy, mask):
    """Bright pixels above a dead row, dark ones below it."""
    values = np.where(np.arange(96)[:, None] < 50, 4000, 0) * np.ones_like(noisy)
    return np.where(mask, values, noisy)


def test_defects_are_found_and_nothing_else(noisy, mask):
    found = find_defects(with_defects(noisy, mask)[None])
    assert np.array_equal(found.mask[0], mask)
    single = mask.copy()
    single[50] = False
    bright = int(single[:50].sum())
    assert found.by_kind() == {"hot pixels": bright, "dead pixels": int(single.sum()) - bright, "lines": 1}
    assert find_defects(noisy[None]) is None


@pytest.mark.parametrize("dtype", [np.uint16, ">f4", np.float64, np.longdouble])
def test_defects_are_the_same_in_every_dtype(noisy, mask, dtype):
    whole = np.rint(with_defects(noisy, mask))[None]
    assert np.array_equal(find_defects(whole.astype(dtype)).mask, find_defects(whole).mask)


@pytest.mark.parametrize(("number", "least"), [(40, 24), (6, 0)])
def test_many_defects_show_at_less_height_than_few(rng, number, least):
    """They are 9 to 13 standard deviations high: noise does not reach that 16 times without a tail below."""
    image = rng.normal(100, NOISE, (96, 96))
    rows, columns = np.divmod(rng.choice(12 * 12, number, replace=False), 12)
    mask = np.zeros(image.shape, bool)
    mask[8 * rows + 4, 8 * columns + 4] = True
    found = find_defects((image + mask * rng.uniform(9, 13, image.shape) * NOISE)[None])
    assert (0 if found is None else (found.mask[0] & mask).sum()) >= least
    assert found is None or not (found.mask[0] & ~mask).any()
    assert (found is None) == (least == 0)


@pytest.mark.parametrize("blur", [0.0, 0.7])
def test_a_line_stuck_within_the_noise_is_found_and_a_dark_edge_is_not(rng, blur):
    """A dead row, 3 standard deviations deep, and a black one as a lens shows it."""
    height = np.exp(-(np.arange(-48, 48) ** 2) / (2 * blur**2)) if blur else np.arange(96) == 48
    clean = 15 - 60 * height[:, None]
    noisy = clean + rng.normal(0, NOISE, (96, 96))
    found = find_defects(np.clip(np.rint(noisy), 0, 255).astype(np.uint8)[None])
    if blur:
        assert found is None
    else:
        assert found.mask[0].any(axis=1).nonzero()[0].tolist() == [48]
        assert found.by_kind() == {"lines": 1}


@pytest.mark.parametrize("step", [(0, 1), (1, 1), (1, 0)])
def test_a_track_is_one_cosmic_ray(noisy, step):
    for number in range(12):
        noisy[20 + number * step[0], 20 + number * step[1]] += 1000 - 50 * number
    found = find_defects(noisy[None])
    assert found.by_kind() == {"cosmic rays": 1}
    assert found.mask.sum() == 12


@pytest.mark.parametrize("sigma", [0.6, 1.2])
def test_stars_are_no_defects(sigma):
    rng = np.random.default_rng(1)
    rows, columns = np.indices((160, 160))
    image = rng.normal(100, NOISE, rows.shape)
    for height in np.geomspace(3, 200, 64):
        row, column = rng.uniform(5, 155, 2)
        image += height * NOISE * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))
    assert find_defects(image[None]) is None


def test_single_photons_are_no_defects(rng):
    """Isolated counts far above the usual noise, as of a photomultiplier: noise with a tail."""
    image = rng.normal(3, 0.5, (1, 128, 128))
    photons = rng.random(image.shape) < 0.005
    assert find_defects(image + photons * rng.exponential(4, image.shape)) is None


def test_what_a_defect_holds_changes_nothing_else(noisy, mask):
    before = with_defects(noisy, mask)
    other = np.where(mask & (before > 1000), np.float32(9000), before)
    results = [mashpix.denoise_and_check(image, settings=QUICK, device="cpu") for image in (before, other)]
    assert np.array_equal(results[0].image[~mask], results[1].image[~mask])
    assert np.array_equal(results[1].image[mask], other[mask])
    assert results[0].verdict == results[1].verdict
    (note,) = [note for note in results[0].report.notes if "defects" in note]
    assert note.endswith("lines 1 (left out and kept)")
    assert results[0].report.defects["lines"] == 1


def test_repairing_fills_defects_and_changes_nothing_else(noisy, mask):
    before = with_defects(noisy, mask)
    kept = mashpix.denoise(before, settings=QUICK, device="cpu")
    repaired = mashpix.denoise_and_check(before, settings=QUICK.replace(repair_defects=True), device="cpu")
    assert np.array_equal(kept[~mask], repaired.image[~mask])
    assert repaired.image[mask].max() < 200
    assert repaired.image[mask].min() > 50
    assert repaired.report.repaired


def test_planes_of_a_stack_have_defects_of_their_own(noisy, mask):
    stack = np.stack([with_defects(noisy, mask), noisy])
    denoised = mashpix.denoise_stack(stack, axes="ZYX", settings=QUICK, device="cpu")
    assert np.array_equal(denoised[0][mask], stack[0][mask])
    assert (denoised[1] != stack[1])[mask].mean() > 0.9


def test_pixels_without_data_are_no_defects(noisy, mask):
    before = with_defects(noisy, mask)
    before[60:70, 20:30] = np.nan
    found = find_defects(before[None])
    clear = mask & np.isfinite(before)
    clear[56:74, 16:34] = False
    assert (found.mask[0] >= clear).all()
    assert not (found.mask[0] & ~mask).any()


def test_inspect_leaves_defects_out_and_counts_them(noisy, mask):
    report = mashpix.inspect(with_defects(noisy, mask), device="cpu", time_updates=False)
    assert report.sigma == pytest.approx(NOISE, rel=0.15)
    assert any("lines 1" in note for note in report.notes)


@pytest.mark.parametrize("unit", [1.0, 0.37])
def test_counts_of_few_photons_have_no_defects(unit, rng):
    photons = rng.poisson(0.1, (128, 128)).astype(np.float32)
    assert (photons >= 2).sum() > 20
    assert find_defects(unit * photons[None]) is None
