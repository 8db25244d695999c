"""Measure what `default` loses without each of its ideas: one fit per image, refined without one idea at a time.

    python benchmarks/ablation.py ../shared/data --limit 3

DIR holds the sets of pairs, and clean images in `kodak` (centre 256 x 256, noise of Eq. 2, sigma 25).
"""

import argparse
import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from _common import Table
from mashpix import PRESETS, psnr
from mashpix.arrays.normalization import Normalized, normalize, to_array, to_picture
from mashpix.evaluation.bench.images import Pair, find_sources, load_pair
from mashpix.evaluation.synthetic_noise import SyntheticNoise
from mashpix.method.mash import mash
from mashpix.picture import Picture
from mashpix.refine.measuring import measure_noises
from mashpix.refine.refining import MULTIPLE, channels_of, refine
from mashpix.refine.tuning import TUNED, RefineSettings
from mashpix.steps import drain

SETS = ("sidd", "polyu", "cc15", "fmdd", "renoir", "kodak beta 0", "kodak beta 0.5", "kodak beta 1")
SETTINGS = PRESETS["default"]
COLUMNS = ("set", "name", "seed", "idea_taken_out", "psnr")


TUNINGS = {
    "none": TUNED,
    "noise measured a second time": RefineSettings(second_measurement=False),
    "floor of the noise": RefineSettings(floor=0.0),
    "floor only where flat blocks understate it": RefineSettings(floor_by_flat_bias=False),
    "noise follows the brightness": RefineSettings(max_variance_ratio=1.0),
    "only where colours show it": RefineSettings(min_colour_range=0.0),
    "slow part": RefineSettings(slow_part=False),
    "groups": RefineSettings(groups=False),
    "prediction where it agrees": RefineSettings(disagreement=0.0),
    "picture where they disagree": RefineSettings(disagreement=math.inf),
    "opponent colours": RefineSettings(opponent_colours=False),
    "noise measured in the image itself": RefineSettings(blind_noise=False),
    "limit of the noise of brightness": RefineSettings(max_over_colours=math.inf, max_cleaned_noise=math.inf),
    "harder across groups where JPEG is seen": RefineSettings(max_across=1.0),
    "noise by its likeness to a sensor's": RefineSettings(sensor_factor=1.0, texture_factor=1.0, other_factor=1.0),
    "pilot of groups": RefineSettings(max_white_slope=0.0),
    "half of such a pilot in treated photos": RefineSettings(max_treated_likeness=-1.0),
    "similar patches": RefineSettings(similar_patches=False),
}
"""The constants that disable each idea."""
IDEAS = (*TUNINGS, "refining")


def pairs(data: Path, name: str, *, limit: int, crop: int | None) -> list[tuple[str, Pair]]:
    folder, _, beta = name.partition(" beta ")
    model = SyntheticNoise(beta=float(beta or 0))
    crop = crop or (256 if beta else None)
    sources = find_sources(data / folder, limit=limit)
    return [(source.name, load_pair(source, crop=crop, synthetic_noise=model, seed=0)) for source in sources]


def predict(noisy: NDArray[Any], *, seed: int) -> tuple[Picture, Normalized, torch.Tensor]:
    """Return an image as the method sees it, the way back, and its prediction before refining."""
    is_rgb = noisy.ndim == 3
    axis = -1 if is_rgb else None
    normalized = normalize(noisy, channel_axis=axis, data_range=None, scale=SETTINGS.scale, is_rgb=is_rgb)
    picture = to_picture(normalized, multiple=MULTIPLE, device=torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    prediction = drain(mash(picture, settings=SETTINGS.replace(refine=False), generator=generator)).denoised
    return picture, normalized, prediction


def results(pair: Pair, *, seed: int) -> dict[str, float]:
    """Return the PSNR without each idea."""
    picture, normalized, prediction = predict(pair.noisy, seed=seed)

    def refined(tuning: RefineSettings) -> torch.Tensor:
        y, p = channels_of(picture, prediction, tuning=tuning)
        noises = drain(measure_noises(picture, y, p, settings=SETTINGS, tuning=tuning))
        if noises is None:
            return prediction
        return drain(refine(picture, y, p, noises=noises, settings=SETTINGS, tuning=tuning))

    def score(result: torch.Tensor) -> float:
        denoised = np.clip(to_array(result, normalized), *pair.limits)
        return round(psnr(pair.clean, denoised, data_range=pair.data_range), 3)

    return {idea: score(refined(tuning)) for idea, tuning in TUNINGS.items()} | {"refining": score(prediction)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--limit", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--crop", type=int, help="side of the centre crop in pixels, for a quick check")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".csv"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with Table(args.output, COLUMNS) as table:
        for name in args.sets:
            found = []
            for picture, pair in pairs(args.data, name, limit=args.limit, crop=args.crop):
                found.append(results(pair, seed=args.seed))
                for idea, value in found[-1].items():
                    table.add(name, picture, args.seed, idea, value)
            means = {idea: statistics.fmean(row[idea] for row in found) for idea in IDEAS}
            print(name, *(f"{idea} {value:.2f}" for idea, value in means.items()), sep=" | ", flush=True)


if __name__ == "__main__":
    main()
