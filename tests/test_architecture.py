"""The rules of the house: which module may import which, and what is imported when."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {
    "PIL",
    "jinja2",
    "numpy",
    "onnx",
    "onnx_ir",
    "onnxruntime",
    "onnxruntime_qnn",
    "optuna",
    "pandas",
    "plotly",
    "scipy",
    "sympy",
    "torch",
}
AGENT = "snapq.boards.onboard.agent"
OPENS_ONNXRUNTIME = {
    "snapq.runtime",
    "snapq.bundle.snapq_io",
    "snapq.bundle.application.verify",
    f"{AGENT}.child",
    f"{AGENT}.session",
}
"""snapq_io, verify and the agent run on the board, without snapq."""


def test_imports_keep_the_contracts_of_pyproject() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-logo"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_stands_on_a_floor() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    floors = {
        module.strip()
        for contract in settings["contracts"]
        for layer in contract.get("layers", ())
        for module in layer.split(":")
    }
    modules = grimp.build_graph("snapq").modules - {"snapq"}
    packages = {floor.rpartition(".")[0] for floor in floors}
    homeless = {
        module
        for module in modules - packages
        if not any(module == floor or module.startswith(f"{floor}.") for floor in floors)
    }
    assert homeless == set()


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("snapq")
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    circle: list[str] = []
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        circle = error.args[1]
    assert not circle, " imports ".join(reversed(circle))


def test_onnxruntime_is_opened_in_one_place() -> None:
    graph = grimp.build_graph(
        "snapq", include_external_packages=True, exclude_type_checking_imports=True
    )
    assert graph.find_modules_that_directly_import("onnxruntime") <= OPENS_ONNXRUNTIME


@pytest.mark.parametrize(
    "code",
    [
        "import snapq",
        "import snapq.api",
        "import sys; sys.argv = ['snapq', '--help']; from snapq.cli.main import main; main()",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_used(code: str) -> None:
    report = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
    done = subprocess.run([sys.executable, "-c", report + code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert HEAVY & set(done.stderr.split()) == set()
