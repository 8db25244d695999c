"""Test the verdicts of `mashpix.check` on good and on damaged results, for images with a known truth.

python benchmarks/verdicts.py ../shared/data --preset fast --preset default --cache /tmp/verdicts
Scenes alternate between two halves: the limits in checking.RULES were chosen on "chosen"; "held out" is the other.
"""

import argparse
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

import mashpix
from _common import CROP, SETS, Table, load_pair

SEED = 0
BLUR = 2.0
"""Standard deviation of the Gaussian of the over-blurred result, pixels."""
SHIFT = 1
"""Shift down and to the right, pixels."""
OBJECT = 24
"""Side in pixels of the square with the most structure, which is erased and filled from its border."""
OFFSET = 0.03
"""Offset added, as a fraction of the distance between the percentiles 0.1 and 99.9 of the noisy image."""
GHOST = 64
"""Distance down and to the right of the part of the image that is blended into the result, pixels."""
GHOSTLY = 0.5
"""Weight of that part in the result."""
WEAK = 0.5
"""Damage that changes the damaged area by fewer noise levels than this is listed separately in the summary."""
MEASURES = (
    "offset", "offset_error", "local_offset", "whiteness", "edges", "displacement", "displacement_error",
    "displacement_level", "missing_detail", "missing_detail_level", "signal_correlation", "structure",
    "residual_excess", "noise_whiteness", "noise_evenness",
)  # fmt: skip
COLUMNS = (
    "set", "name", "half", "preset", "seed", "result", "change", "loss_db", "verdict", "reason", *MEASURES,
)  # fmt: skip

Picture = NDArray[np.uint8]


def blur(denoised: Picture, noisy: Picture) -> NDArray[np.float64]:
    return gaussian_filter(denoised.astype(np.float64), BLUR, axes=(0, 1))


def shift(denoised: Picture, noisy: Picture) -> NDArray[np.float64]:
    moved = denoised.astype(np.float64)
    moved[SHIFT:, SHIFT:] = denoised[:-SHIFT, :-SHIFT]
    return moved


def add_offset(denoised: Picture, noisy: Picture) -> NDArray[np.float64]:
    low, high = np.percentile(noisy, (0.1, 99.9))
    return denoised + OFFSET * (high - low)


def erase(denoised: Picture, noisy: Picture) -> NDArray[np.float64]:
    grey = denoised.astype(np.float64) if denoised.ndim == 2 else denoised.mean(axis=2)
    variance = uniform_filter(grey * grey, OBJECT) - uniform_filter(grey, OBJECT) ** 2
    border = OBJECT
    row, column = np.unravel_index(variance[border:-border, border:-border].argmax(), (CROP - 2 * border,) * 2)
    top, left = int(row) + border - OBJECT // 2, int(column) + border - OBJECT // 2
    bottom, right = top + OBJECT, left + OBJECT
    y = np.linspace(0, 1, OBJECT + 2)[1:-1, None, *[None] * (denoised.ndim - 2)]
    x = np.swapaxes(y, 0, 1)
    erased = denoised.astype(np.float64)
    rows = (1 - y) * erased[top - 1, left:right] + y * erased[bottom, left:right]
    columns = (1 - x) * erased[top:bottom, left - 1 : left] + x * erased[top:bottom, right : right + 1]
    near_row, near_column = 1 / np.minimum(y, 1 - y), 1 / np.minimum(x, 1 - x)
    erased[top:bottom, left:right] = (near_row * rows + near_column * columns) / (near_row + near_column)
    return erased


def add_ghost(denoised: Picture, noisy: Picture) -> NDArray[np.float64]:
    """Add an error over the whole image, like that of a network that has not learnt its image."""
    return (1 - GHOSTLY) * denoised + GHOSTLY * np.roll(denoised, (GHOST, GHOST), axis=(0, 1))


def blur_one_channel(denoised: Picture, noisy: Picture) -> NDArray[np.float64]:
    blurred = denoised.astype(np.float64)
    blurred[..., 0] = gaussian_filter(blurred[..., 0], BLUR)
    return blurred


def swap_channels(denoised: Picture, noisy: Picture) -> NDArray[np.float64]:
    """Swap channels: each is the result of another."""
    return np.roll(denoised, 1, axis=2).astype(np.float64)


RESULTS: dict[str, Callable[[Picture, Picture], NDArray[np.float64]]] = {
    "good": lambda denoised, noisy: denoised.astype(np.float64),
    "blurred": blur,
    "shifted": shift,
    "erased": erase,
    "offset": add_offset,
    "ghost": add_ghost,
}
OF_COLOUR: dict[str, Callable[[Picture, Picture], NDArray[np.float64]]] = {
    "one channel blurred": blur_one_channel,
    "channels swapped": swap_channels,
}
"""Damage for images with channels."""


def denoise(noisy: Picture, preset: str, cache: Path) -> Picture:
    """Return the result of a preset, from the cache if available."""
    if cache.exists():
        return np.load(cache)["denoised"]
    axis = -1 if noisy.ndim == 3 else None
    steps = mashpix.denoise_steps(noisy, channel_axis=axis, settings=preset, seed=SEED, device="cpu", preview_every=0)
    (last,) = deque(steps, maxlen=1)
    np.savez(cache, denoised=last.denoised, spread=last.spread)
    return last.denoised


def pictures(root: Path) -> Iterator[tuple[str, str, str]]:
    """Yield set, name and half of each image: scenes alternate."""
    for kind in SETS:
        names = sorted(path.name for path in (root / kind / "noisy").iterdir())
        scenes = sorted({name.rsplit("_", 1)[0] for name in names})
        for name in names:
            yield kind, name, ("chosen", "held out")[scenes.index(name.rsplit("_", 1)[0]) % 2]


def judge(clean: Picture, noisy: Picture, denoised: Picture) -> Iterator[list[object]]:
    """Make one row for the good result and one for each damage."""
    noise = np.sqrt(np.mean(np.square(noisy.astype(float) - clean)))
    for name, damage in (RESULTS | OF_COLOUR if noisy.ndim == 3 else RESULTS).items():
        result = np.clip(np.rint(damage(denoised, noisy)), 0, 255).astype(np.uint8)
        changed = result != denoised
        change = np.sqrt(np.mean(np.square(result[changed].astype(float) - denoised[changed]))) if changed.any() else 0
        loss = mashpix.psnr(clean, denoised, data_range=255) - mashpix.psnr(clean, result, data_range=255)
        verdict = mashpix.check(noisy, result, channel_axis=-1 if noisy.ndim == 3 else None)
        measures = [round(verdict.measures.get(measure, float("nan")), 4) for measure in MEASURES]
        yield [name, round(change / noise, 3), round(loss, 3), verdict.verdict, verdict.reason, *measures]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--preset", action="append", required=True)
    parser.add_argument("--cache", type=Path, required=True, help="folder of results, created if missing")
    parser.add_argument("--cached-only", action="store_true", help="skip what is not in the cache")
    parser.add_argument("--set", action="append", choices=SETS, help="only these")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_suffix(".csv"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.cache.mkdir(exist_ok=True)
    counts: Counter[tuple[str, ...]] = Counter()
    with Table(args.csv, COLUMNS) as table:
        for preset in args.preset:
            for kind, name, half in pictures(args.root):
                cache = args.cache / f"{preset}_{kind}_{Path(name).stem}.npz"
                if (args.set and kind not in args.set) or (args.cached_only and not cache.exists()):
                    continue
                clean, noisy = load_pair(args.root, kind, name, CROP)
                for row in judge(clean, noisy, denoise(noisy, preset, cache)):
                    table.add(kind, name, half, preset, SEED, *row)
                    weak = " (weak)" if row[0] != "good" and row[1] < WEAK else ""
                    counts[preset, half, f"{row[0]}{weak}", row[3]] += 1
    cases = dict.fromkeys(key[:3] for key in sorted(counts))
    for case in cases:
        print(
            *case,
            *(f"{verdict} {counts[*case, verdict]}" for verdict in ("good", "look closer", "signal lost")),
            sep="\t",
        )


if __name__ == "__main__":
    main()
