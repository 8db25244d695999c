"""The measured parts of the pages in docs: found, replaced, and compared as far as the same programs are here.

Such a part lies between `<!-- NAME: made by COMMAND -->` and `<!-- end -->`: the command renews it, and a test fails
where it is not what is measured today.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from programs import PROGRAMS, versions

DOCS = Path(__file__).parents[2] / "docs"
FORMATS = "formats.md"
KINDS_MARK, FILES_MARK, PROGRAMS_MARK = "table of kinds", "table of files", "programs"
"""What docs/formats.md calls these parts."""
NOBODY = "–"


def read_part(mark: str, page: str = FORMATS) -> str:
    """A part of a page."""
    return _find(mark, (DOCS / page).read_text(encoding="utf-8"))[2].strip()


def write_part(mark: str, text: str, page: str = FORMATS) -> None:
    """Put another text there."""
    path = DOCS / page
    before = path.read_text(encoding="utf-8")
    found = _find(mark, before)
    path.write_text(f"{before[: found.start(2)]}{text}{before[found.end(2) :]}", encoding="utf-8")


def _find(mark: str, text: str) -> re.Match[str]:
    found = re.search(rf"(<!-- {mark}: made by [^\n]* -->\n\n)(.*?)(?=\n\n<!-- end -->)", text, re.DOTALL)
    assert found is not None, f"there is no part {mark!r}"
    return found


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows))


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
