"""Code asks the table for a class of operators; it lists operators only where it treats each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import snapq
from snapq.operators import TABLE

ROOT = Path(snapq.__file__).parent
MOST = 5
"""Operators that a list may name without a reason below."""
EXECUTABLE = ("operators", "training/operators", "pruning/rules")
TREATED_ONE_BY_ONE = {
    "graph/foreign.py": "operators that neither crash nor take more than their outputs' shapes say",
    "graph/passes/algebra.py": "has the arithmetic of each",
    "graph/passes/lower/lower_volumes.py": "operators that the NPU has over maps alone",
    "graph/passes/npu_speed/compose_affine_rows.py": "knows what each does to a sum of products",
    "graph/passes/npu_workarounds/truncate_casts.py": "knows whose results are never negative",
    "graph/passes/simplify/remove_no_ops.py": "has a condition for each",
    "quantization/precision_rules/codebooks.py": "what writes a distance to the rows of a codebook",
    "quantization/existing_qdq/integers.py": "what operators of quantized models mean on integers",
    "llm/pairs/flow.py": "what exporters write between a layer and the cache",
    "llm/pairs/ports.py": "what exporters write between the cache and attention",
    "graph/opset_changes.py": "operators whose axes moved in one version of ONNX",
}


def lists() -> Iterator[tuple[str, list[str]]]:
    """Module and names of each literal tuple, list and set of operators."""
    for path in sorted(ROOT.rglob("*.py")):
        module = path.relative_to(ROOT).as_posix()
        if module.startswith(EXECUTABLE):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Tuple | ast.List | ast.Set):
                names = [item.value for item in node.elts if isinstance(item, ast.Constant)]
                found = [name for name in names if isinstance(name, str) and name in TABLE]
                if found:
                    yield module, found


def test_long_lists_of_operators_have_a_reason() -> None:
    found = list(lists())
    assert len(found) > 20
    assert {module for module, names in found if len(names) > MOST} == set(TREATED_ONE_BY_ONE)
