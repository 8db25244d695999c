"""Laws of files with large planes: the same bytes whatever the blocks and the format, and a killed run goes on."""

import json

import numpy as np
import pytest
import tifffile
import zarr
from numpy.lib.format import open_memmap

from commands import run_here
from mashpix.arrays import blocks, costs
from mashpix.axes import middle_plane
from mashpix.errors import FileError
from mashpix.files import open_file, windows
from mashpix.files.npy import make_header
from mashpix.files.ome_zarr.array import region_of
from mashpix.files.pyramid import shrink_to
from mashpix.files.tiff.segments import read_window
from mashpix.jobs import DenoiseRequest, denoise_file, read_recipe, run
from mashpix.jobs.channels import middle_part
from mashpix.settings import preset

CHANGED = {"steps": 4, "masks": 2, "depth": 2, "masking-ratio": 0.2}
TINY = preset("fast").replace(steps=4, masks=2, depth=2, masking_ratio=0.2, refine=False)


@pytest.fixture(autouse=True)
def small_cells(monkeypatch, no_sync):
    monkeypatch.setattr(blocks, "CELL", 64)
    monkeypatch.setattr(blocks, "WINDOW", 64)
    monkeypatch.setattr(blocks, "MAX_SEEN", 16)
    monkeypatch.setattr(windows, "AT_ONCE", 64)


@pytest.fixture
def plane(rng):
    rows, columns = np.mgrid[:150, :130]
    return (1000 + 200 * (np.sin(rows / 9) * np.cos(columns / 11) > 0.3) + rng.normal(0, 40, (150, 130))).astype("u2")


def denoise(source, target, *, by_blocks=1, **options):
    request = DenoiseRequest(source=source, target=target, settings=TINY, device="cpu", by_blocks=by_blocks, **options)
    return run(denoise_file(request))


def write_zarr(path, plane, *, zarr_format, shards=None):
    """An image in three sizes, with a label image and an attribute of somebody else."""
    root = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    names = [{"name": name, "type": kind} for name, kind in (("c", "channel"), ("y", "space"), ("x", "space"))]
    entry = {"axes": names, "datasets": [{"path": str(level)} for level in range(3)]}
    ome = {"multiscales": [entry | ({} if zarr_format == 3 else {"version": "0.4"})]}
    root.attrs.update({"mine": 1} | ({"ome": {"version": "0.5"} | ome} if zarr_format == 3 else ome))
    for level in range(3):
        small = shrink_to(plane, tuple(-(-side // 2**level) for side in plane.shape))
        how = {"chunks": (1, 32, 32), "shards": shards} if shards and level == 0 else {"chunks": (1, 48, 40)}
        array = root.create_array(str(level), shape=(1, *small.shape), dtype=small.dtype, **how)
        array[0] = small
    labels = root.create_group("labels").create_array("cells", shape=plane.shape, dtype="u1", chunks=(64, 64))
    labels[:] = 7
    return path


@pytest.fixture
def in_npy(plane, tmp_path):
    np.save(tmp_path / "a.npy", plane)
    denoise(tmp_path / "a.npy", tmp_path / "b.npy")
    return np.load(tmp_path / "b.npy")


def test_npy_comes_out_block_by_block(plane, in_npy, tmp_path):
    assert (in_npy.shape, in_npy.dtype) == (plane.shape, plane.dtype)
    assert (in_npy != plane).mean() > 0.9
    assert not list(tmp_path.glob(".*"))
    outcome = denoise(tmp_path / "a.npy", tmp_path / "c.npy", by_blocks=100, save=("spread", "residual"))
    np.testing.assert_array_equal(np.load(tmp_path / "c.npy"), in_npy)
    residual = np.load(tmp_path / "c_residual.npy")
    np.testing.assert_array_equal(residual, plane.astype("f4") - in_npy.astype("f4"))
    assert np.load(tmp_path / "c_spread.npy").min() > 0
    assert list(outcome.recipe.report["verdict"]["blocks"]) == [
        f"rows {rows}, columns {columns}" for rows in ("0-127", "128-149") for columns in ("0-127", "128-129")
    ]
    assert read_recipe(tmp_path / "c.npy.json").stack["by_blocks"] == 128


@pytest.mark.parametrize(("zarr_format", "shards"), [(2, None), (3, None), (3, (1, 96, 96))])
def test_ome_zarr_keeps_chunks_labels_and_pyramid(zarr_format, shards, plane, in_npy, tmp_path):
    source = write_zarr(tmp_path / "a.zarr", plane, zarr_format=zarr_format, shards=shards)
    denoise(source, tmp_path / "b.zarr")
    old, new = zarr.open_group(source, mode="r"), zarr.open_group(tmp_path / "b.zarr", mode="r")
    np.testing.assert_array_equal(new["0"][0], in_npy)
    for level in ("1", "2"):
        np.testing.assert_array_equal(new[level][0], shrink_to(in_npy, new[level].shape[1:]))
        assert new[level].metadata == old[level].metadata
    assert new["0"].metadata == old["0"].metadata
    assert dict(new.attrs) == dict(old.attrs)
    np.testing.assert_array_equal(new["labels/cells"][:], old["labels/cells"][:])


@pytest.mark.parametrize(
    "how", [{}, {"rowsperstrip": 40, "compression": "zlib"}, {"tile": (48, 32), "predictor": True}]
)
def test_tiff_keeps_its_strips_or_tiles_and_its_pyramid(how, plane, in_npy, tmp_path):
    options = how | {"compression": "deflate"} if "tile" in how else how
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=True) as file:
        file.write(plane, subifds=1 if "tile" in how else 0, description="mine", metadata=None, **options)
        if "tile" in how:
            file.write(shrink_to(plane, (75, 65)), subfiletype=1, metadata=None, **options)
    denoise(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as old, tifffile.TiffFile(tmp_path / "b.tif") as new:
        np.testing.assert_array_equal(new.asarray(), in_npy)
        for before, after in zip(old.series[0].levels, new.series[0].levels, strict=True):
            pages = before.pages[0], after.pages[0]
            assert len({(page.tilelength, page.rowsperstrip, page.compression, page.predictor) for page in pages}) == 1
            np.testing.assert_array_equal(after.asarray(), shrink_to(in_npy, before.shape))
        assert new.pages[0].description == "mine"


@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
def test_windows_of_a_page_are_those_of_the_plane(planarconfig, rng, tmp_path):
    pixels = rng.integers(0, 255, (3, 90, 70) if planarconfig == "separate" else (90, 70, 3)).astype(np.uint8)
    how = {"tile": (32, 48), "compression": "zstd", "photometric": "rgb", "planarconfig": planarconfig}
    tifffile.imwrite(tmp_path / "a.tif", pixels, **how)
    with tifffile.TiffFile(tmp_path / "a.tif") as file, (tmp_path / "a.tif").open("rb") as handle:
        found = read_window(file.pages[0], handle, slice(20, 80), slice(30, 70))
    np.testing.assert_array_equal(
        found, pixels[..., 20:80, 30:70] if planarconfig == "separate" else pixels[20:80, 30:70]
    )


@pytest.mark.parametrize("side", [4096, 5000, 20_000])
def test_only_the_middle_of_a_large_plane_is_looked_at(side, tmp_path):
    open_memmap(tmp_path / "a.npy", "w+", np.uint8, (side, side)).flush()
    with open_file(tmp_path / "a.npy", max_whole=0) as opened:
        rows, columns = region_of(middle_part(opened), opened.shape)
    assert rows == columns
    assert rows.start + rows.stop == side
    assert rows.stop - rows.start == (side if side == 4096 else 2048)


@pytest.fixture
def little_memory(monkeypatch):
    """Free memory that does not hold the plane, whose values need more of it than all else."""
    monkeypatch.setattr(costs, "BYTES_FOR_TILES", 0)
    monkeypatch.setattr(costs, "available_memory", lambda: costs.expected_memory(10_000))


@pytest.fixture
def small_tensors(monkeypatch):
    """Tensors that do not hold the plane."""
    monkeypatch.setattr(costs, "MAX_VALUES", 10_000)


@pytest.mark.parametrize(
    ("ending", "reason"),
    [(".npy", "little_memory"), (".tif", "little_memory"), (".zarr", "little_memory"), (".npy", "small_tensors")],
)
def test_a_plane_that_is_too_large_is_denoised_in_blocks_without_being_asked(
    ending, reason, plane, in_npy, tmp_path, request
):
    request.getfixturevalue(reason)
    source, target = tmp_path / f"a{ending}", tmp_path / f"c{ending}"
    if ending == ".tif":
        tifffile.imwrite(source, plane, tile=(48, 32))
    elif ending == ".zarr":
        write_zarr(source, plane, zarr_format=3)
    outcome = denoise(source, target, by_blocks=None)
    with open_file(target) as opened:
        np.testing.assert_array_equal(opened[middle_plane(opened.axes, opened.shape)], in_npy)
    assert outcome.recipe.stack["by_blocks"] == 64


def test_a_dry_run_says_what_blocks_cost(plane, little_memory, tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", plane)
    monkeypatch.setattr(costs, "BYTES_PER_VALUE", 2**20)
    monkeypatch.setattr(costs, "BYTES_FOR_TILES", 0)
    done = run_here("denoise", "a.npy", "-o", "out", "--dry-run", "--preset", "fast", "--threads", 1, cwd=tmp_path)
    assert "150 x 130 in blocks, about" in done.stdout
    assert "up to 4.0 GiB" in done.stdout


def test_a_header_that_claims_more_than_there_is_is_refused(tmp_path):
    (tmp_path / "a.npy").write_bytes(make_header((10**6, 10**6), np.dtype("u2"), is_fortran=False) + b"few")
    for more, said in (
        ((), "too large (1000000 x 1000000; at most 536870912 pixels, --max-pixels allows more)"),
        (("--max-pixels", 10**12), "truncated or damaged NPY (3 bytes of 2000000000000)"),
    ):
        done = run_here("denoise", "a.npy", "-o", "b.npy", "--by-blocks", 64, *more, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (1, f"mashpix: 'a.npy': {said}\n")


def test_a_stopped_run_goes_on_with_the_next_block(plane, in_npy, tmp_path):
    steps = denoise_file(
        DenoiseRequest(source=tmp_path / "a.npy", target=tmp_path / "c.npy", settings=TINY, device="cpu", by_blocks=64)
    )
    done = 0
    for step in steps:
        done += getattr(step, "stage", "") == "block"
        if done == 5:
            break
    steps.close()
    assert not (tmp_path / "c.npy").exists()
    folder = tmp_path / ".c.npy.mashpix-blocks"
    assert len(list(folder.glob("block-*.json"))) == 5
    (folder / "block-0-0.json").unlink()  # the array is there, but nothing proves that it is complete
    (folder / "block-0-0.npy").write_bytes(b"torn")
    events = []
    run(
        denoise_file(
            DenoiseRequest(
                source=tmp_path / "a.npy", target=tmp_path / "c.npy", settings=TINY, device="cpu", by_blocks=64
            )
        ),
        show=events.append,
    )
    assert sum(getattr(event, "denoised", None) is not None for event in events) == 5
    assert any("4 blocks are done" in getattr(event, "text", "") for event in events)
    np.testing.assert_array_equal(np.load(tmp_path / "c.npy"), in_npy)
    assert not folder.exists()


def test_blocks_of_another_run_are_not_used(plane, in_npy, tmp_path):
    folder = tmp_path / ".b.npy.mashpix-blocks"
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    (folder / "block-0-0.json").write_text("{}")
    denoise(tmp_path / "a.npy", tmp_path / "b.npy", overwrite=True)
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), in_npy)


def test_the_command_and_its_recipe(plane, in_npy, tmp_path):
    quick = [f"--{name}={value}" for name, value in CHANGED.items()]
    done = run_here("denoise", tmp_path / "a.npy", "--preset", "fast", "--no-refine", "--by-blocks", 70, *quick)
    assert done.returncode == 0, done.stderr
    assert "blocks" in done.stdout
    np.testing.assert_array_equal(np.load(tmp_path / "a_denoised.npy"), in_npy)
    again = run_here(
        "denoise", tmp_path / "a.npy", "--recipe", tmp_path / "a_denoised.npy.json", "-o", tmp_path / "d.npy"
    )
    assert (again.returncode, (tmp_path / "d.npy").read_bytes()) == (0, (tmp_path / "a_denoised.npy").read_bytes())
    assert json.loads((tmp_path / "a_denoised.npy.json").read_text())["stack"]["by_blocks"] == 128


def test_options_that_need_whole_planes_are_refused(plane, in_npy, tmp_path):
    done = run_here("denoise", tmp_path / "a.npy", "--by-blocks", 64, "--detail", 0.5)
    assert done.returncode == 2
    assert "--detail needs whole planes" in done.stderr


def test_blocks_made_with_other_threads_are_not_thrown_away(plane, in_npy, tmp_path):
    folder = tmp_path / ".c.npy.mashpix-blocks"
    steps = denoise_file(
        DenoiseRequest(source=tmp_path / "a.npy", target=tmp_path / "c.npy", settings=TINY, device="cpu", by_blocks=64)
    )
    next(step for step in steps if getattr(step, "stage", "") == "block")
    with pytest.raises(FileError, match="another run is writing there"):
        denoise(tmp_path / "a.npy", tmp_path / "c.npy", by_blocks=64)
    steps.close()
    run_file = json.loads((folder / "run.json").read_bytes())
    (folder / "run.json").write_text(json.dumps(run_file | {"threads": 99}))
    with pytest.raises(FileError, match=r"blocks of another run are there \(.*; threads 99, here \d"):
        denoise(tmp_path / "a.npy", tmp_path / "c.npy", by_blocks=64)
    assert len(list(folder.glob("block-*.json"))) == 1
