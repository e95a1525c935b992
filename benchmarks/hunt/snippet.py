"""A recipe as Python that builds the same ONNX model with nothing of snapq."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import helper, numpy_helper

from benchmarks.hunt.operators import EMITTERS
from benchmarks.hunt.recipe import Builder, Recipe, build_into

_MOST_SHOWN = 16
"""Values of a constant that are written out; a larger one is made of random numbers."""


def snippet(recipe: Recipe) -> str:
    """The text; `model` is the model and `feeds` its inputs."""
    builder = Builder()
    build_into(builder, recipe, EMITTERS)
    return "\n".join(_lines(recipe, builder))


def _lines(recipe: Recipe, builder: Builder) -> Iterator[str]:
    yield "import numpy as np"
    yield "from onnx import TensorProto, helper, numpy_helper"
    yield "rng = np.random.default_rng(0)"
    yield "weights = {"
    for weight in builder.weights:
        yield f"    {weight.name!r}: {_constant(weight)},"
    yield "}"
    yield "nodes = ["
    for node in builder.nodes:
        settings = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        shown = {k: v.decode() if isinstance(v, bytes) else v for k, v in settings.items()}
        extra = "".join(f", {key}={value!r}" for key, value in shown.items())
        yield f"    helper.make_node({node.op_type!r}, {[*node.input]}, {[*node.output]}{extra}),"
    yield "]"
    for kind, values in (("inputs", builder.inputs), ("outputs", builder.outputs)):
        shapes = {one.name: [d.dim_value for d in one.type.tensor_type.shape.dim] for one in values}
        yield f"{kind} = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s)"
        yield f"    for n, s in {shapes}.items()]"
    yield "held = [numpy_helper.from_array(v, n) for n, v in weights.items()]"
    yield "graph = helper.make_graph(nodes, 'g', inputs, outputs, held)"
    yield "model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 21)])"
    yield f"# inputs are {', '.join(recipe.data)}"


def _constant(weight: onnx.TensorProto) -> str:
    array = numpy_helper.to_array(weight)
    if array.size <= _MOST_SHOWN:
        return f"np.array({array.tolist()}, np.{array.dtype})"
    return (
        f"rng.normal({float(array.mean()):.3g}, {float(array.std()):.3g}, "
        f"{array.shape}).astype(np.{array.dtype})"
    )
