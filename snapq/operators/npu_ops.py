"""What the NPU runs and what not, told from the graph alone.

`npu_ops.yaml` has the operators, `npu_limits` what the NPU asks of some of them. `snapq.npu.qnn`
asks the provider itself and is right where the two differ: this is the answer where the provider
is not installed, and the reason and hint where it only says no.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import onnx_ir as ir

from snapq.graph.edits import constant, rank
from snapq.graph.shapes import format_shape, static_shape
from snapq.operators.npu_limits import MAX_RANK, limit_of
from snapq.storage import parse_yaml

_CLASSICAL = (
    "the NPU has no operators for decision trees and support vector machines",
    "Express the model with Gemm and element-wise operators.",
)


@dataclass(frozen=True)
class Unsupported:
    """A node that cannot run on the NPU, why, and what to do about it."""

    node: str
    op_type: str
    reason: str
    hint: str


@dataclass(frozen=True)
class OperatorTable:
    """The operators that the NPU has, and reason and hint for those that it has not."""

    accepted: frozenset[str]
    accepted_microsoft: frozenset[str]
    rejected: dict[str, tuple[str, str]]


@cache
def _table() -> OperatorTable:
    text = files(__package__).joinpath("npu_ops.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = parse_yaml(text)
    return OperatorTable(
        accepted=frozenset(data["accepted"]),
        accepted_microsoft=frozenset(data["accepted_microsoft"]),
        rejected={
            operator: (entry["reason"], entry["hint"])
            for entry in data["rejected"]
            for operator in entry["operators"]
        },
    )


def accepted() -> frozenset[str]:
    """Operators of the standard domain that run on the NPU."""
    return _table().accepted


def unsupported(model: ir.Model) -> tuple[Unsupported, ...]:
    """The nodes of the main graph that the NPU cannot run, in graph order."""
    found = []
    for node in model.graph:
        answer = _judge(node)
        if answer is not None:
            found.append(Unsupported(str(node.name), node.op_type, *answer))
    return tuple(found)


def _judge(node: ir.Node) -> tuple[str, str] | None:
    if node.domain == "ai.onnx.ml":
        return _CLASSICAL
    table = _table()
    if node.domain == "com.microsoft" and node.op_type not in table.accepted_microsoft:
        return f"the NPU provider has no {node.op_type}", "Export with standard ONNX operators."
    if node.domain not in ("", "com.microsoft"):
        return (
            f"'{node.op_type}' is an operator of the custom domain '{node.domain}'",
            "Export the model with standard ONNX operators.",
        )
    if node.domain == "" and node.op_type in table.rejected:
        return table.rejected[node.op_type]
    if node.domain == "" and node.op_type not in table.accepted:
        return (
            f"the NPU has no {node.op_type}",
            "Train the model with another operator, or cut it in front of this one.",
        )
    return _judge_values(node) or limit_of(node)


def _judge_values(node: ir.Node) -> tuple[str, str] | None:
    for value in (*node.inputs, *node.outputs):
        if value is None:
            continue
        dims = rank(value)
        if value.dtype == ir.DataType.STRING:
            return f"'{value.name}' holds text", "Do this part on the CPU."
        if value.dtype == ir.DataType.DOUBLE:
            return f"'{value.name}' holds 64-bit floats", "Let the prepare stage convert the model."
        if dims is not None and dims > MAX_RANK:
            return (
                f"'{value.name}' has {dims} dimensions, and the NPU takes {MAX_RANK}",
                "Merge dimensions with Reshape.",
            )
        if constant(value) is None and value.name and static_shape(value) is None:
            return (
                f"the shape {format_shape(value.shape)} of '{value.name}' is not fixed",
                "Give the shapes of all inputs under `model.inputs`.",
            )
    return None
