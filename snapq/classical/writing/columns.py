"""Sums of columns as a product, or one by one where a value is not finite."""

from __future__ import annotations

import numpy as np
import onnx

from snapq.classical.program import Step
from snapq.classical.program.steps.columns import matrix
from snapq.classical.writing.steps import names
from snapq.classical.writing.writer import Writer, writes

_FINITE = 3e38
"""Sizes of finite values add up to less, but for some that are finite no longer when added."""


@writes("add_columns")
def write_add_columns(writer: Writer, step: Step) -> None:
    """Writes what `add_columns` computes; a product would spread NaN to all columns."""
    (x,), outputs = names(writer, step)
    if step.attributes["width"] == 1:  # no other column to spread to
        added = writer.constant(step.arrays["added"])
        writer.add("Gemm", x, writer.constant(matrix(step)), added, outputs=outputs)
        return
    total = writer.add("ReduceSum", writer.add("Abs", x), keepdims=0)
    writer.add(
        "If",
        writer.add("LessOrEqual", total, writer.constant(np.float32(_FINITE))),
        outputs=outputs,
        then_branch=_product(outputs[0], step, x),
        else_branch=_taken(outputs[0], step, x),
    )


def _product(name: str, step: Step, x: str) -> onnx.GraphProto:
    branch = Writer(f"{name}_all")
    weights = branch.constant(matrix(step))
    return branch.as_branch(branch.add("Gemm", x, weights, branch.constant(step.arrays["added"])))


def _taken(name: str, step: Step, x: str) -> onnx.GraphProto:
    branch, columns = Writer(f"{name}_each"), step.arrays["columns"]
    taken = branch.add("Gather", x, branch.constant(columns.reshape(-1)), axis=1)
    signed = branch.add("Mul", taken, branch.constant(step.arrays["signs"].reshape(-1)))
    table = branch.add("Reshape", signed, branch.constant(np.array([-1, *columns.shape])))
    total = branch.add("ReduceSum", table, branch.constant(np.array([2])), keepdims=0)
    return branch.as_branch(branch.add("Add", total, branch.constant(step.arrays["added"])))
