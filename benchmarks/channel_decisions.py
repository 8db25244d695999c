"""What `channels="auto"` decides: every noisy colour image must be RGB, and no unrelated channels may be.

    python benchmarks/channel_decisions.py ../shared/data

One row per group of images: how many are taken for RGB, and the extreme of the deciding correlation over what is
needed there (1 or more decides): the smallest of colour images, the largest of others. Written to
benchmarks/channel_decisions.csv.
"""

import argparse
import csv
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image

from channels import spots
from mashpix.arrays.colour import CHANCE, MAX_RATIO, MIN_CORRELATION, compare_channels
from mashpix.simulation import correlated_noise

TARGET = Path(__file__).with_suffix(".csv")


def load(path):
    """An image (H, W) or (C, H, W)."""
    array = np.asarray(Image.open(path))
    return array if array.ndim == 2 else np.moveaxis(array[..., :3], -1, 0)


def colour_images(data):
    """Names of groups and noisy images of one scene."""
    for name in ("sidd", "polyu", "cc15", "renoir"):
        for path in sorted((data / name / "noisy").iterdir()):
            yield name, load(path)
    for index, path in enumerate(sorted((data / "kodak").iterdir())):
        clean, rng = load(path), np.random.default_rng(index)
        yield "kodak, clean", clean
        for sigma in (25, 50):
            yield f"kodak, sigma {sigma}", clean + rng.normal(0, sigma, clean.shape)
            noise = correlated_noise((*clean.shape[1:], 3), sigma=sigma, beta=1.0, rng=rng)
            yield f"kodak, sigma {sigma}, beta 1", clean + np.moveaxis(noise, -1, 0)


def other_images(data):
    """Names of groups and images of channels that do not show one scene in one unit."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        dyes = np.stack([spots(rng) for _ in range(3)]) + rng.normal(0, 0.05, (3, 128, 128))
        yield "sparse, equal ranges", dyes
        yield "sparse, 1000 : 100 : 10", dyes * np.array([1000, 100, 10])[:, None, None]
    dyes = [load(path) for path in sorted((data / "fmdd" / "noisy").iterdir())]
    for three in combinations(dyes, 3):
        yield "fmdd, three images", np.stack(three)
    images = list(colour_images(data))
    for index, (_, image) in enumerate(images):
        rng = np.random.default_rng(index)
        others = [images[number][1] for number in rng.integers(0, len(images), 2)]
        height, width = np.min([array.shape[1:] for array in (image, *others)], axis=0)
        scenes = [array[number, :height, :width] for number, array in enumerate((image, *others))]
        yield "three scenes", np.stack(scenes)
        image, channel = image.astype(np.float64), rng.integers(3)
        changed = image.copy()
        changed[channel] = image[channel].max() + image[channel].min() - image[channel]
        yield "one channel inverted", changed
        changed = image.copy()
        changed[channel] = rng.permutation(image[channel].ravel()).reshape(image[channel].shape)
        yield "one channel shuffled", changed
        yield "colours in units of 1 : 10 : 100", image * np.array([1, 10, 100])[:, None, None]


def strength(image):
    """Deciding correlation over what is needed, by the rule of `show_one_scene`; 0 for contrasts in other units."""
    for correlation, ratio, count in compare_channels(image):
        needed = max(MIN_CORRELATION, CHANCE / count**0.5)
        if abs(correlation) >= needed:
            return correlation / needed if ratio <= MAX_RATIO else 0.0
    return max((correlation / max(MIN_CORRELATION, CHANCE / n**0.5) for correlation, _, n in compare_channels(image)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    with TARGET.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["group", "is_one_scene", "images", "taken_for_rgb", "extreme"])
        for is_one_scene, source in ((True, colour_images), (False, other_images)):
            groups = {}
            for name, image in source(options.data):
                groups.setdefault(name, []).append(strength(image))
            for name, strengths in groups.items():
                extreme = min(strengths) if is_one_scene else max(strengths)
                row = [name, is_one_scene, len(strengths), sum(value >= 1 for value in strengths), f"{extreme:.2f}"]
                table.writerow(row)
                print(*row, sep="\t", flush=True)


if __name__ == "__main__":
    main()
