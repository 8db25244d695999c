"""The measured parts of docs/formats.md: found, replaced, and compared as far as the same programs are here."""

import re
from pathlib import Path

from programs import PROGRAMS, versions

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
KINDS_MARK, FILES_MARK, PROGRAMS_MARK = "table of kinds", "table of files", "programs"
"""What the page calls these parts."""
NOBODY = "–"
END = "<!-- end -->"


def read_part(mark: str) -> str:
    """A part of the page."""
    return PAGE.read_text().partition(_start(mark))[2].partition(END)[0].strip()


def write_part(mark: str, text: str) -> None:
    """Put another text there."""
    before, _, rest = PAGE.read_text().partition(_start(mark))
    PAGE.write_text(f"{before}{_start(mark)}\n\n{text}\n\n{END}{rest.partition(END)[2]}")


def _start(mark: str) -> str:
    return f"<!-- {mark}: made by tests/helpers/fidelity.py -->"


def name_programs() -> str:
    """The programs that are here, with their versions."""
    return f"Programs: {', '.join(f'{name} {version}' for name, version in versions().items())}."


def comparable(table: str) -> str:
    """A table without what programs find that are not here in the version that the page names."""
    named = re.split(r"[ ,]+", read_part(PROGRAMS_MARK).rstrip("."))
    same = {name for name, version in versions().items() if version in named[named.index(name) + 1 :][:1]}
    others = "|".join(rf"{name}(?: \(\d+ differ\))?" for name in PROGRAMS if name not in same)
    cells = [cell for line in table.splitlines() for cell in line.strip("| ").split(" | ")]
    names = [[name for name in cell.split(", ") if not re.fullmatch(others, name)] for cell in cells]
    return "\n".join(", ".join(cell) or NOBODY for cell in names)
