"""Stripes: taken off where they are sure, so that the rest is as without them; straight edges and gratings are none."""

import numpy as np
import pytest

import mashpix
from mashpix.arrays.defects import find_defects
from mashpix.arrays.normalization import normalize
from mashpix.arrays.stripes import find_stripes

QUICK = mashpix.preset("fast").replace(steps=4, masks=2, channels=4, depth=2)
NOISE, SIDE = 5.0, 128


@pytest.fixture
def noisy(rng):
    """Blobs and an edge with white noise."""
    rows, columns = np.indices((SIDE, SIDE))
    clean = 100 + 40 * np.exp(-((rows - 40) ** 2 + (columns - 80) ** 2) / 600) + 30 * (rows + columns / 3 > 110)
    return (clean + rng.normal(0, NOISE, clean.shape)).astype(np.float32)


def wave(down, right):
    """A wave of standard deviation NOISE."""
    rows, columns = np.indices((SIDE, SIDE))
    return NOISE * np.sqrt(2) * np.cos(2 * np.pi * (down * rows + right * columns) + 1)


def pattern_of(kind, rng):
    offsets = rng.normal(0, NOISE, (SIDE, 1))
    return {"rows": offsets, "columns": offsets.T, "waves": wave(0.131, 0.072)}[kind] * np.ones((SIDE, SIDE))


@pytest.mark.parametrize(("kind", "left"), [("rows", 0.35), ("columns", 0.35), ("waves", 0.05)])
def test_a_pattern_is_found_and_nothing_else(noisy, rng, kind, left):
    pattern = pattern_of(kind, rng)
    found = find_stripes((noisy + pattern)[None])
    assert set(found.by_kind()) == {kind}
    assert np.std(found.pattern[0] - pattern) < left * np.std(pattern)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_unit_does_not_matter(noisy, rng, scale):
    image = (noisy + pattern_of("rows", rng)).astype(np.float64)
    found = find_stripes(scale * image[None])
    np.testing.assert_allclose(found.levels / scale, find_stripes(image[None]).levels, rtol=1e-4)


def real_structures():
    """Images whose straight edges and gratings are real, without noise."""
    rows, columns = np.indices((SIDE, SIDE))
    letters = np.random.default_rng(3).random((SIDE // 2, SIDE // 2)).repeat(2, 0).repeat(2, 1) < 0.4
    line = np.random.default_rng(3).random((10, SIDE)) < 0.4
    return {
        "horizon": 60.0 * (rows > 70),
        "shelves": 40.0 * np.isin(rows, [20, 21, 50, 51, 80, 81, 110, 111]),
        "square grating": 80.0 * (columns % 12 < 6),
        "bars": 60.0 * (rows % 24 < 5),
        "sinusoidal grating": 60 * np.sin(2 * np.pi * columns / 9),
        "text": -80.0 * (letters & (rows % 16 < 10)),
        "lines of the same text": -80.0 * np.tile(np.pad(line, ((0, 2), (0, 0))), (SIDE // 12 + 1, 1))[:SIDE],
        "cloth": 50
        * np.where((rows // 4 + columns // 4) % 2, *(np.sin(side * np.pi / 4) ** 2 for side in (rows, columns))),
        "half a fence": 30 * np.sin(2 * np.pi * rows / 7) * (columns < 70),
    }


@pytest.mark.parametrize("name", real_structures())
def test_real_structures_are_no_stripes(name, rng):
    image = 100 + real_structures()[name] + rng.normal(0, NOISE, (SIDE, SIDE))
    assert find_stripes(image[None]) is None
    assert find_stripes(np.rint(100 + real_structures()[name])[None]) is None


def test_noise_alone_has_no_stripes(noisy):
    assert find_stripes(noisy[None]) is None


def test_stripes_are_announced_and_the_verdict_does_not_miss_them(noisy, rng):
    image = noisy + pattern_of("rows", rng).astype(np.float32)
    auto = mashpix.denoise_and_check(image, settings=QUICK, device="cpu")
    assert any(note.startswith("stripes taken off before the fit: rows ") for note in auto.report.notes)
    assert auto.report.stripes.keys() == {"rows"}
    plain = mashpix.denoise_and_check(noisy, settings=QUICK, device="cpu")
    assert auto.verdict.measures["structure"] < 1.5 * plain.verdict.measures["structure"]
    off = mashpix.denoise(image, settings=QUICK.replace(stripes="off"), device="cpu")
    errors = [np.std(result - plain.image) for result in (auto.image, off)]
    assert errors[0] < 0.6 * errors[1]


def test_pixels_without_data_have_no_say(noisy, rng):
    image = noisy + pattern_of("rows", rng)
    image[40:60, 20:60] = np.nan
    found = find_stripes(image[None])
    assert set(found.by_kind()) == {"rows"}
    assert np.isfinite(found.pattern).all()


def test_defects_that_stripes_hide_are_found(noisy, rng):
    hot, stuck = np.zeros(noisy.shape, bool), np.zeros(noisy.shape, bool)
    hot[8:120:8, 8:120:7] = rng.random((14, 16)) < 0.2
    stuck[20:80, 61] = True
    image = noisy + 3 * pattern_of("columns", rng).astype(np.float32) + 20 * NOISE * hot
    image[stuck] = image.max() + 1  # it shows no stripes
    normalized = normalize(image, channel_axis=None, data_range=None, scale="data-range", stripes="auto")
    found, hidden = (defects.mask[0] for defects in (normalized.defects, find_defects(image[None])))
    assert (hidden & hot).sum() < 0.5 * hot.sum()
    assert (found & hot & ~stuck).sum() > 0.9 * (hot & ~stuck).sum()
    assert found[stuck].all()
    assert not found[~hot & ~stuck].any()


def test_inspect_measures_the_stripes_and_names_them(noisy, rng):
    report = mashpix.inspect(noisy + pattern_of("rows", rng), device="cpu", time_updates=False)
    assert report.kind == "structured"
    assert any(note.startswith("stripes") for note in report.notes)


def test_planes_of_a_stack_have_stripes_of_their_own(noisy, rng):
    stack = np.stack([noisy + pattern_of("rows", rng).astype(np.float32), noisy])
    reports = [
        step.report
        for step in mashpix.denoise_stack_steps(stack, axes="ZYX", settings=QUICK, device="cpu")
        if step.report is not None and step.stage == "plane"
    ]
    assert [bool(report.stripes) for report in reports] == [True, False]


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_verdict_takes_stripes_off_without_a_warning_whatever_the_unit_and_with_infinities(noisy, rng, scale):
    clean, striped = noisy.copy(), noisy + pattern_of("rows", rng).astype(np.float32)
    clean += rng.normal(0, 0.3, clean.shape)
    clean[5, 5] = striped[5, 5] = np.inf
    verdict = mashpix.check(np.float32(scale) * striped, np.float32(scale) * clean)
    assert verdict.verdict == "good"
    assert all(np.isfinite(value) for value in verdict.measures.values())
