"""Provoke every fault that docs/faults.md lists, and count the outcomes: lost must be 0.

    python benchmarks/faults.py                      # all parts: about half an hour
    python benchmarks/faults.py zoo cut --quick      # a sample of some parts
    python benchmarks/faults.py --csv faults.csv     # path of the counts; default: beside this script
    python benchmarks/faults.py --page               # only update the tables of docs/faults.md

The parts are in `tests/faults`, and the tests run a sample of them; this command runs them from there.
"""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"

if __name__ == "__main__":
    paths = (str(TESTS), str(TESTS / "helpers"), os.environ.get("PYTHONPATH"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    sys.exit(subprocess.call([sys.executable, "-P", "-m", "faults", *sys.argv[1:]], env=environment))
