"""The tables of docs/faults.md: the counts of faults.csv, and what every input of the zoo gets."""

import csv
import re
from itertools import groupby
from pathlib import Path

from faults.attempts import OUTCOMES
from faults.zoo import Case, list_cases

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
COUNTS, INPUTS = "counts", "inputs"
ENDINGS = {2: "2, usage", 3: "3, device", 129: "129", 130: "130", 143: "143"}


def renew_page(counts: Path) -> None:
    """Put both tables into the page."""
    text = PAGE.read_text(encoding="utf-8")
    for name, table in ((COUNTS, count_table(counts)), (INPUTS, input_table())):
        start, end = (re.escape(mark) for mark in marks(name))
        text = re.sub(f"(?s)({start}\n).*({end})", lambda found, table=table: found[1] + table + found[2], text)
    PAGE.write_text(text, encoding="utf-8")


def marks(name: str) -> tuple[str, str]:
    """The lines before and behind a table."""
    return f"<!-- {name}: made by benchmarks/faults.py --page -->", f"<!-- end of {name} -->"


def count_table(path: Path) -> str:
    """A line for each part, and their sums."""
    columns = ("part", "tried", *OUTCOMES)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    sums = {"part": "all"} | {name: str(sum(int(row[name]) for row in rows)) for name in columns[1:]}
    return _table(columns, [[row[name] for name in columns] for row in (*rows, sums)])


def input_table() -> str:
    """What each input of the zoo gets, inputs of one answer in one line."""
    cases = list_cases()
    rows = list(dict.fromkeys(case.row for case in cases))

    def answer(case: Case) -> tuple[int, int, bool, str]:
        return rows.index(case.row), case.code, case.is_same, case.message

    lines = []
    for (row, code, is_same, message), group in groupby(sorted(cases, key=answer), answer):
        names = "; ".join(case.name for case in group)
        result = ENDINGS.get(code, str(code)) if code else "unchanged" if is_same else "denoised"
        said = "" if message.startswith(r"\A") else message.replace("|", " or ").replace("\\", "")
        lines.append([rows[row], names, result, said])
    return _table(("what", "inputs", "exit code, or result", "said"), lines)


def _table(columns: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [list(columns), ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
