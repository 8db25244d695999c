"""The zoo, second part: values and shapes that make an estimate fail."""

from typing import Any

import numpy as np

from bad_files import saved
from faults.case import Case

RNG = np.random.default_rng(0)
NOISY = (100 + 10 * RNG.normal(size=(24, 40))).astype(np.float32)
WIDE = NOISY.astype(np.float64)
COLOURS = np.dstack([NOISY, NOISY[::-1], NOISY + 1])


def put(where: Any, value: float, array: Any = NOISY) -> Any:
    """A copy with a value at some places."""
    changed = array.copy()
    changed[where] = value
    return changed


def case(row: str, name: str, array: Any, message: str = "", code: int = 0, **options: Any) -> Case:
    """An array as an NPY file."""
    return Case(row=row, name=name, build=saved(array, "npy"), code=code, message=message, source="a.npy", **options)


def with_blank(*, value: float = 7, planes: tuple[int, ...] = (0, 2)) -> Any:
    """A stack of five planes, some of them blank."""
    stack = np.stack([NOISY + 3 * RNG.normal(size=NOISY.shape) for _ in range(5)]).astype(np.float32)
    stack[list(planes)] = value
    return stack


MOST = np.ones(NOISY.shape, bool)
MOST.flat[::200] = False
HOLES, FLAT, RANGE, SIZES, TYPES = (
    "NaN or infinite pixels",
    "constant",
    "saturated, hot or few levels",
    "sizes",
    "integers and floats of every width",
)
CONSTANT = {"message": "constant, left as it is", "is_same": True}
SMALL = {"message": "too small to denoise", "code": 1}
PIXELS = [
    case(HOLES, "one NaN", put((3, 5), np.nan)),
    case(HOLES, "one infinity", put((3, 5), np.inf)),
    case(HOLES, "both infinities and a NaN", put((0, 0), -np.inf, put((3, 5), np.inf, put((9, 9), np.nan)))),
    case(HOLES, "a stripe of NaN", put(np.s_[5:9], np.nan)),
    case(HOLES, "a stripe of minus infinity", put(np.s_[:, 5:9], -np.inf)),
    case(HOLES, "half NaN", put(np.s_[12:], np.nan)),
    case(HOLES, "every other pixel NaN", put(np.indices(NOISY.shape).sum(0) % 2 == 0, np.nan)),
    case(HOLES, "more than 99 % NaN", put(MOST, np.nan), "hardly any pixels with data", 1),
    case(HOLES, "all NaN", put(np.s_[:], np.nan), "hardly any pixels with data", 1),
    case(HOLES, "one channel all NaN", put(np.s_[..., 1], np.nan, COLOURS)),
    case(HOLES, "float16 with infinities", put((3, 5), np.inf, NOISY.astype(np.float16))),
    case(HOLES, "constant but for a NaN", put((3, 5), np.nan, np.full_like(NOISY, 7)), **CONSTANT),
    case(FLAT, "black", np.zeros((24, 40), np.uint8), **CONSTANT),
    case(FLAT, "white", np.full((24, 40), 255, np.uint8), **CONSTANT),
    case(FLAT, "white, 16 bit, RGB", np.full((24, 40, 3), 65535, np.uint16), **CONSTANT),
    case(FLAT, "a negative float", np.full((24, 40), -1e9), **CONSTANT),
    case(FLAT, "one channel constant", put(np.s_[..., 1], 7, COLOURS)),
    case(RANGE, "saturated areas", np.clip(NOISY * 2 - 100, 90, 110).astype(np.uint8)),
    case(RANGE, "one hot pixel", put((3, 5), 1e9)),
    case(RANGE, "one hot pixel on black", put((3, 5), 255, np.zeros((24, 40), np.uint8))),
    case(RANGE, "two levels", (NOISY > 100).astype(np.uint8)),
    case(RANGE, "chessboard", np.indices((24, 40)).sum(0).astype(np.uint8) % 2 * 255),
    case(RANGE, "12 bits in 16", (NOISY * 20).astype(np.uint16)),
    case(RANGE, "float from -1 to 1", NOISY / 50 - 2),
    case(SIZES, "1 x 1", NOISY[:1, :1], **SMALL),
    case(SIZES, "1 x 40", NOISY[:1], **SMALL),
    case(SIZES, "40 x 1", NOISY[:, :1], **SMALL),
    case(SIZES, "3 x 3", NOISY[:3, :3], **SMALL),
    case(SIZES, "7 x 40", NOISY[:7], **SMALL),
    case(SIZES, "no rows", NOISY[:0], "holds no pixels", 1),
    case(SIZES, "no planes", np.zeros((0, 24, 40)), "truncated or damaged NPY|holds no pixels", 1),
    case(SIZES, "8 x 8", NOISY[:8, :8]),
    case(SIZES, "17 x 31", NOISY[:17, :31]),
    case(SIZES, "10 x 10,000", 100 + 10 * RNG.normal(size=(10, 10_000)).astype(np.float32)),
    case(SIZES, "10,000 x 10", 100 + 10 * RNG.normal(size=(10_000, 10)).astype(np.float32)),
    case(SIZES, "planes of 4 x 4", np.zeros((9, 5, 6)) + np.arange(6), "too small to denoise", 1, lines=2),
    case(TYPES, "int8", (NOISY - 100).astype(np.int8)),
    case(TYPES, "int16 with negatives", (NOISY * 10 - 1024).astype(np.int16)),
    case(TYPES, "int32", (NOISY * 1e7 - 1e9).astype(np.int32)),
    case(TYPES, "uint32 up to its limit", put((3, 5), 2**32 - 1, (WIDE * 2e7).astype(np.uint32))),
    case(TYPES, "int64 up to its limit", put((3, 5), 2**63 - 1, (WIDE * 1e15).astype(np.int64))),
    case(TYPES, "uint64 up to its limit", put((3, 5), 2**64 - 1, (WIDE * 1e15).astype(np.uint64))),
    case(TYPES, "float16 near its limit", (NOISY * 500).astype(np.float16)),
    case(TYPES, "float32 up to its limit", put((3, 5), np.finfo("f4").max, put((5, 3), np.finfo("f4").min))),
    case(TYPES, "float64 of 1e300", WIDE * 1e300, "values too far apart", 1),
    case(TYPES, "float64 up to its limits", put((3, 5), np.finfo("f8").max, put((5, 3), np.finfo("f8").min, WIDE)),
         "hot pixels 1, dead pixels 1"),
    case(TYPES, "float64 of 1e-300", WIDE * 1e-300),
    case(TYPES, "float64 of 1e-300, RGB", np.dstack([WIDE, WIDE + 1, WIDE + 2]) * 1e-300),
    case(TYPES, "float32 subnormal", (NOISY * 1e-42).astype(np.float32)),
    case(TYPES, "float128", NOISY.astype(np.longdouble)),
    case(TYPES, "big-endian float", NOISY.astype(">f4")),
    case("blank planes in stacks", "two of five", with_blank()),
    case("blank planes in stacks", "all five", with_blank(planes=(0, 1, 2, 3, 4)), is_same=True),
    case("blank planes in stacks", "one of NaN", with_blank(value=np.nan, planes=(1,))),
    case("blank planes in stacks", "all of NaN", with_blank(value=np.nan, planes=(0, 1, 2, 3, 4)), is_same=True),
    case("training that diverges", "learning rate of 10^30", NOISY, "the fit diverged twice", 1,
         arguments=("a.npy", "-o", "out.npy", "--learning-rate", "1e30")),
]  # fmt: skip
