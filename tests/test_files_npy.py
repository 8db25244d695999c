"""Laws of NPY: the header decides before anything is allocated, and other pixels never go behind it."""

import io

import numpy as np
import pytest

from mashpix import FileError
from mashpix.files import read_image, write_image


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_header_stays(version, rng, tmp_path):
    buffer, array = io.BytesIO(), rng.random((9, 12))
    np.lib.format.write_array(buffer, array, version=version)
    (tmp_path / "a.npy").write_bytes(buffer.getvalue())
    write_image(tmp_path / "b.npy", read_image(tmp_path / "a.npy"))
    assert (tmp_path / "b.npy").read_bytes() == buffer.getvalue()


def test_a_third_axis_is_said_to_be_channels(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((9, 12, 4), np.uint8))
    assert read_image(tmp_path / "a.npy").notes == ("the last axis is read as 4 channels",)
    np.save(tmp_path / "a.npy", np.zeros((3, 9, 12), np.uint8))
    with pytest.raises(FileError, match="not a single image"):
        read_image(tmp_path / "a.npy")
