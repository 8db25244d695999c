"""Laws of JPEG: tables, sampling and segments stay; what Pillow cannot write again is announced."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from mashpix import FileError
from mashpix.files import ImageFile, check_writable, read_image, write_image


@pytest.fixture
def smooth():
    ramp = np.tile(np.arange(60, 188, dtype=np.uint8), (64, 1))
    return np.dstack([ramp, ramp[:, ::-1], np.full_like(ramp, 90)])


def layers(path):
    with Image.open(path) as image:
        return [layer[1:3] for layer in image.layer]


def tables(path):
    """The quantisation table of each component."""
    with Image.open(path) as image:
        return [image.quantization[layer[3]] for layer in image.layer]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_component_keeps_its_table_and_every_segment_its_bytes(count, smooth, tmp_path):
    quantisation, exif = [[step] * 64 for step in (3, 4, 5)[:count]], Image.Exif()
    exif[0x0112] = 8
    more = {"exif": exif, "comment": b"hello", "xmp": b"<x/>", "icc_profile": bytes(70_000), "dpi": (240, 240)}
    Image.fromarray(smooth).save(tmp_path / "a.jpg", qtables=quantisation, **more)
    assert write_image(tmp_path / "b.jpg", read_image(tmp_path / "a.jpg")) == []
    assert tables(tmp_path / "b.jpg") == tables(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as old, Image.open(tmp_path / "b.jpg") as new:
        assert new.info == old.info


def test_a_grey_file_may_use_any_table(smooth, tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(smooth[..., 0]).save(buffer, "JPEG", qtables=[[7] * 64])
    data = bytearray(buffer.getvalue())
    data[data.find(b"\xff\xdb") + 4] = 1  # the number of the table, where it is defined and where it is used
    data[data.find(b"\xff\xc0") + 12] = 1
    (tmp_path / "a.jpg").write_bytes(data)
    write_image(tmp_path / "b.jpg", read_image(tmp_path / "a.jpg"))
    assert tables(tmp_path / "b.jpg") == [[7] * 64]


@pytest.mark.parametrize("sampling", ["444", "422", "420", "440", "411"])
def test_sampling_stays_or_becomes_finer_and_says_so(sampling, smooth, tmp_path):
    kept = sampling not in ("440", "411")
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg_encode(smooth, subsampling=sampling))
    lost = write_image(tmp_path / "b.jpg", read_image(tmp_path / "a.jpg"))
    assert (lost == []) == kept
    assert layers(tmp_path / "b.jpg") == (layers(tmp_path / "a.jpg") if kept else [(1, 1)] * 3)


def test_further_pictures_are_announced_and_left(smooth, tmp_path):
    first, second = Image.fromarray(smooth), Image.fromarray(smooth[::-1].copy())
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    image = read_image(tmp_path / "a.jpg")
    assert "further images" in image.losses[0]
    assert write_image(tmp_path / "b.jpg", image) == list(image.losses)
    assert b"MPF\0" not in (tmp_path / "b.jpg").read_bytes()
    assert read_image(tmp_path / "b.jpg").losses == ()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}])
def test_what_follows_the_picture_is_announced(options, smooth, tmp_path):
    """The end marker is looked for: those of the thumbnail, and what looks like one in a comment, are none."""
    thumbnail = io.BytesIO()
    Image.fromarray(smooth[:16, :16]).save(thumbnail, "JPEG")
    Image.fromarray(smooth).save(tmp_path / "a.jpg", comment=thumbnail.getvalue() + b"\xff\xd9", **options)
    data = (tmp_path / "a.jpg").read_bytes()
    assert read_image(tmp_path / "a.jpg").losses == ()
    (tmp_path / "a.jpg").write_bytes(data + b"trailer")
    assert read_image(tmp_path / "a.jpg").losses == ("7 bytes after the image are not kept",)
    write_image(tmp_path / "b.jpg", read_image(tmp_path / "a.jpg"))
    assert not (tmp_path / "b.jpg").read_bytes().endswith(b"trailer")


@pytest.mark.parametrize("transform", [0, 1])
def test_the_marker_of_adobe_stays(transform, smooth, tmp_path):
    Image.fromarray(smooth).save(tmp_path / "a.jpg", keep_rgb=transform == 0, subsampling=0, quality=95)
    data = (tmp_path / "a.jpg").read_bytes()
    marker = b"\xff\xee\0\x0eAdobe\0\x65\x12\x34\x56\x78" + bytes([transform])
    data = data[:2] + marker + data[20 if transform else 18 :]  # instead of the JFIF marker, or that of Pillow
    (tmp_path / "a.jpg").write_bytes(data)
    image = read_image(tmp_path / "a.jpg")
    np.testing.assert_allclose(image.pixels, smooth, atol=12)
    assert write_image(tmp_path / "b.jpg", image) == []
    written = (tmp_path / "b.jpg").read_bytes()
    assert (written.count(b"Adobe"), written.count(marker), written.count(b"JFIF")) == (1, 1, 0)
    np.testing.assert_allclose(imagecodecs.jpeg8_decode(written), smooth, atol=12)


def test_real_photographs_keep_their_metadata(shared_data, tmp_path):
    source = min((shared_data / "polyu" / "noisy").iterdir())
    assert write_image(tmp_path / "b.jpg", read_image(source)) == []
    with Image.open(source) as old, Image.open(tmp_path / "b.jpg") as new:
        assert (old.mode, old.size, old.info) == (new.mode, new.size, new.info)
    assert tables(source) == tables(tmp_path / "b.jpg")
    assert layers(source) == layers(tmp_path / "b.jpg")


def test_what_jpeg_cannot_hold_is_refused_before_any_work(tmp_path):
    long = ImageFile(np.zeros((1, 70_000), np.uint8), "png")
    with pytest.raises(FileError, match="at most 65500"):
        check_writable(long, tmp_path / "a.jpg")
    check_writable(long, tmp_path / "a.png")
