"""Laws of animations: a stack of times as they are shown, which comes back as an animated PNG with the same delays."""

import struct
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from bad_files import saved
from commands import QUICK, run_here
from mashpix.errors import FileError
from mashpix.files import open_file
from mashpix.files.png import MAGIC, list_chunks, make_chunk

RNG = np.random.default_rng(0)
DELAYS = [100, 40, 250]
FRAMES = RNG.integers(0, 255, (3, 20, 24, 3)).astype(np.uint8)
FRAMES[1] = FRAMES[0]
FRAMES[1, 4:9, 5:12] = 7  # only this part changes: encoders store it alone


def animated(kind, frames=FRAMES, **options):
    images = [Image.fromarray(frame) for frame in frames]
    return saved(images[0], kind, save_all=True, append_images=images[1:], duration=DELAYS, loop=2, **options)


def test_frames_are_what_is_shown_and_come_back_in_a_second_reader(tmp_path):
    for kind, options in (("png", {}), ("webp", {"lossless": True})):
        (tmp_path / f"a.{kind}").write_bytes(animated(kind, **options))
        with open_file(tmp_path / f"a.{kind}") as opened:
            assert (opened.axes, opened.shape, opened.is_rgb) == ("TYXS", (3, 20, 24, 3), True)
            with opened.copy_to(tmp_path / f"{kind}_b.png", overwrite=False) as copy:
                for number in range(3):
                    index = (number, slice(None), slice(None), slice(None))
                    assert np.array_equal(opened[index], FRAMES[number])
                    copy(index, 255 - opened[index])
        with Image.open(tmp_path / f"{kind}_b.png") as image:
            assert (image.n_frames, image.info["loop"]) == (3, 2)
            for number in range(3):
                image.seek(number)
                assert np.array_equal(np.asarray(image), 255 - FRAMES[number])
                assert image.info["duration"] == DELAYS[number]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_an_animation_of_one_frame_stays_one(channels, tmp_path):
    pixels = RNG.integers(0, 255, (20, 24, channels)).astype(np.uint8)
    head, *rest = list_chunks(saved(Image.fromarray(pixels.squeeze()), "png"))
    control = struct.pack(">5IHHBB", 0, 24, 20, 0, 0, 7, 100, 0, 0)
    chunks = [head, (b"acTL", struct.pack(">II", 1, 4)), (b"fcTL", control), *rest]
    (tmp_path / "a.png").write_bytes(MAGIC + b"".join(make_chunk(*chunk) for chunk in chunks))
    index = (0, *[slice(None)] * (2 + (channels > 2)))
    with open_file(tmp_path / "a.png") as opened, opened.copy_to(tmp_path / "b.png", overwrite=False) as copy:
        assert opened.shape == (1, 20, 24, 3)[: 3 + (channels > 2)]
        copy(index, 255 - opened[index])
    new = list(list_chunks((tmp_path / "b.png").read_bytes()))
    assert [content for name, content in new if name in (b"acTL", b"fcTL")] == [chunks[1][1], control]
    with open_file(tmp_path / "b.png") as made, open_file(tmp_path / "a.png") as old, Image.open(made.path) as image:
        assert np.array_equal(made[index], 255 - old[index])
        shown = np.asarray(image).reshape(20, 24, -1)
    assert np.array_equal(shown[..., : channels - (channels in (2, 4))].squeeze(), made[index])


def test_a_gif_comes_back_with_all_its_colours(tmp_path):
    (tmp_path / "a.gif").write_bytes(animated("gif"))
    with Image.open(tmp_path / "a.gif") as image:
        image.seek(2)
        shown = np.asarray(image.convert("RGB"))
    done = run_here("denoise", "a.gif", *QUICK, "--strength", "0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "palettes expanded" in done.stderr
    frames = imagecodecs.apng_decode((tmp_path / "a_denoised.png").read_bytes())
    assert len(frames) == 3
    assert np.array_equal(frames[2], shown)


def test_16_bits_alpha_and_chunks_stay(tmp_path):
    values = RNG.integers(0, 2**16, (3, 20, 24, 4)).astype(np.uint16)
    data = bytes(imagecodecs.apng_encode(values))
    behind = len(MAGIC) + 25
    data = data[:behind] + make_chunk(b"gAMA", struct.pack(">I", 45455)) + data[behind:]
    (tmp_path / "a.png").write_bytes(data)
    with open_file(tmp_path / "a.png") as opened, opened.copy_to(tmp_path / "b.png", overwrite=False) as copy:
        assert opened.dtype == np.uint16
        copy((0, slice(None), slice(None), slice(None)), 2 * opened[(0, slice(None), slice(None), slice(None))])
    new = (tmp_path / "b.png").read_bytes()
    expected = values.copy()
    expected[0, ..., :3] *= 2
    assert np.array_equal(imagecodecs.apng_decode(new), expected)
    assert dict(list_chunks(new))[b"gAMA"] == struct.pack(">I", 45455)


def test_profile_exif_and_xmp_of_a_webp_come_along(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010E] = "embryo"
    (tmp_path / "a.webp").write_bytes(
        animated("webp", np.repeat(FRAMES[..., :1], 3, axis=3), icc_profile=profile, exif=exif, xmp=b"<x:xmpmeta/>")
    )
    with open_file(tmp_path / "a.webp") as opened, opened.copy_to(tmp_path / "b.png", overwrite=False) as copy:
        assert opened.is_rgb  # grey frames too: the profile is one of RGB
        copy((0, slice(None), slice(None), slice(None)), FRAMES[0])
    with Image.open(tmp_path / "b.png") as image:
        assert (image.n_frames, image.mode) == (3, "RGB")
        assert image.info["icc_profile"] == profile
        assert image.getexif()[0x010E] == "embryo"
        assert image.info["xmp"] == b"<x:xmpmeta/>"


@pytest.mark.parametrize("kind", ["png", "webp", "gif"])
def test_cut_and_vast_animations_are_refused_in_one_line(kind, tmp_path):
    data = animated(kind)
    cuts = [data[: len(data) * part // 7] for part in range(2, 7)]
    for cut in cuts:
        (tmp_path / f"a.{kind}").write_bytes(cut)
        with pytest.raises(FileError, match=r"truncated|damaged") as raised:
            open_file(tmp_path / f"a.{kind}")
        assert "\n" not in str(raised.value)
    (tmp_path / f"a.{kind}").write_bytes(data)
    with pytest.raises(FileError, match="too large"):
        open_file(tmp_path / f"a.{kind}", max_pixels=20 * 24 * 3 - 1)
    with pytest.raises(FileError, match="keeps its format"), open_file(tmp_path / f"a.{kind}") as opened:
        opened.check_target(tmp_path / "b.tif", strict=False)


def test_a_hidden_image_is_no_frame(tmp_path):
    encoded = BytesIO()
    images = [Image.fromarray(frame) for frame in FRAMES]
    images[0].save(encoded, "PNG", save_all=True, append_images=images[1:], default_image=True)
    (tmp_path / "a.png").write_bytes(encoded.getvalue())
    with open_file(tmp_path / "a.png") as opened:
        assert opened.shape[0] == 2
        assert np.array_equal(opened[(0, slice(None), slice(None), slice(None))], FRAMES[1])
        assert any("no animation is known" in line for line in opened.lost)
