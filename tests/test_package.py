"""Laws of the package: the public names, a quick start without torch, imports that point down only."""

import ast
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import mashpix
from mashpix.jobs.batch.manifest import MANIFEST

SOURCE = Path(mashpix.__file__).parent

LAYERS = [  # each package may import from those above it only; modules of the ground from one another, without circles
    {"errors", "settings", "axes", "deprecation", "devices", "durations", "extras"}
    | {"metrics", "missing", "notebook", "padding", "picture", "report", "steps", "tiling"},
    {"files", "refine", "simulation"},
    {"noise_estimation", "method"},
    {"arrays"},
    {"trust"},
    {"noise_report"},
    {"jobs"},
    {"evaluation"},
    {"web", "cluster"},
    {"cli"},
    {"noise", "__main__"},  # the former name of simulation; `python -m mashpix`
]


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_every_line_of_the_stub_is_a_public_name():
    imports = [
        node for node in ast.parse(SOURCE.joinpath("__init__.pyi").read_text()).body if isinstance(node, ast.ImportFrom)
    ]
    assert [item.asname for node in imports for item in node.names] == [
        item.name for node in imports for item in node.names
    ]
    assert mashpix.__all__ == sorted(item.name for node in imports for item in node.names)


def test_public_names_are_there():
    assert all(getattr(mashpix, name) is not None for name in mashpix.__all__)
    assert set(mashpix.__all__) <= set(dir(mashpix))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'denoize'"):
        mashpix.denoize  # noqa: B018


@pytest.mark.parametrize("code", ["import mashpix", "import mashpix.cli", "import mashpix.files, mashpix.simulation"])
def test_torch_is_imported_only_where_it_is_used(code):
    assert run(f"{code}\nimport sys\nprint('torch' in sys.modules)") == "False\n"


def test_no_optional_package_is_imported():
    used = run(
        "import mashpix.arrays.denoising, mashpix.evaluation.timed_process, mashpix.cli, sys\n"
        "optional = {'skimage', 'cv2', 'pywt', 'matplotlib', 'zarr', 'bioio', 'pylibCZIrw', 'rawpy', 'distributed'}\n"
        "print(optional & set(sys.modules))"
    )
    assert used == "set()\n"


def module_of(path):
    """Dotted name of a module below `mashpix`."""
    return ".".join(part for part in path.relative_to(SOURCE).with_suffix("").parts if part != "__init__")


def imports_of(path):
    """Dotted names of the modules of `mashpix` that a file imports, those inside functions and for types too."""
    known = {module_of(other) for other in SOURCE.rglob("*.py")}
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mashpix":
            place = node.module.partition(".")[2]
            names = [f"{place}.{item.name}".strip(".") for item in node.names]
            found |= {name if name in known else place for name in names}
        elif isinstance(node, ast.Import):
            found |= {item.name.partition(".")[2] for item in node.names if item.name.startswith("mashpix.")}
    return found - {""}


def test_imports_point_down():
    level = {name: index for index, layer in enumerate(LAYERS) for name in layer}
    for path in SOURCE.rglob("*.py"):
        own = module_of(path).split(".")[0]
        if own == "":
            continue
        assert own in level, f"{own} is in no layer"
        for name in imports_of(path):
            other = name.split(".")[0]
            if other != own:
                allowed = level[other] < level[own] or level[other] == level[own] == 0
                assert allowed, f"{module_of(path)} imports {name}"


def test_no_module_imports_itself_through_others():
    graph = {module_of(path): imports_of(path) for path in SOURCE.rglob("*.py") if module_of(path)}
    while free := {name for name, imports in graph.items() if not imports & graph.keys()}:
        graph = {name: imports for name, imports in graph.items() if name not in free}
    assert not graph, f"in a circle, or behind one: {sorted(graph)}"


def test_every_module_that_is_named_in_a_string_is_there():
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and re.fullmatch(r"mashpix(\.\w+)+\.?", str(node.value)):
                name = node.value.rstrip(".")
                assert name == MANIFEST or find_spec(name), f"{module_of(path)} names {name}"


def test_the_method_does_no_input_or_output():
    for package in ("method", "refine", "arrays", "trust", "noise_estimation", "noise_report"):
        for path in (SOURCE / package).glob("*.py"):
            calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            assert not {call.id for call in calls if isinstance(call, ast.Name)} & {"print", "open", "input"}
