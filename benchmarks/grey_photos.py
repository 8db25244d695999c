"""Denoise real photos in grey, as PSNR gain with and without the rule for calm parts that JPEG has cleaned (R15).

python benchmarks/grey_photos.py ../shared/data [--crop 256]
Two parts of each image of PolyU and CC15, turned to grey; preset fast, seed 0; only those in which the rule decides.
Writes benchmarks/grey_photos.csv.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import mashpix
from _common import Table
from mashpix.refine import measuring

COLUMNS = ("set", "image", "row", "noisy_db", "gain_without_db", "gain_db")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--crop", type=int, default=256, help="side of the parts, pixels")
    args = parser.parse_args()
    rule, decided = measuring._is_of_calm_parts, []

    def watched(*values: object, **options: object) -> bool:
        decided.append(rule(*values, **options))  # type: ignore[arg-type]
        return decided[-1]

    gains = []
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        for name in ("polyu", "cc15"):
            for path in sorted((args.data / name / "noisy").iterdir()):
                whole = [np.asarray(Image.open(p).convert("L")) for p in (path, args.data / name / "clean" / path.name)]
                for row in (0, whole[0].shape[0] // 2 - args.crop // 2):
                    noisy, clean = (image[row : row + args.crop, args.crop // 2 :][:, : args.crop] for image in whole)
                    before = mashpix.psnr(clean, noisy, data_range=255)
                    found = []
                    for use in (lambda *_, **__: False, watched):
                        measuring._is_of_calm_parts = use  # type: ignore[assignment]
                        result = mashpix.denoise(noisy, settings="fast", device="cpu")
                        found.append(mashpix.psnr(clean, result, data_range=255) - before)
                    if decided and decided.pop():
                        table.add(name, path.name, row, *(round(value, 3) for value in (before, *found)))
                        gains.append(found)
    print(len(gains), "parts: mean", np.mean(gains, axis=0).round(2), "least", np.min(gains, axis=0).round(2))


if __name__ == "__main__":
    main()
