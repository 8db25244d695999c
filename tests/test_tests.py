"""Laws of tests and benchmarks: what they share lies in helpers, and the lists of both name all there is."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = sorted((ROOT / "tests").glob("test_*.py"))
PROGRAMS = sorted(path for place in ("tests", "benchmarks", "examples") for path in (ROOT / place).rglob("*.py"))


def imports_of(path):
    """Modules that a file imports, those inside functions too."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    found = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    return found | {item.name for node in nodes if isinstance(node, ast.Import) for item in node.names}


def test_no_module_imports_a_test_module():
    names = {path.stem for path in TESTS}
    assert {path.name: both for path in PROGRAMS if (both := imports_of(path) & names)} == {}


def test_nobody_changes_the_path_of_imports():
    places = {path.name: ast.walk(ast.parse(path.read_text(encoding="utf-8"))) for path in PROGRAMS}
    assert [name for name, nodes in places.items() for node in nodes if ast.unparse(node) == "sys.path"] == []


@pytest.mark.parametrize("place", ["tests/helpers", "tests/faults", "benchmarks"])
def test_every_file_is_listed_with_what_it_is_for(place):
    text = (ROOT / place / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in (ROOT / place).glob("*.py")} - {"__init__.py"}
    assert {name for name in files if f"`{name}`" not in text} == set()
