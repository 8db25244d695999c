"""The files of instruments in ../shared/data/formats, denoised by mashpix and looked at by programs of others."""

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

from mashpix.axes import plane_groups
from mashpix.cli import app
from mashpix.files import open_file
from measured_page import NOBODY, markdown
from programs import PIXELS, same_tags, there

QUICK = ("--masking-ratio", "0.5", "--steps", "3",
         "--network-channels", "4", "--depth", "2", "--masks", "1", "--threads", "1",
         "--no-refine", "--no-tone-correction")  # fmt: skip
FOLDER = Path(__file__).parents[3] / "shared" / "data" / "formats"
HEADS = ("file", "read as", "said", "pixels confirmed by", "tags confirmed by")


def see(path: Path) -> tuple[str, Any]:
    """What mashpix takes a file for, and its pixels, planes one below another."""
    with open_file(path) as opened:
        [planes] = plane_groups(opened.axes, opened.shape, joint=False)
        pixels = np.concatenate([opened[plane[0]] for plane in planes])
        kind = f"{' x '.join(map(str, opened.shape))} {opened.dtype}"
        return f"{opened.axes} {kind}" if opened.is_stack else kind, pixels


def row(source: Path) -> list[str]:
    """One file: a few updates are enough to change its pixels.

    Raises `AssertionError` if a program sees other pixels than were written, or other tags without a line of warning.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / source.name
        done = CliRunner().invoke(app, ["denoise", str(source), "-o", str(target), *QUICK])
        assert done.exit_code == 0, done.output
        progress = ".* left$"  # a line now and then on a busy machine
        said = re.findall(rf"^mashpix: {re.escape(repr(str(source)))}: (?!{progress})(.*)$", done.output, re.MULTILINE)
        (kind, before), (after_kind, after) = see(source), see(target)
        assert after_kind == kind
        assert not np.array_equal(before, after)
        tags = same_tags(source, target, said)
        readers = [name for name in PIXELS if name in there() and _confirms(name, source, before)]
        for name in readers:
            assert _confirms(name, target, after), f"{name} reads other pixels of {source.name} than were written"
    return [source.name, kind, "; ".join(said) or NOBODY, ", ".join(readers) or NOBODY, ", ".join(tags) or NOBODY]


def _confirms(name: str, path: Path, expected: Any) -> bool:
    """Whether a program sees these pixels."""
    try:
        found = PIXELS[name](path)
    except Exception:  # each fails as it likes on what it cannot read
        return False
    return found.dtype == expected.dtype and np.array_equal(found, expected)


def instrument_files() -> list[Path]:
    """The files, the smallest first."""
    return sorted(FOLDER.glob("*.tif*"), key=lambda path: path.stat().st_size)


def instrument_table(sources: list[Path]) -> str:
    """The table, measured."""
    return markdown(HEADS, [row(source) for source in sorted(sources)])
