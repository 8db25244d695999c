"""Measure the peak memory of replacing all planes of an OME-Zarr, for increasingly long stacks.

    python benchmarks/zarr_memory.py --planes 64 256 1024

Planes are 512 x 512 of uint16 in chunks of 8 x 256 x 256, with one smaller size. Each plane is put back unchanged: the
figures are for the files alone, without a network, whose memory depends on the plane and not on their number.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import zarr

from _common import Table, measure_alone
from mashpix.axes import plane_groups
from mashpix.evaluation.timed_process import peak_mib
from mashpix.files import open_file

COLUMNS = ("planes", "stack_mib", "peak_before_mib", "grown_mib")
SIDE, CHUNKS = 512, (8, 256, 256)


def make_stack(root: Path, planes: int) -> None:
    group = zarr.open_group(root, mode="w", zarr_format=2)
    group.attrs["multiscales"] = [{"axes": ["z", "y", "x"], "datasets": [{"path": "0"}, {"path": "1"}]}]
    rng = np.random.default_rng(0)
    for name, side in (("0", SIDE), ("1", SIDE // 2)):
        sides = {"shape": (planes, side, side), "chunks": CHUNKS}
        array = zarr.create_array(root, name=name, dtype="u2", zarr_format=2, **sides)
        for start in range(0, planes, CHUNKS[0]):
            array[start : start + CHUNKS[0]] = rng.integers(
                0, 256, (min(CHUNKS[0], planes - start), side, side), np.uint16
            )


def replace_planes(source: Path, target: Path) -> None:
    with open_file(source) as opened, opened.copy_to(target, overwrite=False) as copy:
        for (index,) in plane_groups(opened.axes, opened.shape, joint=False)[0]:
            copy(index, opened[index])


def measure(planes: int) -> tuple[int, ...]:
    with tempfile.TemporaryDirectory() as folder:
        for name, count in (("short.zarr", CHUNKS[0]), ("long.zarr", planes)):
            make_stack(Path(folder, name), count)
        replace_planes(Path(folder, "short.zarr"), Path(folder, "a.zarr"))  # so that all libraries are loaded
        start = peak_mib()
        replace_planes(Path(folder, "long.zarr"), Path(folder, "b.zarr"))
        grown = peak_mib() - start
    return planes, planes * SIDE * SIDE * 2 // 2**20, round(start), round(grown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--planes", type=int, nargs="+", default=[64, 256, 1024])
    args = parser.parse_args()
    if len(args.planes) == 1:
        print(*measure(args.planes[0]))
        return
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        for planes in args.planes:
            table.add(*measure_alone(__file__, "--planes", planes))


if __name__ == "__main__":
    main()
