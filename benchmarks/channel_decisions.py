"""Test the decisions of `channels="auto"`: every noisy colour image must count as RGB, unrelated channels never.

    python benchmarks/channel_decisions.py ../shared/data [--seed 1] [--limit 8]

Crops of 128 x 128 and 200 x 300 pixels at random places of the camera sets, and of Kodak images without noise and with
added noise; then channels that do not show one scene in one unit, made of the same crops: three scenes, one channel
inverted, shuffled or mirrored, other units; sparse scenes; three images of fmdd. One row per group and size: how many
are taken for RGB. Written to benchmarks/channel_decisions.csv; about three minutes.
"""

import argparse
from pathlib import Path

import numpy as np

from _common import Table, load
from channels import spots
from mashpix.arrays.colour import show_one_scene
from mashpix.simulation import correlated_noise

SIZES = ((128, 128), (200, 300))
CAMERAS = ("sidd", "polyu", "cc15", "renoir")
UNITS = np.array([1.0, 10.0, 100.0])[:, None, None]


def load_channels(path):
    """An image (C, H, W)."""
    array = load(path)
    return array[None] if array.ndim == 2 else np.moveaxis(array[..., :3], -1, 0)


def crop(array, size, rng):
    """A part of an image (C, H, W) at a random place, turned or cut to fit where the image is too small."""
    height, width = (min(pair) for pair in zip(size, array.shape[1:], strict=True))
    top, left = rng.integers(array.shape[1] - height + 1), rng.integers(array.shape[2] - width + 1)
    return array[:, top : top + height, left : left + width].astype(np.float64)


def colour_crops(data, size, limit, rng):
    """Names of groups and crops of one scene."""
    for name in CAMERAS:
        for path in spread(data / name / "noisy", limit):
            yield name, crop(load_channels(path), size, rng)
    for path in spread(data / "kodak", limit):
        clean = crop(load_channels(path), size, rng)
        yield "kodak, clean", clean
        for sigma in (10, 25, 50):
            yield f"kodak, sigma {sigma}", clean + rng.normal(0, sigma, clean.shape)
        noise = correlated_noise((*clean.shape[1:], 3), sigma=25, beta=1.0, rng=rng)
        yield "kodak, sigma 25, beta 1", clean + np.moveaxis(noise, -1, 0)


def spread(folder, limit):
    """Choose evenly spaced files of a folder."""
    paths = sorted(folder.iterdir())
    return paths[:: max(len(paths) // limit, 1)][:limit]


def other_crops(crops, data, size, limit, rng):
    """Names of groups and crops of channels that do not show one scene in one unit; `crops` are of one scene each."""
    for image in crops:
        others = [crops[number] for number in rng.integers(0, len(crops), 2)]
        height, width = np.min([array.shape[1:] for array in (image, *others)], axis=0)
        yield "three scenes", np.stack([array[place, :height, :width] for place, array in enumerate((image, *others))])
        channel = rng.integers(3)
        plane = image[channel]
        shuffled = rng.permutation(plane.ravel()).reshape(plane.shape)
        changes = {"inverted": plane.max() + plane.min() - plane, "shuffled": shuffled}
        changes["mirrored"] = np.flip(plane, rng.integers(2))
        for name, changed in changes.items():
            yield f"one channel {name}", np.stack([changed if index == channel else image[index] for index in range(3)])
        yield "colours in units of 1 : 10 : 100", image * UNITS
    dyes = [load_channels(path) for path in spread(data / "fmdd" / "noisy", limit)]
    for _ in range(4 * limit):
        three = rng.choice(len(dyes), 3, replace=False)
        yield "fmdd, three images", np.concatenate([crop(dyes[index], size, rng) for index in three])
    if size == SIZES[0]:
        for _ in range(2 * limit):
            scenes = np.stack([spots(rng) for _ in range(3)]) + rng.normal(0, 0.05, (3, *size))
            yield "sparse scenes, equal ranges", scenes
            yield "sparse scenes, 1 : 10 : 100", scenes * UNITS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=int, default=8, help="images of each set")
    options = parser.parse_args()
    columns = "group", "is_one_scene", "size", "crops", "taken_for_rgb"
    with Table(Path(__file__).with_suffix(".csv"), columns) as table:
        for size in SIZES:
            rng = np.random.default_rng(options.seed)
            known = list(colour_crops(options.data, size, options.limit, rng))
            crops = [image for _, image in known]
            others = list(other_crops(crops, options.data, size, options.limit, rng))
            for is_one_scene, images in ((True, known), (False, others)):
                found = {}
                for name, image in images:
                    found.setdefault(name, []).append(show_one_scene(image))
                for name, decided in found.items():
                    table.add(name, is_one_scene, " x ".join(map(str, size)), len(decided), sum(decided))


if __name__ == "__main__":
    main()
