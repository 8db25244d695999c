"""What `default` loses without each of its ideas: one fit a picture, refined as it ships and with one idea taken out.

    python benchmarks/ablation.py ../shared/data --limit 3

DIR holds the sets of pairs, and clean pictures in `kodak` (centre 256 x 256, noise of Eq. 2, sigma 25, beta 0 and 1).
"""

import argparse
import csv
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from mashpix import PRESETS, psnr
from mashpix.arrays.normalization import open_door, to_array, to_picture
from mashpix.evaluation.bench.pictures import Pair, find_sources, load_pair
from mashpix.evaluation.noise_model import NoiseModel
from mashpix.method.mash import mash
from mashpix.picture import Picture
from mashpix.refine import refining
from mashpix.refine import residual_noise as spectrum
from mashpix.refine.refining import MULTIPLE, refine
from mashpix.refine.residual_noise import CONSTANT, measure_noise
from mashpix.steps import drain

SETS = ("sidd", "polyu", "cc15", "fmdd", "kodak beta 0", "kodak beta 1")
SETTINGS = PRESETS["default"]
COLUMNS = ("set", "name", "seed", "idea_taken_out", "psnr")


def everywhere(value: float) -> Callable[..., torch.Tensor]:
    return lambda grouped, *_: torch.full(grouped.shape[1:], value)


IDEAS = {
    "none": [],
    "noise measured a second time": [
        (
            refining,
            "settle",
            lambda observed, predicted, _, usable, side: measure_noise(observed, predicted, usable, side=side),
        )
    ],
    "floor of the noise": [(spectrum, "FLOOR", 0.0)],
    "floor only where flat blocks understate it": [(spectrum, "_understatement", lambda *_: 1.0)],
    "noise follows the brightness": [(spectrum, "_fit_law", lambda *_: CONSTANT)],
    "only where colours show it": [(spectrum, "_follows_brightness", lambda *_: True)],
    "slow part": [(refining, "_with_slow_part", lambda pixels, _: pixels)],
    "groups": [(refining, "filter_groups", lambda _, pilot, **__: pilot)],
    "prediction where it agrees": [(refining, "_agreement", everywhere(0.0))],
    "picture where they disagree": [(refining, "_agreement", everywhere(1.0))],
    "opponent colours": [(refining, "opponent_colours", lambda unit: torch.eye(len(unit)))],
    "refining": [],
}
"""What is put in place of what, to take each idea out."""


def pairs(data: Path, name: str, *, limit: int) -> list[tuple[str, Pair]]:
    folder, _, beta = name.partition(" beta ")
    model = NoiseModel(beta=float(beta or 0))
    crop = 256 if beta else None
    sources = find_sources(data / folder, limit=limit)
    return [(source.name, load_pair(source, crop=crop, noise_model=model, seed=0)) for source in sources]


def results(pair: Pair, *, seed: int) -> dict[str, float]:
    """PSNR without each idea."""
    door = open_door(
        pair.noisy,
        channel_axis=-1 if pair.noisy.ndim == 3 else None,
        data_range=None,
        scale=SETTINGS.scale,
        is_rgb=pair.noisy.ndim == 3,
    )
    picture = to_picture(door, multiple=MULTIPLE, device=torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    prediction = drain(mash(picture, settings=SETTINGS.replace(refine=False), generator=generator)).denoised

    def score(picture: torch.Tensor) -> float:
        return round(psnr(pair.clean, np.clip(to_array(picture, door), *pair.limits), data_range=pair.data_range), 3)

    return {idea: score(prediction if idea == "refining" else without(idea, picture, prediction)) for idea in IDEAS}


def without(idea: str, picture: Picture, prediction: torch.Tensor) -> torch.Tensor:
    with ExitStack() as stack:
        for module, name, replacement in IDEAS[idea]:
            stack.enter_context(patch.object(module, name, replacement))
        return drain(refine(picture, prediction, settings=SETTINGS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--limit", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for name in SETS:
            found = []
            for picture, pair in pairs(args.data, name, limit=args.limit):
                found.append(results(pair, seed=args.seed))
                table.writerows((name, picture, args.seed, idea, value) for idea, value in found[-1].items())
                file.flush()
            means = {idea: statistics.fmean(row[idea] for row in found) for idea in IDEAS}
            print(name, *(f"{idea} {value:.2f}" for idea, value in means.items()), sep=" | ", flush=True)


if __name__ == "__main__":
    main()
