"""Pixels without data: never changed, and never looked at by anything that denoises, judges, draws or inspects."""

import numpy as np
import pytest
import tifffile

import mashpix
from bad_files import saved
from commands import run_here
from mashpix import files
from mashpix.errors import FileError, InputError, UsageError
from mashpix.jobs import DenoiseRequest, Note, denoise_file
from science_files import build_fits

QUICK = mashpix.preset("fast").replace(steps=4, masks=2, channels=4, depth=2)
EVERY = {"settings": QUICK, "device": "cpu"}


@pytest.fixture
def noisy(rng):
    """Steps of brightness with noise, integers."""
    clean = np.repeat(np.arange(100, 900, 100), 8) * np.ones((64, 1))
    return np.rint(clean + rng.normal(0, 20, clean.shape)).astype(np.int16)


@pytest.fixture
def missing():
    """A corner, and a few pixels inside."""
    rows, columns = np.indices((64, 64))
    return (rows + columns < 30) | (rows == 40) & (columns > 50)


@pytest.fixture(params=[-9999, 500])
def filled(request, noisy, missing):
    """The same image, with another value where data are missing."""
    return np.where(missing, np.int16(request.param), noisy)


def test_what_a_missing_pixel_holds_changes_nothing_else(noisy, filled, missing):
    first, second = (mashpix.denoise(image, missing=missing, **EVERY) for image in (noisy, filled))
    assert np.array_equal(first[~missing], second[~missing])
    assert np.array_equal(second[missing], filled[missing])
    assert not np.array_equal(first[~missing], noisy[~missing])


def test_a_masked_array_is_an_image_with_missing_pixels(noisy, missing):
    masked = mashpix.denoise(np.ma.array(noisy, mask=missing), **EVERY)
    assert not np.ma.isMaskedArray(masked)
    assert np.array_equal(masked, mashpix.denoise(noisy, missing=missing, **EVERY))


def test_missing_pixels_of_floats_are_as_nan(noisy, missing):
    image = noisy.astype(np.float32)
    first = mashpix.denoise(image, missing=missing, **EVERY)
    second = mashpix.denoise(np.where(missing, np.float32(np.nan), image), **EVERY)
    assert np.array_equal(first[~missing], second[~missing])


def test_the_largest_float_may_stand_for_missing_pixels(noisy, missing):
    image = noisy.astype(np.float32)
    least = np.where(missing, np.finfo(np.float32).min, image)
    first, second = (mashpix.denoise(each, missing=missing, **EVERY) for each in (image, least))
    assert np.array_equal(first[~missing], second[~missing])
    assert np.array_equal(second[missing], least[missing])


@pytest.mark.parametrize("networks", ["shared", "each"])
def test_a_stack_misses_pixels_plane_by_plane(noisy, filled, missing, networks):
    mask = np.stack([missing, np.zeros_like(missing), missing[::-1]])
    stacks = [np.stack([image, noisy, np.where(missing[::-1], image[::-1], noisy)]) for image in (noisy, filled)]
    first, second = (
        mashpix.denoise_stack(stack, axes="ZYX", missing=mask, networks=networks, **EVERY) for stack in stacks
    )
    assert np.array_equal(first[~mask], second[~mask])
    assert np.array_equal(second[mask], stacks[1][mask])


def test_judging_drawing_and_blending_do_not_look_at_missing_pixels(noisy, filled, missing):
    denoised = mashpix.denoise(noisy, missing=missing, **EVERY)
    results = []
    for image in (noisy, filled):
        result = np.where(missing, image, denoised)
        options = {"missing": missing}
        blended = mashpix.blend(image, result, strength=0.5, **options)
        detailed = mashpix.add_detail(image, result, detail=1.0, **options)
        assert np.array_equal(blended[missing], image[missing])
        assert np.array_equal(detailed[missing], image[missing])
        results.append(
            [
                mashpix.check(image, result, **options),
                mashpix.compare(image, result, **options),
                blended[~missing].tolist(),
                detailed[~missing].tolist(),
                mashpix.inspect(image, time_updates=False, device="cpu", **options),
            ]
        )
        for report in results[-1][4:]:
            object.__setattr__(report, "memory_free_bytes", 0)
    assert results[0] == results[1]


def test_a_report_counts_missing_pixels(noisy, missing):
    report = mashpix.denoise_and_check(noisy, missing=missing, **EVERY).report
    assert report.hole_fraction == pytest.approx(missing.mean())
    assert f"{missing.sum()} of {missing.size} values hold no data: left out and kept" in report.notes


def test_a_mask_of_channels_may_be_that_of_one_plane(noisy, missing):
    image = np.stack([noisy, noisy[::-1]], axis=-1)
    result = mashpix.denoise(image, channel_axis=-1, missing=missing, **EVERY)
    assert np.array_equal(result[missing], image[missing])
    assert not np.array_equal(result[~missing], image[~missing])


@pytest.mark.parametrize("mask", [np.zeros((3, 3), bool), np.zeros((64, 64))])
def test_a_mask_of_another_shape_or_kind_is_refused(noisy, mask):
    with pytest.raises(InputError, match="`missing`"):
        mashpix.denoise(noisy, missing=mask, **EVERY)


def written(tmp_path, image, *, tag=None, **options):
    """A TIFF, with GDAL's tag if one is given."""
    tags = [(42113, "s", 0, tag, True)] if tag is not None else []
    tifffile.imwrite(tmp_path / "a.tif", image, extratags=tags, **options)
    return tmp_path / "a.tif"


def job(path, **options):
    """Denoise a file; returns the pixels written, the notes, and the outcome."""
    target = path.with_name("out.tif")
    request = DenoiseRequest(source=path, target=target, overwrite=True, **EVERY, **options)
    notes, steps = [], denoise_file(request)
    while True:
        try:
            event = next(steps)
        except StopIteration as stop:
            return tifffile.imread(target), notes, stop.value
        notes += [event.text] if isinstance(event, Note) else []


@pytest.mark.parametrize(
    ("tag", "value", "dtype"),
    [
        ("-9999", -9999, np.int16),
        ("-3.4028235e+38", np.finfo(np.float32).min, np.float32),
        ("-9999", -9999, np.float64),
    ],
)
def test_the_value_of_gdals_tag_is_left_out_and_kept(tmp_path, noisy, missing, tag, value, dtype):
    image = np.where(missing, value, noisy).astype(dtype)
    result, notes, outcome = job(written(tmp_path, image, tag=tag))
    assert np.array_equal(result[missing], image[missing])
    assert any(f"{missing.sum()} of {missing.size} values" in note for note in notes)
    assert np.array_equal(result, mashpix.denoise(image, missing=missing, **EVERY))
    assert outcome.report.hole_fraction == pytest.approx(missing.mean())


def test_a_tag_that_is_no_number_is_said_and_ignored(tmp_path, noisy):
    result, notes, _ = job(written(tmp_path, noisy, tag="none at all"))
    assert np.array_equal(result, mashpix.denoise(noisy, **EVERY))
    assert notes[:1] == ["its value for missing data is not a number ('none at all'; `nodata` names one)"]


def test_ranges_and_masks_leave_pixels_out_together(tmp_path, noisy, missing):
    image = np.where(missing, np.int16(-50), noisy)
    marked = np.zeros_like(missing)
    marked[50:, 5:12] = True
    tifffile.imwrite(tmp_path / "mask.tif", marked.astype(np.uint8))
    path = written(tmp_path, image)
    result, _, outcome = job(path, nodata="-99..-1", mask=tmp_path / "mask.tif")
    assert np.array_equal(result, mashpix.denoise(image, missing=missing | marked | (image < 0), **EVERY))
    assert (outcome.recipe.nodata, outcome.recipe.mask["name"]) == ("-99..-1", "mask.tif")


@pytest.mark.parametrize("text", ["-9..-10", "black", "", "1..2..3"])
def test_what_is_no_value_is_refused(text):
    with pytest.raises(UsageError, match="`nodata`"):
        DenoiseRequest(source=".", target=".", nodata=text)


def test_a_mask_of_another_size_is_refused(tmp_path, noisy):
    tifffile.imwrite(tmp_path / "mask.tif", np.zeros((8, 9), np.uint8))
    with pytest.raises(FileError, match="another size"):
        job(written(tmp_path, noisy), mask=tmp_path / "mask.tif")


def test_colours_are_missing_only_together(tmp_path, noisy):
    image = np.stack([noisy, noisy, noisy], axis=-1).astype(np.uint16)
    image[:4, :4] = 0
    image[10, 10, 0] = 0
    with files.open_file(written(tmp_path, image, tag="0", photometric="rgb")) as opened:
        assert np.broadcast_to(opened.missing((slice(None),) * 3), image.shape).sum() == 48


def test_the_options_reach_every_command(tmp_path, noisy, missing):
    path = written(tmp_path, np.where(missing, np.int16(-7), noisy))
    quick = ["--nodata=-7", "--overwrite"]
    few = ["--preset=fast", "--steps=2", "--masks=2", "--network-channels=4", "--depth=2"]
    ran = [
        run_here("denoise", path, "-o", tmp_path / "b.tif", *quick, *few),
        run_here("inspect", path, *quick),
        run_here("fit", path, "-o", tmp_path / "m.safetensors", *quick, *few),
        run_here("apply", tmp_path / "m.safetensors", path, "-o", tmp_path / "c.tif", *quick),
        run_here("blend", path, tmp_path / "b.tif", "-o", tmp_path / "d.tif", "--strength=0.5", *quick),
    ]
    assert [done.returncode for done in ran] == [0] * 5, [done.stderr for done in ran]
    assert f"{missing.sum() / missing.size:.2%}" in ran[1].stdout
    for name in "bcd":
        assert (tifffile.imread(tmp_path / f"{name}.tif")[missing] == -7).all()


@pytest.mark.parametrize(
    ("name", "build", "dtype"),
    [
        ("a.png", lambda values: saved(values.astype(np.uint8), "png"), "uint16"),  # multiplied by 257
        ("a.fits", lambda values: scaled_fits(values.astype(np.int16)), "float32"),  # BSCALE and BZERO applied
        ("a.npy", lambda values: saved(values.astype(np.uint8), "npy"), "float32"),
    ],
)
def test_values_without_data_are_those_of_the_file_whatever_dtype_is_asked_for(name, build, dtype, tmp_path):
    values = np.arange(1, 241).reshape(12, 20)
    (tmp_path / name).write_bytes(build(values))
    with DenoiseRequest(source=".", target=".", nodata="7..9", dtype=dtype).open(tmp_path / name) as opened:
        assert opened.dtype == dtype
        np.testing.assert_array_equal(opened.missing((slice(None),) * 2), (values >= 7) & (values <= 9))


def scaled_fits(values):
    """Integers whose physical values fall as they rise."""
    data = build_fits(values, checksum=False)
    cards = [f"BSCALE  = {'-2.0':>20}", f"BZERO   = {'5.0':>20}", "END"]
    return data.replace(f"{'END':80}{'':160}".encode(), "".join(f"{card:80}" for card in cards).encode(), 1)
