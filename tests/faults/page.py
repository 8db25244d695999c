"""The tables of docs/faults.md: the counts of faults.csv, and what every input of the zoo gets."""

import csv
from itertools import groupby
from pathlib import Path

from faults.attempts import OUTCOMES
from faults.case import Case
from faults.zoo import list_cases
from measured_page import markdown, write_part

PAGE = "faults.md"
ENDINGS = {2: "2, usage", 3: "3, device", 129: "129", 130: "130", 143: "143"}


def renew_page(counts: Path) -> None:
    """Put both tables into the page."""
    write_part("counts", count_table(counts), PAGE)
    write_part("inputs", input_table(), PAGE)


def count_table(path: Path) -> str:
    """One row per part, and their sums."""
    columns = ("part", "tried", *OUTCOMES)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    sums = {"part": "all"} | {name: str(sum(int(row[name]) for row in rows)) for name in columns[1:]}
    return markdown(columns, [[row[name] for name in columns] for row in (*rows, sums)])


def input_table() -> str:
    """What each input of the zoo gets, inputs with the same answer in one row."""
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
    return markdown(("what", "inputs", "exit code, or result", "said"), lines)
