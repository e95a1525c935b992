"""Rows beyond what the NPU holds: computed on the CPU only where there is one (see `steps`)."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from snapq.classical.program import Step
from snapq.classical.program.steps.far_rows import LARGEST
from snapq.classical.writing.steps import names
from snapq.classical.writing.writer import Writer, writes


@writes("sums_of_far_rows")
def write_far_rows(writer: Writer, step: Step) -> None:
    """Writes the choice between the NPU's sums and the host's own, a row at a time."""
    (sums, rows), outputs = names(writer, step)
    sums = writer.add("Cast", sums, to=TensorProto.FLOAT)
    axes = writer.constant(np.array([1]))
    if step.attributes["kernel"] == "RBF" and "reach" not in step.attributes:
        unknown = writer.add("Cast", writer.add("IsNaN", rows), to=TensorProto.INT32)
        found = writer.add("ReduceMax", unknown, axes, keepdims=1)
        missing = writer.add("Cast", found, to=TensorProto.BOOL)
        writer.add("Where", missing, writer.constant(np.float32("nan")), sums, outputs=outputs)
        return
    offset, scale = (writer.constant(step.arrays[name]) for name in ("offset", "scale"))
    scaled = writer.add("Mul", writer.add("Sub", rows, offset), scale)
    if step.attributes["kernel"] == "RBF":
        size = writer.add("ReduceSum", writer.add("Mul", scaled, scaled), axes, keepdims=1)
        largest = writer.constant(np.float32(step.attributes["reach"]))
    else:
        size = writer.add("Abs", scaled)
        largest = writer.constant(np.float32(step.attributes["largest"]))
    near = writer.add("Cast", writer.add("LessOrEqual", size, largest), to=TensorProto.INT32)
    all_near = writer.add("ReduceMin", near, axes, keepdims=1)
    far = writer.add("Not", writer.add("Cast", all_near, to=TensorProto.BOOL))
    every = writer.add("ReduceMin", all_near, keepdims=0)
    writer.add(
        "If",
        writer.add("Cast", every, to=TensorProto.BOOL),
        outputs=outputs,
        then_branch=_kept(outputs[0], sums),
        else_branch=_computed(outputs[0], step, rows, far, sums),
    )


def _kept(name: str, sums: str) -> onnx.GraphProto:
    branch = Writer(f"{name}_near")
    return branch.as_branch(branch.add("Identity", sums))


def _computed(name: str, step: Step, rows: str, far: str, sums: str) -> onnx.GraphProto:
    """The sums in float64 of all rows, of which those that are far count."""
    branch = Writer(f"{name}_far")
    options, arrays = step.attributes, step.arrays
    values = branch.add("Cast", rows, to=TensorProto.DOUBLE)
    if options["kernel"] == "RBF":
        values = _rbf(branch, step, values)
    elif "vectors" in arrays:
        vectors = branch.constant(arrays["vectors"].astype(np.float64).T)
        values = branch.add("MatMul", values, vectors)
    for number in range(options.get("layers", 0)):
        weights, offsets = (
            branch.constant(arrays[f"{name}_{number}"].astype(np.float64).T)
            for name in ("weights", "offsets")
        )
        values = branch.add("Add", branch.add("MatMul", values, weights), offsets)
        values = branch.add(options["activation"], values)
    if options["kernel"] in ("POLY", "SIGMOID"):
        scaled = branch.add("Mul", values, branch.constant(np.float64(options["gamma"])))
        values = branch.add("Add", scaled, branch.constant(np.float64(options["coef0"])))
        if options["kernel"] == "SIGMOID":
            values = branch.add("Tanh", values)
        else:
            values = branch.add("Pow", values, branch.constant(np.float64(options["degree"])))
    weights = branch.constant(arrays["weights"].astype(np.float64).T)
    total = branch.add("MatMul", values, weights)
    total = branch.add("Add", total, branch.constant(arrays["offsets"].astype(np.float64)))
    narrow = branch.add("Cast", total, to=TensorProto.FLOAT)
    return branch.as_branch(branch.add("Where", far, narrow, sums))


def _rbf(branch: Writer, step: Step, rows: str) -> str:
    """Kernels of rows in float64, 0 where one is infinite."""
    offset, scale = step.arrays["offset"].astype(np.float64), np.sqrt(step.attributes["gamma"])
    vectors = (step.arrays["vectors"] - offset) * scale
    x = branch.add("Mul", branch.add("Sub", rows, branch.constant(offset)), branch.constant(scale))
    bounds = (branch.constant(np.float64(sign * LARGEST)) for sign in (-1, 1))
    x = branch.add("Clip", x, *bounds)
    axes = branch.constant(np.array([1]))
    own = branch.add("ReduceSum", branch.add("Mul", x, x), axes, keepdims=1)
    squares = branch.add("Add", own, branch.constant((vectors * vectors).sum(axis=1)))
    twice = branch.add("MatMul", x, branch.constant(2 * vectors.T))
    return branch.add("Exp", branch.add("Sub", twice, squares))
