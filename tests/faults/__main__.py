"""The command behind benchmarks/faults.py: make all attempts of the parts named, count them and write the table."""

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.attempts import GOOD, OUTCOMES, Attempt
from faults.blocks import stop_blocks
from faults.cut import cut_files
from faults.disk import fill_disk
from faults.kills import kill_batches
from faults.mutations import mutate_files
from faults.page import renew_page
from faults.torn import kill_writers
from faults.two import run_two
from faults.writes import fail_writes
from faults.zoo import visit_zoo

PARTS: dict[str, Callable[..., Iterator[Attempt]]] = {
    "zoo": visit_zoo,
    "cut": cut_files,
    "mutations": mutate_files,
    "writes": fail_writes,
    "disk": fill_disk,
    "two": run_two,
    "torn": kill_writers,
    "kills": kill_batches,
    "blocks": stop_blocks,
}
CSV = Path(__file__).parents[2] / "benchmarks" / "faults.csv"
MEMORY_DISK = Path("/dev/shm")
"""Where files are made, if it is there: what is synchronised costs no time then."""
COLUMNS = ("part", "tried", *OUTCOMES, "seconds", "seed", "commit")


def count(part: str, *, quick: bool, seed: int) -> tuple[Counter[str], float]:
    """Make all attempts of a part, tell which went wrong, and count."""
    started, counts = time.monotonic(), Counter[str]()
    for attempt in PARTS[part](quick=quick, seed=seed):
        counts[attempt.outcome] += 1
        if attempt.outcome not in GOOD or attempt.outcome == "skipped":
            print(f"{part}: {attempt.outcome}: {attempt.name}: {attempt.detail[:2000]}", flush=True)
        elif sys.stderr.isatty():
            print(f"\r{part} {counts.total()}", end="", file=sys.stderr, flush=True)
    return counts, time.monotonic() - started


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    """Replace the lines of these parts in a CSV; those of other parts stay."""
    old: list[dict[str, object]] = []
    if path.exists():
        with path.open(newline="") as file:
            old = list(csv.DictReader(file))
    lines = {row["part"]: row for row in (*old, *rows)}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines[part] for part in PARTS if part in lines)


def print_table(rows: list[dict[str, object]]) -> None:
    """The counts as a table, with their sums."""
    columns = COLUMNS[: 2 + len(OUTCOMES)]
    sums = {"part": "all"} | {name: sum(int(row[name]) for row in rows) for name in columns[1:]}
    for row in (dict(zip(columns, columns, strict=True)), *rows, sums):
        print(f"{row['part']:<10}" + "".join(f"{row[name]:>10}" for name in columns[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(
        "benchmarks/faults.py", description="Make mashpix misbehave, and count what becomes of it."
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="a share of each part")
    parser.add_argument("--csv", type=Path, default=CSV)
    parser.add_argument("--page", action="store_true", help="try nothing, renew the tables of docs/faults.md")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.page:
        renew_page(args.csv)
        return
    if MEMORY_DISK.is_dir():
        tempfile.tempdir = str(MEMORY_DISK)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    rows, bad = [], 0
    for part in args.parts or PARTS:
        counts, seconds = count(part, quick=args.quick, seed=args.seed)
        bad += sum(number for outcome, number in counts.items() if outcome not in GOOD)
        values = (part, counts.total(), *(counts[outcome] for outcome in OUTCOMES), round(seconds, 1), args.seed)
        rows.append(dict(zip(COLUMNS, (*values, commit), strict=True)))
        write_rows(args.csv, rows)
        print(f"\r{part}: {counts.total()} attempts, {seconds:.0f} s", flush=True)
    print_table(rows)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
