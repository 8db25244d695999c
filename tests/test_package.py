"""Laws of the package: the public names, a quick start without torch, imports that point down only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mashpix

SOURCE = Path(mashpix.__file__).parent

LAYERS = [  # each module may import from those above it only
    {"errors", "tiling"},
    {"axes", "blocks", "devices", "extras", "noise_report"},
    {"noise_covariance", "spectrum"},
    {
        "grouping",
        "noise_law",
        "settings",
        "report",
        "masking",
        "shuffling",
        "network",
        "metrics",
        "images",
        "noise",
        "files",
        "baselines",
    },
    {"figures", "noise_level", "predicting", "recipe", "refining", "whitening", "comparing", "model_origin"},
    {"fitting", "detail", "likeness", "noise_kind"},
    {"correlation", "checking"},
    {"html", "verdicts"},
    {"method"},
    {"model"},
    {"denoising"},
    {"planes", "model_file", "inspecting", "measuring"},
    {"stacks", "batch", "inspecting_stacks"},
    {"cli"},
]


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_public_names_are_sorted_and_there():
    assert sorted(mashpix._HOMES) == sorted(mashpix.__all__)
    assert all(getattr(mashpix, name) is not None for name in mashpix.__all__)
    assert set(mashpix.__all__) <= set(dir(mashpix))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'denoize'"):
        mashpix.denoize  # noqa: B018


@pytest.mark.parametrize("code", ["import mashpix", "import mashpix.cli", "import mashpix.files, mashpix.noise"])
def test_torch_is_imported_only_where_it_is_used(code):
    assert run(f"{code}\nimport sys\nprint('torch' in sys.modules)") == "False\n"


def test_no_optional_package_is_imported():
    used = run(
        "import mashpix.denoising, mashpix.measuring, mashpix.cli, sys\n"
        "optional = {'skimage', 'cv2', 'pywt', 'matplotlib', 'zarr', 'bioio', 'pylibCZIrw', 'rawpy'}\n"
        "print(optional & set(sys.modules))"
    )
    assert used == "set()\n"


def module_of(path):
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return parts[0]


def test_imports_point_down():
    level = {name: index for index, layer in enumerate(LAYERS) for name in layer}
    for path in SOURCE.rglob("*.py"):
        own = module_of(path)
        if own == "__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module] if node.module != "mashpix" else [f"mashpix.{item.name}" for item in node.names]
            elif isinstance(node, ast.Import):
                names = [item.name for item in node.names]
            for name in names:
                parts = name.split(".")
                if parts[0] == "mashpix" and len(parts) > 1 and parts[1] in level and parts[1] != own:
                    assert level[parts[1]] < level[own], f"{path.name} imports {name}"


def test_the_method_does_no_input_or_output():
    for name in (
        "denoising",
        "method",
        "model",
        "planes",
        "stacks",
        "fitting",
        "correlation",
        "predicting",
        "masking",
        "shuffling",
        "network",
        "images",
        "refining",
        "blocks",
        "grouping",
        "spectrum",
        "whitening",
        "checking",
        "likeness",
        "detail",
        "comparing",
        "inspecting",
        "noise_covariance",
        "noise_kind",
        "noise_law",
        "noise_level",
    ):
        calls = [
            node.func for node in ast.walk(ast.parse((SOURCE / f"{name}.py").read_text())) if isinstance(node, ast.Call)
        ]
        assert not {call.id for call in calls if isinstance(call, ast.Name)} & {"print", "open", "input"}
