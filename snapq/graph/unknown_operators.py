"""Operators that neither ONNX nor ONNX Runtime has, which exporters leave in models."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from snapq.errors import ModelError
from snapq.graph.edit import short_name
from snapq.graph.runtime_operators import UNDECLARED

__all__ = ["refuse_unknown_operators"]

_OF_ONNX = ("", "ai.onnx", "ai.onnx.ml")
_COMPUTED = ("com.microsoft", "com.ms.internal", "ai.onnx.", "pkg.onnxscript")
"""What other domains begin with whose operators ONNX Runtime may compute."""
_LAYOUTS = ("com.microsoft.nchwc", "com.ms.internal.nhwc")


def refuse_unknown_operators(model: ir.Model) -> None:
    """Refuses a model with operators that nothing computes but the tool that wrote it.

    1. An operator in ONNX's own domains that ONNX has in no version (tf2onnx leaves TFL_GELU).
    2. An operator of a domain of another tool, without a function in the model that says what it
       does (Quark's ExtendedQuantizeLinear).
    3. An operator of ONNX Runtime for the layout that one processor likes (`com.microsoft.nchwc`).

    Raises:
        ModelError: the first one is named, with how many there are.
    """
    found: dict[tuple[str, str], list[ir.Node]] = {}
    for graph in (*model.graphs(), *model.functions.values()):
        for node in graph:
            if _is_unknown(node, model):
                found.setdefault((node.domain, node.op_type), []).append(node)
    for (domain, op_type), nodes in found.items():
        if domain in _LAYOUTS:
            raise ModelError(
                f"'{short_name(nodes[0])}' is laid out for the processor on which ONNX Runtime "
                f"optimized the model ({op_type} of {domain}).",
                hint="Give the model as it was, or save it at ORT_ENABLE_EXTENDED at most.",
            )
        whose = "ONNX does not have" if domain in _OF_ONNX else f"only the runtime of {domain} has"
        more = f" ({len(nodes)} such nodes)" if len(nodes) > 1 else ""
        raise ModelError(
            f"'{short_name(nodes[0])}' is of the operator {op_type}, which {whose}{more}.",
            hint="Export it with operators of ONNX (a Q/DQ model with QuantizeLinear and "
            "DequantizeLinear of 8 or 16 bits), give the float model, or cut in front of it "
            "(`model.outputs`).",
        )


def _is_unknown(node: ir.Node, model: ir.Model) -> bool:
    if node.op_identifier() in model.functions:
        return False
    if node.domain in _LAYOUTS:
        return True
    if node.domain in _OF_ONNX:
        return node.op_type not in UNDECLARED and not onnx.defs.has(
            node.op_type, "" if node.domain == "ai.onnx" else node.domain
        )
    return not node.domain.startswith(_COMPUTED)
