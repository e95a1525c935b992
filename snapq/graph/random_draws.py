"""Random numbers that a model draws itself, drawn once.

What a model draws anew in every run can be compared with nothing, and the NPU's own generator ends
the compiler or gives other distributions.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.completion import record_shapes
from snapq.graph.edit import Editor
from snapq.graph.shapes import static_shape

__all__ = ["draw_once"]

_DRAWS = (
    *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
    "Bernoulli",
)
_NAMED = 3


def draw_once(model: ir.Model) -> tuple[str, ...]:
    """Puts the numbers of one draw in the place of nodes that draw them, in place.

    1. Of RandomNormal, RandomUniform and their Like forms it is a constant.
    2. Bernoulli compares its probabilities with a constant.
    3. The same model gives the same numbers; `seed` of a node gives others.
    4. What draws an output of the model, or a shape that depends on the data, stays.

    Args:
        model: shapes of the inputs fixed.

    Returns:
        A sentence that names the nodes; none where nothing is drawn.

    Raises:
        ModelError: a shape is only known in a run, and ONNX Runtime does not run the model.
    """
    draws = [
        node
        for node in model.graph
        if node.domain == "" and node.op_type in _DRAWS and not node.outputs[0].is_graph_output()
    ]
    if any(static_shape(node.outputs[0]) is None for node in draws):
        record_shapes(model)
    edit, drawn = Editor(model.graph), []
    for number, node in enumerate(draws):
        shape = static_shape(node.outputs[0])
        if shape is None:
            continue
        generator = np.random.default_rng([number, _seed(node)])
        dtype = node.outputs[0].dtype or ir.DataType.FLOAT
        edit.begin(node)
        name = str(node.outputs[0].name)
        if node.op_type == "Bernoulli":
            edge = generator.random(shape)
            given = node.inputs[0]
            assert given is not None
            kind = (given.dtype or ir.DataType.FLOAT).numpy()
            hit = edit.op("Less", edge.astype(kind), given)
            new = edit.op("Cast", hit, to=int(dtype))
        else:
            new = edit.constant(_numbers(node, generator, shape).astype(dtype.numpy()), name)
        drawn.append(f"{node.op_type} '{node.name}'")
        edit.replace(node.outputs[0], new)
        edit.remove_if_dead(node)
    if not drawn:
        return ()
    more = f" and {len(drawn) - _NAMED} more" if len(drawn) > _NAMED else ""
    return (
        f"The model draws random numbers ({', '.join(drawn[:_NAMED])}{more}): the package has the "
        "numbers of one draw, the same in every run. Where they must differ, export the model with "
        "them as an input.",
    )


def _seed(node: ir.Node) -> int:
    return int(np.float32(node.attributes.get_float("seed", 0.0)).view(np.uint32))


def _numbers(node: ir.Node, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    if "Normal" in node.op_type:
        mean = node.attributes.get_float("mean", 0.0)
        return mean + node.attributes.get_float("scale", 1.0) * generator.standard_normal(shape)
    low, high = node.attributes.get_float("low", 0.0), node.attributes.get_float("high", 1.0)
    return generator.uniform(low, high, shape)
