"""Laws of what library code says: it names options by their Python names, and never a flag of the command line."""

import ast
import re
from pathlib import Path

import pytest

import mashpix
from mashpix.cli.console import spell_flag
from mashpix.errors import spelled

SOURCE = Path(mashpix.__file__).parent
FLAG = re.compile(r"(?<![\w-])--[a-z]")
SPELLS_FLAGS = {"cli", "commands.py"}  # the command line, and the page's "copy as command"
MODULES = [path for path in SOURCE.rglob("*.py") if not SPELLS_FLAGS & {*path.relative_to(SOURCE).parts}]


def strings_of(path):
    """All strings of a module that are not docstrings or comments on constants."""
    tree = ast.parse(path.read_text())
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_message_names_a_flag(path):
    assert [text for text in strings_of(path) if FLAG.search(text)] == []


def test_options_that_messages_name_are_options():
    """A name in backquotes is a keyword of some function of the library, or a field of a request or of `Settings`."""
    known = {
        item.arg if isinstance(item, ast.arg) else item.target.id
        for path in SOURCE.rglob("*.py")
        for item in ast.walk(ast.parse(path.read_text()))
        if isinstance(item, ast.arg) or (isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name))
    }
    named = {name for path in MODULES for text in strings_of(path) for name in re.findall(r"`([a-z_]+)`", text)}
    assert named
    assert named <= known, sorted(named - known)


def test_the_command_line_spells_them_as_flags():
    message = "the output exists (`overwrite` replaces it, `max_pixels` allows more)"
    assert spelled(message, spell_flag) == "the output exists (--overwrite replaces it, --max-pixels allows more)"
    assert spelled("no option here", spell_flag) == "no option here"
