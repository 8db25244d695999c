"""Draw the three figures of docs/method.md: the data flow of refining, its stages on one crop, the measured spectra.

    python benchmarks/refine_figure.py

The demo image gets noise of Eq. 2 (sigma 25, beta 0.5), so that the truth is known, and goes through the
functions of `mashpix.refine`; their final result is checked against `refine` itself.
"""

import argparse
from functools import partial
from importlib.resources import files as package_files
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ablation import predict
from mashpix import PRESETS
from mashpix.arrays.normalization import Normalized, to_array
from mashpix.picture import Picture
from mashpix.refine.blending import agreement, restore
from mashpix.refine.colour import from_channels, opponent_matrix, to_channels
from mashpix.refine.dct import analyse
from mashpix.refine.measuring import measure_noises
from mashpix.refine.passes import by_tiles, group, group_patches, shrink_again
from mashpix.refine.refining import refine
from mashpix.refine.residual_noise import NoiseModel, measure_noise
from mashpix.refine.shrinking import SIDE, shrink
from mashpix.refine.variance_model import CONSTANT
from mashpix.simulation import correlated_noise
from mashpix.steps import drain

SETTINGS = PRESETS["default"]
SIGMA, BETA = 25, 0.5
CROP = slice(44, 116), slice(74, 146)
"""Rows and columns of the strip: hair, face, and a black collar with bright edges."""
PICTURE_COLOUR, NOISE_COLOUR, RESULT_COLOUR = "#dbe9f6", "#fde3cf", "#d9efd5"


class Stages(NamedTuple):
    """All intermediate results of refining, under the symbols of docs/method.md: (C, H, W) each, a (H, W)."""

    y: Tensor
    p: Tensor
    y1: Tensor
    y2: Tensor
    g: Tensor
    r: Tensor
    a: Tensor
    x: Tensor
    noise_p: NoiseModel
    noise_1: NoiseModel
    noise: NoiseModel


def noisy_demo() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the demo image with noise, and the noise."""
    clean = np.asarray(Image.open(BytesIO(package_files("mashpix").joinpath("data/demo.png").read_bytes())))
    noise = correlated_noise(clean.shape, sigma=SIGMA, beta=BETA, rng=np.random.default_rng(0))
    return (clean + noise).astype(np.float32), noise.astype(np.float32)


def run_stages(picture: Picture, prediction: Tensor) -> Stages:
    """Run R1 to R10, and R24, one by one."""
    tiled = partial(by_tiles, stage="", settings=SETTINGS)
    y, p = to_channels(picture, prediction)
    measure = partial(measure_noise, y, usable=picture.valid[0].all(dim=0), side=SIDE, is_rgb=picture.is_rgb)
    noise_p = measure(p)
    y1 = drain(tiled(partial(shrink, noise=noise_p, threshold=SETTINGS.threshold), y))
    noise_1 = measure(y1, follow=noise_p.variance_model != CONSTANT)
    noises = drain(measure_noises(picture, y, p, settings=SETTINGS))
    y2 = drain(shrink_again(y, noises, settings=SETTINGS))
    g = drain(group(y.clone(), noises, settings=SETTINGS))
    g = drain(group_patches(y, g, noise=noises.in_blocks8, settings=SETTINGS))
    r = drain(tiled(partial(restore, noise=noises.in_prediction, keep_means=False), y, p, g))
    a = drain(tiled(lambda *both: agreement(*both, noise=noises.in_prediction).expand_as(both[0]), g, p))[0]
    x = torch.lerp(g, r, a)
    result = drain(refine(picture, y.clone(), p.clone(), noises=noises, settings=SETTINGS))
    torch.testing.assert_close(from_channels(x.clone(), picture), result, rtol=0, atol=1e-6)
    return Stages(y, p, y1, y2, g, r, a, x, noise_p, noise_1, noises.in_blocks16)


def draw_flow(path: Path) -> None:
    """Draw the data flow: the inputs of each symbol, and the relation that computes it."""
    figure, axes = plt.subplots(figsize=(10, 4.6))
    axes.set(xlim=(-0.1, 14.2), ylim=(-0.5, 5.2))
    axes.axis("off")
    nodes = {
        "y": (0.8, 4.7, "$y$", "noisy image", PICTURE_COLOUR),
        "p": (0.8, 0, "$p$", "prediction", PICTURE_COLOUR),
        "Sp": (2.8, 1.75, "$S_p$", "noise in $y - p$", NOISE_COLOUR),
        "y1": (2.8, 3.5, "$y_1$", "shrunk once", PICTURE_COLOUR),
        "S1": (4.8, 3.5, "$S_1$", "noise in $y - y_1$", NOISE_COLOUR),
        "S": (4.8, 1.75, "$S$", "reconciled", NOISE_COLOUR),
        "y2": (6.8, 3.5, "$y_2$", "pilot", PICTURE_COLOUR),
        "g": (8.8, 3.5, "$g$", "groups", PICTURE_COLOUR),
        "a": (8.8, 1.1, "$a$", "agreement", PICTURE_COLOUR),
        "r": (10.8, 2.3, "$r$", "$p$ restored", PICTURE_COLOUR),
        "x": (13.3, 2.3, "$x$", "result", RESULT_COLOUR),
    }
    boxes = {}
    for name, (left, middle, symbol, words, colour) in nodes.items():
        boxes[name] = FancyBboxPatch((left - 0.66, middle - 0.33), 1.32, 0.66, boxstyle="round,pad=0.07", fc=colour)
        boxes[name].set_edgecolor("#555555")
        axes.add_patch(boxes[name])
        axes.text(left, middle + 0.14, symbol, ha="center", va="center", fontsize=14)
        axes.text(left, middle - 0.23, words, ha="center", va="center", fontsize=8)
    arrows = [  # from, to, relation, and offset of the label from the middle of the arrow
        ("y", "p", "MASH\nEq. 3 to 11", (0, 0)),
        ((2.8, 0), "Sp", "R3", (0.3, 0)),
        ("Sp", "y1", "R4", (0.3, 0)),
        ((2.8, 4.7), "y1", "", (0, 0)),
        ("y1", "S1", "R3", (0, 0.25)),
        ("S1", "S", "R5", (0.3, 0)),
        ("Sp", "S", "R5", (0, 0.25)),
        ("S", "y2", "R6", (0.3, -0.1)),
        ((6.8, 4.7), "y2", "", (0, 0)),
        ("y2", "g", "R7\nR24", (0, 0.45)),
        ((8.8, 4.7), "g", "", (0, 0)),
        ("g", "a", "R9", (-0.3, 0)),
        ((8.8, 0), "a", "", (0, 0)),
        ("g", "r", "R8", (-0.25, -0.15)),
        ((10.8, 0), "r", "", (0, 0)),
        ("g", "x", "R10", (0.15, 0.3)),
        ("r", "x", "", (0, 0)),
        ("a", "x", "", (0, 0)),
    ]
    for start, end, label, (right, up) in arrows:
        style = {"arrowstyle": "-|>", "color": "#555555", "shrinkA": 0, "shrinkB": 0, "lw": 1.2}
        style |= {"patchA": boxes.get(start), "patchB": boxes[end]}
        (left, low), (far, high) = (nodes[place][:2] if isinstance(place, str) else place for place in (start, end))
        axes.annotate("", (far, high), (left, low), arrowprops=style, zorder=0)
        style = {"ha": "center", "va": "center", "fontsize": 9.5, "color": "#a03000"}
        box = {"fc": "white", "ec": "none", "pad": 1.5} if label.startswith("MASH") else None
        axes.text((left + far) / 2 + right, (low + high) / 2 + up, label, bbox=box, **style)
    for (left, middle), far in (((1.5, 4.7), 8.8), ((1.5, 0), 10.8)):
        axes.plot([left, far], [middle, middle], color="#555555", lw=1.2, zorder=0, solid_capstyle="butt")
    figure.savefig(path, dpi=130, bbox_inches="tight", pad_inches=0.05)


def draw_stages(stages: Stages, picture: Picture, normalized: Normalized, path: Path) -> None:
    """Draw one crop in all stages, enlarged."""
    words = {
        "y": "noisy image",
        "p": "prediction",
        "y1": "first shrinkage",
        "y2": "pilot, shrunk again",
        "g": "groups of similar patches",
        "r": "restored prediction",
        "a": "agreement: white 1, black 0",
        "x": "result",
    }
    figure, grid = plt.subplots(2, 4, figsize=(10, 5.5))
    for axes, (name, text) in zip(grid.flat, words.items(), strict=True):
        plane = getattr(stages, name)
        axes.axis("off")
        axes.set_title(f"${name[0]}_{name[1]}$: {text}" if name[1:] else f"${name}$: {text}", fontsize=10)
        if name == "a":
            axes.imshow(plane[CROP], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        else:
            array = to_array(from_channels(plane.clone(), picture), normalized)
            axes.imshow(np.clip(array[CROP] / 255, 0, 1), interpolation="nearest")
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.955, wspace=0.03, hspace=0.1)
    figure.savefig(path, dpi=110, pil_kwargs={"optimize": True})


def draw_spectra(stages: Stages, picture: Picture, noise: NDArray[np.float32], path: Path) -> None:
    """Draw the standard deviation of the noise at each frequency, measured and true."""
    matrix = opponent_matrix(picture.unit, is_rgb=picture.is_rgb)
    planes = torch.tensordot(matrix, torch.from_numpy(noise.transpose(2, 0, 1)) / picture.unit[:, None, None], dims=1)
    truth = analyse(planes, SIDE).square().mean(dim=2)
    place = torch.arange(SIDE)
    ring = (place[:, None] ** 2 + place**2).sqrt().round().long().flatten()
    curves = {
        "true": (truth, "k", "-"),
        "$S_p$, seen by the prediction": (stages.noise_p.psd, "#d95f02", "--"),
        "$S_1$, seen by the first shrinkage": (stages.noise_1.psd, "#1b72b8", "--"),
        "$S$, reconciled": (stages.noise.psd, "#1a9850", "-"),
    }
    figure, grid = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
    for axes, channels, title in zip(grid, ([0], [1, 2]), ("brightness", "opponent colours"), strict=True):
        for label, (psd, colour, line) in curves.items():
            values = psd[channels].mean(dim=0)
            levels = [float(values[ring == index].mean().sqrt() * picture.unit.max()) for index in range(1, SIDE)]
            axes.plot(range(1, SIDE), levels, line, color=colour, label=label, lw=2 if line == "-" else 1.6)
        axes.set(title=title, xlabel="frequency, half periods per block of 16 pixels", ylim=(0, None))
        axes.grid(alpha=0.3)
    grid[0].set_ylabel("standard deviation, grey levels")
    grid[1].legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "docs")
    args = parser.parse_args()
    matplotlib.use("agg")
    draw_flow(args.output / "refining-flow.png")
    noisy, noise = noisy_demo()
    picture, normalized, prediction = predict(noisy, seed=0)
    stages = run_stages(picture, prediction)
    draw_stages(stages, picture, normalized, args.output / "refining-stages.png")
    draw_spectra(stages, picture, noise, args.output / "refining-spectra.png")


if __name__ == "__main__":
    main()
