"""Constant padding at the border: recognised, counted and kept; clipped tones, labels and drawings are no padding."""

import numpy as np
import pytest
import tifffile
from scipy.ndimage import rotate, zoom

import mashpix
from mashpix import files
from mashpix.jobs import DenoiseRequest, denoise_file
from mashpix.padding import find_padding
from mashpix.steps import drain

QUICK = mashpix.preset("fast").replace(steps=4, masks=2, channels=4, depth=2)
ROWS, COLUMNS = np.indices((96, 96))


@pytest.fixture
def photo(rng):
    """Soft areas of 40 to 200 with noise, 8 bits."""
    return soft(rng).clip(0, 255).astype(np.uint8)


def soft(rng):
    clean = zoom(rng.uniform(40, 200, (6, 6)), 16, order=3)
    return np.rint(clean + rng.normal(0, 6, clean.shape))


def padded(photo, kind):
    """An image with padding, and where it is."""
    outside = {
        "mosaic": (ROWS < 30) & (COLUMNS > 50) | (ROWS > 80),
        "circle": np.hypot(ROWS - 47.5, COLUMNS - 47.5) > 45,
        "wedge": ROWS + 5 * COLUMNS < 96,
        "letterbox": abs(ROWS - 47.5) > 36,
    }[kind]
    return np.where(outside, photo.dtype.type(255 if kind == "wedge" else 0), photo), outside


@pytest.mark.parametrize("kind", ["mosaic", "circle", "wedge", "letterbox"])
def test_padding_is_found_exactly(photo, kind):
    image, outside = padded(photo, kind)
    assert np.array_equal(find_padding(image[None]), outside)


def test_the_corners_of_a_rotated_scan_are_found(photo):
    turned = rotate(photo, 20, order=1, cval=255)
    found, corners = find_padding(turned[None]), rotate(np.zeros_like(photo), 20, order=1, cval=255) == 255
    assert found[corners].all()
    assert (found & ~corners).sum() < 0.02 * corners.sum()


def photos_without(rng):
    """Images that hold no padding, though many values at the border are equal, by name."""
    photo = soft(rng)
    disc = np.hypot(ROWS - 48, COLUMNS - 48) < 30
    stripes = np.where((ROWS // 12) % 2, 255, 0) * (COLUMNS > 20)
    return {
        "noise": photo.clip(0, 255),
        "black sky": np.where(disc, 150, rng.normal(0, 6, photo.shape)).clip(0, 255),
        "nearly black sky": np.where(disc, 150, rng.normal(-12, 6, photo.shape)).clip(0, 255),
        "saturated": (3 * photo).clip(0, 255),
        "photons": rng.poisson(0.1 + disc),
        "labels": np.where(disc, 1 + ROWS // 16, 0),
        "drawing": stripes,
        "constant": np.full_like(photo, 7),
        "small object": np.where(np.hypot(ROWS - 48, COLUMNS - 48) < 6, photo, 0),
    }


@pytest.mark.parametrize("name", photos_without(np.random.default_rng(0)))
def test_what_is_no_padding_stays_data(rng, name):
    assert find_padding(np.rint(photos_without(rng)[name]).astype(np.uint8)[None]) is None


@pytest.fixture
def mosaic(tmp_path, photo):
    """A file with padding, its pixels, and where they are padding."""
    image, outside = padded(photo, "mosaic")
    tifffile.imwrite(tmp_path / "a.tif", image)
    return tmp_path / "a.tif", image, outside


def denoised(path, **options):
    request = DenoiseRequest(source=path, target=path.with_name("b.tif"), settings=QUICK, device="cpu", **options)
    report = drain(denoise_file(request)).report
    return tifffile.imread(request.target), report


def test_padding_is_kept_and_left_out_of_everything(mosaic):
    path, image, outside = mosaic
    result, report = denoised(path)
    assert np.array_equal(result, mashpix.denoise(image, missing=outside, settings=QUICK, device="cpu"))
    assert np.array_equal(result[outside], image[outside])
    assert report.hole_fraction == pytest.approx(outside.mean())


@pytest.mark.parametrize("nodata", ["none", "-5"])
def test_padding_is_data_where_values_are_named(mosaic, nodata):
    path, image, _ = mosaic
    assert np.array_equal(denoised(path, nodata=nodata)[0], mashpix.denoise(image, settings=QUICK, device="cpu"))


def test_the_count_is_said_before_any_work(mosaic):
    path, _, outside = mosaic
    with DenoiseRequest(source=path, target=path).open(path) as opened:
        assert f"padded with a constant at its border ({outside.sum()} of {outside.size} pixels" in opened.notes[-1]
    with files.open_file(path) as opened:
        assert opened.missing((slice(None), slice(None))) is None


def test_colours_are_padding_only_together(photo):
    image = np.stack([padded(photo, kind)[0] for kind in ("mosaic", "letterbox", "mosaic")])
    assert np.array_equal(find_padding(image), (image == 0).all(axis=0))
