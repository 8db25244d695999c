"""Inputs that several runs share: a stack, or a plane in blocks, with settings that take a moment."""

import json

import numpy as np
import tifffile
import zarr

from mashpix.jobs import DenoiseRequest
from mashpix.settings import preset

TINY = preset("fast").replace(steps=3, masks=2, channels=4, depth=2, masking_ratio=0.5)
SMALL = {"CELL": 32, "WINDOW": 32, "MAX_FITTED_PIXELS": 4096, "MAX_SEEN": 16}
"""Of `mashpix.arrays.blocks`, for planes that are small."""


def noisy(rng, *shape):
    """Blobs with noise, uint16."""
    rows, columns = np.mgrid[: shape[-2], : shape[-1]]
    return (1000 + 200 * (np.sin(rows / 9) * np.cos(columns / 11) > 0.3) + rng.normal(0, 40, shape)).astype("u2")


def request_of(kind, folder, rng, **options):
    """A request for an input of a kind: 4 blocks of a plane in a "plane" (NPY), a "zarr" or a "sharded" one, or planes
    TCYX, 6 of them, whose networks are "each" or "shared", or whose channels are "joint".
    """
    options = {"device": "cpu", "settings": TINY.replace(refine=kind in ("plane", "shared"))} | options
    if kind == "plane":
        np.save(folder / "a.npy", noisy(rng, 40, 60))
        return DenoiseRequest(source=folder / "a.npy", target=folder / "b.npy", by_blocks=1, **options)
    if kind in ("zarr", "sharded"):
        write_zarr(folder / "a.zarr", noisy(rng, 40, 60), shards=(32, 48) if kind == "sharded" else None)
        return DenoiseRequest(source=folder / "a.zarr", target=folder / "b.zarr", by_blocks=1, **options)
    stack = noisy(rng, 3, 2, 24, 20)
    stack[1, 1] = 7  # blank
    tifffile.imwrite(folder / "a.tif", stack, imagej=True, metadata={"axes": "TCYX"})
    options |= {"networks": "each" if kind == "each" else "shared", "channels": "joint" if kind == "joint" else "auto"}
    return DenoiseRequest(source=folder / "a.tif", target=folder / "b.tif", **options)


def write_zarr(path, plane, *, shards):
    """An OME-Zarr 0.5 of one plane in one size, with chunks across the borders of the blocks."""
    root = zarr.open_group(path, mode="w", zarr_format=3)
    axes = [{"name": name, "type": "space"} for name in "yx"]
    root.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}]}
    root.create_array("0", shape=plane.shape, dtype=plane.dtype, chunks=(16, 24), shards=shards)[:] = plane


def recipe_of(target):
    """A recipe without what differs from run to run."""
    recipe = json.loads(target.with_name(target.name + ".json").read_bytes())
    return recipe | {"report": recipe["report"] | {"seconds": None}}
