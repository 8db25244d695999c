"""A folder with one file of each format that mashpix reads, denoised in one run; wider dtypes; label images."""

import json
import struct
from itertools import chain

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageSequence

from bad_files import saved
from commands import QUICK, run_here
from faults.door import read_pixels
from fidelity import READERS
from file_kinds import build_heic
from instrument_files import build_dng, expose, scene, write_czi
from mashpix import FileError
from mashpix.axes import plane_groups
from mashpix.files import open_file
from mashpix.files.formats import READ_ONLY, WRITABLE
from mashpix.files.opening import STACKS
from mashpix.jobs import DenoiseRequest
from programs import pixels_by_vips, there
from science_files import build_dicom, build_fits, build_mrc
from zarr_kinds import read_array, write_ome

RNG = np.random.default_rng(0)
GREY = RNG.normal(120, 12, (32, 40)).clip(0, 255).astype(np.uint8)
STACK = np.stack([GREY, GREY[::-1]])
FRAMES = [Image.fromarray(np.dstack([plane] * 3)) for plane in STACK]


EXAMPLES = {
    "png": ("a.png", lambda: saved(GREY, "png")),
    "jpeg": ("b.jpg", lambda: saved(GREY, "jpeg")),
    "webp": ("c.webp", lambda: saved(np.dstack([GREY] * 3), "webp", lossless=True)),
    "tiff": ("d.tif", lambda: saved(GREY, "tiff")),
    "npy": ("e.npy", lambda: saved(STACK.astype(np.float32), "npy")),
    "npz": ("f.npz", lambda: saved(GREY, "npz")),
    "fits": ("g.fits", lambda: build_fits(STACK.astype(np.int16))),
    "dicom": ("h.dcm", lambda: build_dicom(GREY.astype(np.int16))),
    "mrc": ("i.mrc", lambda: build_mrc(STACK.astype(np.float32))),
    "microscope": ("j.czi", lambda path: write_czi(path, [GREY[None, None, None]])),
    "zarr": ("k.ome.zarr", lambda path: write_ome(path, [STACK[None, None].astype(np.uint16)])),
    "jxl": ("m.jxl", lambda: imagecodecs.jpegxl_encode(GREY, lossless=True)),
    "avif": ("n.avif", lambda: imagecodecs.avif_encode(np.dstack([GREY] * 3), level=95)),
    "bmp": ("o.bmp", lambda: saved(GREY, "bmp")),
    "pnm": ("p.pgm", lambda: saved(GREY, "ppm")),
    "animation": ("s.webp", lambda: saved(FRAMES[0], "webp", save_all=True, append_images=FRAMES[1:])),
    "gif": ("q.gif", lambda: saved(GREY, "gif")),
    "heif": ("r.heic", lambda: build_heic(np.dstack([GREY] * 3))),
    "raw": ("l.dng", lambda: build_dng(expose(scene(), bits=16, electrons=500))),
}


def raw(dtype, *, shape, start=None):
    """A reader of values that lie plainly in a file, from a place on or at its end."""

    def read(path):
        data, size = path.read_bytes(), np.dtype(dtype).itemsize * int(np.prod(shape))
        place = len(data) - size if start is None else start
        return np.frombuffer(data[place : place + size], dtype).reshape(shape)

    return read


def of_bytes(name):
    """A reader of `fidelity`."""
    return lambda path: READERS[name](path.read_bytes())


def frames(path):
    """The frames of an animation, by Pillow."""
    with Image.open(path) as image:
        return np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)])


OUTPUTS = {
    "png": ("a_denoised.png", of_bytes("Pillow")),
    "jpeg": ("b_denoised.jpg", of_bytes("OpenCV")),
    "webp": ("c_denoised.webp", of_bytes("OpenCV")),
    "tiff": ("d_denoised.tif", of_bytes("Pillow")),
    "npy": ("e_denoised.npy", np.load),
    "npz": ("f_denoised.npz", lambda path: np.load(path)["arr_0"]),
    "fits": ("g_denoised.fits", raw(">i2", shape=STACK.shape, start=2880)),
    "dicom": ("h_denoised.dcm", raw("<i2", shape=GREY[None].shape)),
    "mrc": ("i_denoised.mrc", raw("<f4", shape=STACK.shape)),
    "microscope": ("j_denoised.ome.tif", of_bytes("imagecodecs")),
    "zarr": ("k_denoised.ome.zarr", lambda path: read_array(path / "0")[0, 0]),
    "jxl": ("m_denoised.jxl", pixels_by_vips if "vips" in there() else of_bytes("imagecodecs")),
    "avif": ("n_denoised.avif", of_bytes("Pillow")),
    "bmp": ("o_denoised.bmp", of_bytes("OpenCV")),
    "pnm": ("p_denoised.pgm", of_bytes("OpenCV")),
    "animation": ("s_denoised.png", frames),
    "gif": ("q_denoised.png", of_bytes("Pillow")),
    "heif": ("r_denoised.png", of_bytes("OpenCV")),
    "raw": ("l_denoised.tif", of_bytes("imagecodecs")),
}
"""What becomes of each example, and a reader of it that is not the library which wrote it."""


def test_every_format_of_the_registry_is_in_the_folder():
    assert {*WRITABLE, *READ_ONLY, *STACKS, "zarr"} == set(EXAMPLES) == set(OUTPUTS), "give each format an example here"


def test_one_file_of_each_format_is_denoised_in_one_run(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for kind, (name, build) in EXAMPLES.items():
        if kind in ("microscope", "zarr"):
            build(folder / name)
        else:
            (folder / name).write_bytes(build())
    done = run_here("denoise", folder, "-o", tmp_path / "out", *QUICK, cwd=tmp_path)
    made = len(EXAMPLES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"done{made:>15}" in done.stdout, done.stdout + done.stderr
    for kind, (name, read) in OUTPUTS.items():
        before, after = (read_pixels(path)[0] for path in (folder / EXAMPLES[kind][0], tmp_path / "out" / name))
        assert (after.size, after.dtype) == (before.size, before.dtype), kind
        assert not np.array_equal(after, before), kind
        np.testing.assert_array_equal(read(tmp_path / "out" / name), after, err_msg=kind)


@pytest.mark.parametrize(
    ("name", "data", "dtype"),
    [
        ("a.png", saved(GREY, "png"), "uint16"), ("a.tif", saved(GREY, "tiff"), "float32"),
        ("a.npy", saved(STACK.astype(np.int16).repeat(3, 0), "npy"), "float32"),
        ("a.npz", saved(GREY, "npz"), "float64"), ("a.fits", build_fits(STACK.astype(np.uint16)), "float32"),
        ("a.mrc", build_mrc(STACK.astype(np.int16)), "float32"),
    ],
)  # fmt: skip
def test_a_wider_dtype_holds_the_same_image_and_what_is_between_its_integers(name, data, dtype, tmp_path):
    (tmp_path / name).write_bytes(data)
    done = run_here("denoise", name, "-o", "b" + name[1:], "--dtype", dtype, "--strength", "0.1", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with open_file(tmp_path / name) as old, open_file(tmp_path / ("b" + name[1:])) as new:
        assert (new.axes, new.shape, new.dtype) == (old.axes, old.shape, np.dtype(dtype))
        index = (0,) * (len(old.shape) - 2) + (slice(None),) * 2
        factor = 257 if name == "a.png" else 1
        assert abs(new[index].astype(float).mean() / factor - old[index].mean()) < 6
        assert name == "a.png" or np.any(new[index] % 1)
    recipe = tmp_path / ("b" + name[1:] + ".json")
    assert json.loads(recipe.read_bytes())["dtype"] == dtype
    again = run_here("denoise", name, "-o", "c" + name[1:], "--recipe", recipe, "--no-refine", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / ("b" + name[1:])).read_bytes() == (tmp_path / ("c" + name[1:])).read_bytes()


@pytest.mark.parametrize(
    ("name", "data", "dtype", "said"),
    [
        ("a.jpg", saved(GREY, "jpeg"), "float32", "JPEG holds 8 bits"),
        ("a.png", saved(GREY, "png"), "float32", "PNG holds unsigned integers"),
        ("a.dcm", build_dicom(GREY.astype(np.int16)), "float32", "keeps its dtype"),
        ("a.tif", saved(GREY.astype(np.float32), "tiff"), "uint16", "does not hold all values"),
        ("a.tif", saved(GREY.astype(np.int32), "tiff"), "float32", "does not hold all values"),
        ("a.mrc", build_mrc(STACK.astype(np.int16)), "int32", "MRC cannot hold it"),
        ("a.tif", saved(GREY, "tiff"), "float99", "unknown choice"),
    ],
)  # fmt: skip
def test_a_dtype_that_does_not_fit_is_refused_before_any_work(name, data, dtype, said, tmp_path):
    (tmp_path / name).write_bytes(data)
    done = run_here("denoise", name, "--dtype", dtype, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_widened_tiff_says_what_it_holds(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, predictor=2, compression="zlib", description="cells", metadata=None)
    run_here("denoise", "a.tif", "--dtype", "float32", *QUICK, cwd=tmp_path)
    with tifffile.TiffFile(tmp_path / "a_denoised.tif") as file:
        page = file.pages.first
        assert (page.dtype, page.predictor, page.tags["SampleFormat"].value) == (np.float32, 3, 3)
        assert page.description.startswith("cells")


def test_labels_are_warned_of_and_pictures_are_not(tmp_path):
    labels = np.repeat(np.repeat(RNG.permutation(80).reshape(8, 10), 9, 0), 9, 1).astype(np.uint8)
    mask = ((np.add.outer((np.arange(64) - 30) ** 2, (np.arange(64) - 30) ** 2) < 400) * 255).astype(np.uint8)
    photons = RNG.poisson(0.02, (64, 64)).astype(np.uint8)
    for array, is_warned in ((labels, True), (mask, True), (GREY, False), (photons, False)):
        np.save(tmp_path / "a.npy", array)
        done = run_here("denoise", "a.npy", "--overwrite", *QUICK, cwd=tmp_path)
        assert ("looks like a label image or a mask" in done.stderr) == is_warned, done.stderr


@pytest.mark.parametrize(
    ("options", "shape", "dtype"),
    [
        ({"ome": True, "metadata": {"axes": "CYX", "PhysicalSizeX": 0.3}}, (3, 24, 32), "float32"),
        ({"imagej": True, "resolution": (5, 5), "metadata": {"axes": "TZYX", "unit": "um"}}, (2, 3, 24, 32), "float32"),
        ({"byteorder": ">", "compression": "zlib", "photometric": "minisblack"}, (5, 24, 32), "uint16"),
        ({"photometric": "rgb", "planarconfig": "separate"}, (4, 3, 24, 32), "float64"),
    ],
)  # fmt: skip
def test_a_widened_stack_keeps_the_tags_of_its_pages(options, shape, dtype, tmp_path):
    stack, source, target = RNG.integers(0, 255, shape).astype(np.uint8), tmp_path / "a.tif", tmp_path / "b.ome.tif"
    tifffile.imwrite(source, stack, **options)
    if "resolution" not in options:
        without_resolution(source)
    with DenoiseRequest(source=".", target=".", dtype=dtype).open(source) as opened:
        assert opened.check_target(target, strict=False) == []
        with opened.copy_to(target, overwrite=False) as copy:
            for planes in chain(*plane_groups(opened.axes, opened.shape, joint=False)):
                copy(planes[0], opened[planes[0]] * opened.dtype.type(2))
    with tifffile.TiffFile(source) as old, tifffile.TiffFile(target) as new:
        assert (new.series[0].axes, new.imagej_metadata) == (old.series[0].axes, old.imagej_metadata)
        assert (new.byteorder, new.series[0].dtype) == (old.byteorder, np.dtype(dtype))
        tags = [file.pages[1].aspage().tags for file in (old, new)]
        for code in (270, 282, 283, 296, 262)[old.is_ome :]:
            before, after = (found[code].value if code in found else None for found in tags)
            assert before == after
        if old.is_ome:
            assert 'Type="float"' in new.ome_metadata
            assert 'PhysicalSizeX="0.3"' in new.ome_metadata
        np.testing.assert_array_equal(new.asarray(), stack * np.dtype(dtype).type(2))


def without_resolution(path):
    """Give the tags of the resolution, which tifffile writes into every page, the codes of private tags."""
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        for page in file.pages:
            for number, code in enumerate((282, 283, 296)):
                struct.pack_into(f"{file.byteorder}H", data, page.aspage().tags[code].offset, 65100 + number)
    path.write_bytes(data)


def test_a_stack_with_more_than_its_planes_keeps_its_dtype(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(STACK)
        writer.write(STACK[:, :9, :9])
    with pytest.raises(FileError, match="`dtype`: a stack that holds further images"):
        DenoiseRequest(source=".", target=".", dtype="float32").open(tmp_path / "a.tif")
