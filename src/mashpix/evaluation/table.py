"""A CSV that grows with each measurement: one frozen dataclass per line, whose fields are the columns."""

import csv
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from io import StringIO
from math import nan
from pathlib import Path
from typing import Any, TypeVar

from mashpix.errors import FileError


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One measurement and one line of a CSV: the fields with a default are results, the others identify it."""

    @property
    def key(self) -> tuple[object, ...]:
        """What identifies the measurement."""
        return tuple(getattr(self, item.name) for item in fields(self) if item.default is MISSING)


Line = TypeVar("Line", bound=Measured)


def columns(kind: type[Measured]) -> tuple[str, ...]:
    """Return the names of the columns."""
    return tuple(item.name for item in fields(kind))


def append_rows(path: Path, rows: Sequence[Measured]) -> None:
    """Append lines to a CSV in one write; a new file gets its header first. NaN becomes an empty cell."""
    text = StringIO()
    writer = csv.DictWriter(text, columns(type(rows[0])), lineterminator="\n")
    if not path.exists() or not path.stat().st_size:
        writer.writeheader()
    for row in rows:
        writer.writerow({name: "" if value != value else value for name, value in asdict(row).items()})
    try:
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())
    except OSError as error:
        raise FileError(f"{str(path)!r}: cannot be written ({error.strerror})") from None


def read_rows(path: Path, kind: type[Line]) -> list[Line]:
    """Read the lines of a CSV that `append_rows` wrote; `FileError` for any other file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{str(path)!r}: cannot be read ({error})") from None
    if text and not text.endswith("\n"):
        raise FileError(f"{str(path)!r}: the last line is cut off (remove it to go on)")
    reader = csv.reader(StringIO(text, newline=""))
    if text and tuple(next(reader)) != columns(kind):
        raise FileError(
            f"{str(path)!r}: not a CSV of this version of mashpix (columns {','.join(columns(kind))} needed)"
        )
    try:
        return [_parse_row(cells, kind) for cells in reader]
    except ValueError:
        raise FileError(f"{str(path)!r}: damaged in line {reader.line_num} (remove it to go on)") from None


def _parse_row(cells: list[str], kind: type[Line]) -> Line:
    values: dict[str, Any] = {}
    for item, cell in zip(fields(kind), cells, strict=True):
        type_: Any = item.type
        values[item.name] = float(cell or nan) if type_ is float else type_(cell)
    return kind(**values)
