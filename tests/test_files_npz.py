"""Laws of NPZ: one member is replaced and named, all others come back bit for bit, and none is ever unpickled."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest

from mashpix import FileError
from mashpix.files import ImageFile, image_file, npy, read_image, write_image


@pytest.fixture
def grey(rng):
    return rng.integers(0, 4096, (9, 12)).astype(np.uint16)


def contents(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_first_picture_is_replaced_and_the_others_stay(save, grey, tmp_path):
    pickled = np.array([{"a": 1}], dtype=object)
    save(tmp_path / "a.npz", scale=np.arange(5.0), notes=pickled, cells=grey, mask=grey > 99, later=grey[::-1])
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("readme.txt", "not an array")
        archive.comment = b"of the archive"
    image = read_image(tmp_path / "a.npz")
    assert image.notes == ("holds 6 members: 'cells' is denoised, the others stay as they were",)
    np.testing.assert_array_equal(image.pixels, grey)
    assert write_image(tmp_path / "b.npz", replace(image, pixels=grey[:, ::-1].copy())) == []
    old, new = contents(tmp_path / "a.npz"), contents(tmp_path / "b.npz")
    assert list(old) == list(new)
    assert [name for name in old if old[name] != new[name]] == ["cells.npy"]
    with np.load(tmp_path / "b.npz") as arrays, zipfile.ZipFile(tmp_path / "b.npz") as archive:
        np.testing.assert_array_equal(arrays["cells"], grey[:, ::-1])
        assert archive.comment == b"of the archive"
        kinds = {item.compress_type for item in archive.infolist() if item.filename != "readme.txt"}
    assert kinds == {zipfile.ZIP_STORED if save is np.savez else zipfile.ZIP_DEFLATED}


def test_the_same_pixels_give_the_same_bytes(grey, tmp_path):
    np.savez(tmp_path / "a.npz", grey)
    for name in ("b.npz", "c.npz"):
        write_image(tmp_path / name, read_image(tmp_path / "a.npz"))
        write_image(tmp_path / f"new_{name}", ImageFile(grey, "png"))
    assert (tmp_path / "b.npz").read_bytes() == (tmp_path / "c.npz").read_bytes()
    assert (tmp_path / "new_b.npz").read_bytes() == (tmp_path / "new_c.npz").read_bytes()


def test_it_goes_to_and_from_other_formats(grey, tmp_path):
    np.savez(tmp_path / "a.npz", np.asfortranarray(grey))
    for name in ("b.npy", "b.tif", "b.png"):
        write_image(tmp_path / name, read_image(tmp_path / "a.npz"))
        np.testing.assert_array_equal(read_image(tmp_path / name).pixels, grey)
        write_image(tmp_path / f"{name}.npz", read_image(tmp_path / name))
        with np.load(tmp_path / f"{name}.npz") as arrays:
            np.testing.assert_array_equal(arrays["arr_0"], grey)


def test_members_are_measured_before_they_are_unpacked(grey, tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", zeros=np.zeros(2**24, np.uint8), grey=grey)
    monkeypatch.setattr(image_file, "HEADROOM", 2**20)
    monkeypatch.setattr(npy, "read", None)
    with pytest.raises(FileError, match="bytes unpacked; at most"):
        read_image(tmp_path / "a.npz", max_pixels=grey.size)
