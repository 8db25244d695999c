"""Laws of FITS, DICOM and MRC: what comes back, as other readers see it; what is refused; what is never said."""

import errno
import io
import os
import shutil
import struct
import subprocess

import mrcfile
import numpy as np
import pytest
import tifffile
from astropy.io import fits
from pydicom import dcmread, uid

from commands import QUICK, run_here
from faults.door import pass_through, read_pixels
from mashpix import FileError
from mashpix.axes import plane_groups
from mashpix.files import open_file
from mashpix.files.as_tiff import LOST
from programs import pixels_by_vips, there
from science_files import PERSON, build_dicom, build_fits, build_mrc, science_seeds

STACK = np.random.default_rng(0).integers(0, 4096, (4, 12, 20)).astype(np.uint16)
SIGNED = STACK.astype(np.int16) - 2048
SEEDS = science_seeds(STACK)
FLOATS = SIGNED.astype(np.float32)


def put(folder, name, data):
    (folder / name).write_bytes(data)
    return folder / name


@pytest.mark.parametrize("kind", SEEDS)
def test_every_kind_comes_back_with_new_pixels(kind, tmp_path):
    ending = kind.split(",")[0]
    source = put(tmp_path, f"a.{ending}", SEEDS[kind])
    assert pass_through(source, tmp_path / f"b.{ending}") == ("survived", "")


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"])
def test_values_of_fits_are_those_that_astropy_and_cfitsio_see(dtype, tmp_path):
    array = (STACK[0] if dtype.startswith("u") else SIGNED[0] // 16).astype(dtype)
    path, new = put(tmp_path, "a.fits", build_fits(array, OBJECT="M31")), tmp_path / "b.fits"
    np.testing.assert_array_equal(read_pixels(path)[0][0], array)
    assert pass_through(path, new) == ("survived", "")
    kept = [[str(card) for card in fits.getheader(file).cards if "SUM" not in card.keyword] for file in (path, new)]
    assert kept[0] == kept[1]
    with fits.open(new, checksum=True) as found:
        found.verify("exception")
        np.testing.assert_array_equal(found[0].data, array[::-1])
    if "vips" in there() and dtype in ("u1", "i2", "u2", "f4"):
        seen, before = pixels_by_vips(new), pixels_by_vips(path)
        assert seen is None or np.array_equal(np.squeeze(seen), np.squeeze(before)[::-1])


def test_only_the_largest_image_of_a_fits_changes(tmp_path):
    path = put(tmp_path, "a.fits", build_fits(FLOATS, others=True))
    with open_file(path) as opened:
        assert opened.notes == ("holds 3 images: part 1 'SCI' (4, 12, 20) is denoised, the rest stays as it was",)
    pass_through(path, tmp_path / "b.fits")
    old, new = path.read_bytes(), (tmp_path / "b.fits").read_bytes()
    with fits.open(path) as parts, fits.open(tmp_path / "b.fits", checksum=True) as found:
        start, end = parts[1].fileinfo()["hdrLoc"], parts[2].fileinfo()["hdrLoc"]
        np.testing.assert_array_equal(found["SCI"].data, FLOATS[:, ::-1])
    assert (old[:start], old[end:]) == (new[:start], new[end:])


def test_blank_and_padding_are_pixels_without_data(tmp_path):
    blank = put(tmp_path, "a.fits", build_fits(SIGNED, BLANK=int(SIGNED[0, 2, 3])))
    padded = put(tmp_path, "a.dcm", build_dicom(SIGNED, PixelPaddingValue=-2048, PixelPaddingRangeLimit=-1500))
    for path, expected in (
        (blank, SIGNED[0] == SIGNED[0, 2, 3]),
        (padded, (SIGNED[0] >= -2048) & (SIGNED[0] <= -1500)),
    ):
        with open_file(path) as opened:
            np.testing.assert_array_equal(opened.missing((0, slice(None), slice(None))), expected)


def test_scaled_integers_of_fits_become_physical_values_as_floats(tmp_path):
    data = build_fits(SIGNED, BLANK=int(SIGNED[0, 2, 3]), checksum=False)
    place = data.index(b"EXTEND")
    scale = b"BSCALE  =                  0.5".ljust(80) + b"BZERO   =                 10.0".ljust(80)
    data = data[:place] + scale + data[place : place + 2880 - len(scale) - place] + data[2880:]
    path = put(tmp_path, "a.fits", data)
    with open_file(path) as opened:
        assert opened.dtype == np.int16
        with opened.widened(np.dtype("f4")).copy_to(tmp_path / "b.fits", overwrite=False) as copy:
            wide = opened.widened(np.dtype("f4"))
            for number in range(len(SIGNED)):
                copy((number, slice(None), slice(None)), wide[number, slice(None), slice(None)])
    with fits.open(tmp_path / "b.fits") as found:
        expected = np.where(SIGNED[0, 2, 3] == SIGNED, np.nan, SIGNED * 0.5 + 10)
        np.testing.assert_array_equal(found[0].data, expected.astype(np.float32))
        assert not {"BSCALE", "BZERO", "BLANK"} & set(found[0].header)


def test_a_denoised_dicom_is_a_derived_image_and_keeps_all_else(tmp_path):
    tags = {"SmallestImagePixelValue": -3000, "DerivationDescription": "cut"}
    path = put(tmp_path, "a.dcm", build_dicom(SIGNED[:, 2:], **tags))
    pass_through(path, tmp_path / "b.dcm")
    old, new = dcmread(path), dcmread(tmp_path / "b.dcm")
    np.testing.assert_array_equal(new.pixel_array, SIGNED[:, 2:][:, ::-1])
    assert new.SOPInstanceUID == new.file_meta.MediaStorageSOPInstanceUID != old.SOPInstanceUID
    assert new.SeriesInstanceUID != old.SeriesInstanceUID
    assert new.ImageType == ["DERIVED", "PRIMARY", "AXIAL"]
    assert new.DerivationDescription == "cut; denoised by mashpix"
    assert new.SourceImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"
    assert new.DerivationCodeSequence[0].CodeValue == "113087"
    assert new.SmallestImagePixelValue == SIGNED[:, 2:].min()
    changed = {"SOPInstanceUID", "SeriesInstanceUID", "ImageType", "DerivationDescription", "PixelData"}
    changed |= {"SmallestImagePixelValue"}
    assert all(new[element.tag] == element for element in old if element.keyword not in changed)
    pass_through(path, tmp_path / "c.dcm")
    assert (tmp_path / "b.dcm").read_bytes() == (tmp_path / "c.dcm").read_bytes()


def test_a_full_disk_is_called_so_while_the_tags_of_a_dicom_are_written(tmp_path):
    class Full(io.BytesIO):
        def write(self, data):
            if self.tell() > 700:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    path = put(tmp_path, "a.dcm", build_dicom(SIGNED))
    with open_file(path) as opened, pytest.raises(OSError, match="No space left") as raised:
        opened._write(Full(), io.BytesIO(SIGNED.tobytes()), [(0, 0)])
    assert raised.value.strerror == "No space left on device"


@pytest.mark.parametrize("how", [{}, {"syntax": uid.JPEGLSLossless, "encode": "jpegls"}])
@pytest.mark.parametrize("preamble", [bytes(8), b"II*\0\x08\0\0\0"])
def test_a_dicom_of_a_usual_size_comes_back_and_may_begin_like_a_tiff(how, preamble, rng, tmp_path):
    frames = rng.integers(0, 1000, (2, 200, 300)).astype(np.uint16)  # pydicom reads values of this size later
    path = put(tmp_path, "a.dcm", preamble + build_dicom(frames, **how)[len(preamble) :])
    np.testing.assert_array_equal(read_pixels(path)[0], frames)
    assert pass_through(path, tmp_path / "b.dcm") == ("survived", "")
    np.testing.assert_array_equal(dcmread(tmp_path / "b.dcm").pixel_array, frames[:, ::-1])


def test_bits_beside_the_values_of_a_dicom_stay(tmp_path):
    words = (STACK[0] | 0x5000).astype(np.uint16)
    path = put(tmp_path, "a.dcm", build_dicom(words, bits=12, PixelRepresentation=1))
    values = ((STACK[0].astype(np.int16) ^ 0x800) - 0x800).astype(np.int16)
    np.testing.assert_array_equal(read_pixels(path)[0][0], values)
    pass_through(path, tmp_path / "b.dcm")
    new = np.frombuffer(dcmread(tmp_path / "b.dcm").PixelData, "<u2").reshape(12, 20)
    np.testing.assert_array_equal(new, STACK[0][::-1] | 0x5000)


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="dcmtk is not installed")
def test_dcmtk_reads_the_same_values(tmp_path):
    for name, decoder in (("dcm, int16", None), ("dcm, lossless JPEG", "dcmdjpeg"), ("dcm, 12 bits", None)):
        path = put(tmp_path, "a.dcm", SEEDS[name])
        plain = tmp_path / "plain.dcm"
        subprocess.run([decoder, path, plain] if decoder else ["cp", path, plain], check=True)
        pass_through(path, tmp_path / "b.dcm")
        for file, step in ((plain, 1), (tmp_path / "b.dcm", -1)):
            folder = tmp_path / "raw"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            done = subprocess.run(["dcmdump", "-q", "+W", folder, file], capture_output=True, check=True)
            (raw,) = folder.iterdir()
            expected = read_pixels(path)[0][:, ::step]
            assert raw.read_bytes() == expected.astype("<u2").tobytes(), (name, done.stderr)


def test_nothing_that_identifies_a_person_is_said(tmp_path):
    data = build_dicom(STACK.repeat(2, 1), bits=12)
    put(tmp_path, "a.dcm", data)
    done = run_here("denoise", "a.dcm", "--save", "report", *QUICK, cwd=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    said += "".join(path.read_text() for path in tmp_path.glob("*.json"))
    for length in range(200, len(data) - 1, 97):
        for changed in (data[:length], data[:length] + b"\xff\xff\xff" + data[length + 3 :]):
            try:
                pass_through(put(tmp_path, "b.dcm", changed), tmp_path / "c.dcm")
            except FileError as error:
                said += str(error)
    assert not [part for word in PERSON for part in (word, *word.split("^")) if part in said]


@pytest.mark.parametrize("dtype", ["i1", "i2", "f4", "u2", "f2"])
def test_an_mrc_keeps_its_header_but_for_its_statistics(dtype, tmp_path):
    array = (SIGNED // 32).astype(dtype) if dtype != "u2" else STACK
    data = build_mrc(array, is_volume=True, extended=b"cells" * 8)
    path = put(tmp_path, "a.mrc", data)
    assert pass_through(path, tmp_path / "b.mrc") == ("survived", "")
    new = (tmp_path / "b.mrc").read_bytes()
    assert new[1024:] == b"cells" * 8 + array[:, ::-1].tobytes()
    assert (new[:76], new[88:216], new[220:1024]) == (data[:76], data[88:216], data[220:1024])
    exact = array.astype(float)
    expected = exact.min(), exact.max(), exact.mean(), exact.std()
    np.testing.assert_allclose((*struct.unpack("<3f", new[76:88]), *struct.unpack("<f", new[216:220])), expected, 1e-6)
    with mrcfile.open(tmp_path / "b.mrc") as found:
        assert found.is_volume()
        assert found.voxel_size.x == np.float32(1.3)


def test_the_header_tells_micrographs_stacks_and_volumes(tmp_path):
    for data, axes in (
        (build_mrc(FLOATS[0]), "YX"), (build_mrc(FLOATS), "TYX"), (build_mrc(FLOATS, is_volume=True), "ZYX")
    ):  # fmt: skip
        with open_file(put(tmp_path, "a.mrc", data)) as opened:
            assert opened.axes == axes


NARROW, WIDE = (b"NAXIS1  = " + str(width).rjust(20).encode() for width in (20, 2_000_000_000))
WIDE_FITS = SEEDS["fits, int16"].replace(NARROW, WIDE)
NARROW, WIDE = (b"\xff\x51\0\x29\0\0" + struct.pack(">I", width) for width in (20, 2**20))
WIDE_J2K = SEEDS["dcm, JPEG 2000"].replace(NARROW, WIDE)


def set_bytes(data, place, content):
    return data[:place] + content + data[place + len(content) :]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.fits", SEEDS["fits, int16"][:-1], "truncated or damaged FITS"),
        ("a.fits", WIDE_FITS, "truncated or damaged FITS"),
        ("a.fits", build_fits(np.arange(9.0)), "holds no image"),
        ("a.dcm", SEEDS["dcm, int16"][:-1], "truncated or damaged DICOM"),
        ("a.dcm", build_dicom(STACK[0], Rows=60000, Columns=60000), "too large"),
        ("a.dcm", build_dicom(STACK, NumberOfFrames=2000000), "truncated or damaged DICOM"),
        ("a.dcm", build_dicom(STACK[0], PhotometricInterpretation="PALETTE COLOR"), "PALETTE COLOR"),
        ("a.dcm", SEEDS["dcm, int16"].replace(b"MONOCHROME2 ", b"DOE^JANE    "), "an unknown one"),
        ("a.dcm", SEEDS["dcm, int16"].replace(b"10008.1.2.1\0", b"10008.1.2.77"), "cannot be decoded"),
        ("a.dcm", WIDE_J2K, "declared"),
        ("a.mrc", SEEDS["mrc, int16"][:-1], "truncated or damaged MRC"),
        ("a.mrc", set_bytes(SEEDS["mrc, int16"], 12, struct.pack("<i", 4)), "complex"),
        ("a.mrc", set_bytes(SEEDS["mrc, int16"], 0, struct.pack("<2i", 2**30, 2**30)), "too large"),
    ],
)  # fmt: skip
def test_what_is_damaged_or_too_large_is_refused_in_one_line(name, data, said, tmp_path):
    with (
        pytest.raises(FileError, match=said) as error,
        open_file(put(tmp_path, name, data), max_pixels=2**24) as opened,
    ):
        opened[(0,) * (len(opened.shape) - 2)]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", SEEDS)
def test_every_kind_can_be_written_as_a_tiff_of_its_values_and_axes(kind, tmp_path):
    source, target = put(tmp_path, f"a.{kind.split(',')[0]}", SEEDS[kind]), tmp_path / "b.tif"
    with open_file(source) as opened:
        assert LOST in opened.check_target(target, strict=False)
        with opened.copy_to(target, overwrite=False) as copy:
            for index in opened_planes(opened):
                copy(index, opened[index][::-1])
        with tifffile.TiffFile(target) as file, open_file(target) as again:
            assert (again.axes.strip("S"), again.dtype) == (opened.axes.strip("S"), opened.dtype)
            found = file.asarray().reshape(opened.shape)
        for index in opened_planes(opened):
            np.testing.assert_array_equal(found[index], opened[index][::-1])


def opened_planes(opened):
    """The index of every plane."""
    return [index for planes in plane_groups(opened.axes, opened.shape, joint=False)[0] for index in planes]


def test_what_a_tiff_loses_is_said_before_the_fit_and_refused_by_strict(tmp_path):
    put(tmp_path, "a.dcm", build_dicom(SIGNED[0]))
    done = run_here("denoise", "a.dcm", "-o", "b.tif", *QUICK, cwd=tmp_path)
    assert (done.returncode, LOST in done.stderr) == (0, True), done.stderr
    assert tifffile.imread(tmp_path / "b.tif").dtype == np.int16
    done = run_here("denoise", "a.dcm", "-o", "c.tif", "--strict", cwd=tmp_path)
    assert (done.returncode, "not all of it can be kept" in done.stderr) == (1, True), done.stderr
    put(tmp_path, "d.dcm", build_dicom(SIGNED[0], photometric="MONOCHROME1"))
    with open_file(tmp_path / "d.dcm") as opened, pytest.raises(FileError, match="white is 0 in this DICOM"):
        opened.check_target(tmp_path / "d.tif", strict=False)
    assert not (tmp_path / "c.tif").exists()
