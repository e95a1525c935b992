"""Small files that declare much: functions, loops, constants, graphs in graphs."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.robustness.mutations.values import names_of


def function_fault(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Breaks a function, lets functions call each other, or lets their number of nodes explode."""
    how = random.choice(("itself", "missing", "many", "outputs"))
    if how == "many":
        floors, width = random.choice(((3, 2), (3, 3), (6, 2), (6, 3), (12, 2), (40, 2), (40, 3)))
        _tower(model, floors, width, random.choice(("Relu", "Sigmoid", "Neg")))
        return "functions that call functions twice"
    if not model.functions:
        return None
    function = random.choice(model.functions)
    if how == "itself":
        for node in function.node:
            node.op_type, node.domain = function.name, function.domain
    elif how == "missing":
        model.functions.remove(function)
    else:
        function.output.append("nothing")
    return f"function: {how}"


def _tower(model: onnx.ModelProto, floors: int, width: int, operator: str) -> None:
    """Functions that call the one below several times, on the ground an operator.

    Twelve floors of two are 4,096 nodes in a file of 2 kB.
    """
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("tower", 1)]
    for floor in range(floors):
        below = (operator, "") if floor == 0 else (f"floor{floor - 1}", "tower")
        nodes = [
            helper.make_node(below[0], [f"v{place}"], [f"v{place + 1}"], domain=below[1])
            for place in range(width)
        ]
        made = helper.make_function("tower", f"floor{floor}", ["v0"], [f"v{width}"], nodes, imports)
        model.functions.append(made)
    model.opset_import.append(helper.make_opsetid("tower", 1))
    if model.graph.input:
        name = model.graph.input[0].name
        node = helper.make_node(f"floor{floors - 1}", [name], ["top"], domain="tower")
        model.graph.node.append(node)
        model.graph.output.append(helper.make_tensor_value_info("top", 1, None))


def huge_constant(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Adds nodes that make much of little."""
    how = random.choice(("ConstantOfShape", "Range", "Tile", "Expand", "Loop", "OneHot", "Pad"))
    size = random.choice((1000, 1 << 24, 1 << 31, 10**11, 10**15))

    def constant(name: str, values: Any, kind: Any = np.int64) -> None:
        array = np.asarray(values, kind)
        model.graph.initializer.append(numpy_helper.from_array(array, name))

    constant("many", [size])
    constant("count", size)
    constant("zero", 0)
    constant("one", 1)
    constant("ones", [1.0], np.float32)
    constant("pads", [0, size])
    constant("pair", [0.0, 1.0], np.float32)
    inputs = {
        "ConstantOfShape": ["many"],
        "Range": ["zero", "count", "one"],
        "Tile": ["ones", "many"],
        "Expand": ["ones", "many"],
        "OneHot": ["many", "count", "pair"],
        "Pad": ["ones", "pads"],
    }
    if how == "Loop":
        _loop(model)
    else:
        model.graph.node.append(helper.make_node(how, inputs[how], ["big"]))
    model.graph.node.append(helper.make_node("Cast", ["big"], ["bigger"], to=1))
    model.graph.output.append(helper.make_tensor_value_info("bigger", 1, None))
    return f"{how} of {size}"


def _loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["c"], ["d"]),
            helper.make_node("Add", ["u", "u"], ["v"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("u", 1, [1]),
        ],
        [
            helper.make_tensor_value_info("d", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", 1, [1]),
        ],
    )
    model.graph.node.append(helper.make_node("Loop", ["count", "", "ones"], ["big"], body=body))


def nested(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Puts graphs into graphs."""
    graph = helper.make_graph(
        [helper.make_node("Identity", [next(iter(names_of(model)), "x")], ["deep"])],
        "deep",
        [],
        [helper.make_tensor_value_info("deep", 1, None)],
    )
    depth = random.choice((2, 10, 25))
    for level in range(depth):
        outer = f"deep{level}"
        node = helper.make_node(
            "If", ["condition"], [outer], then_branch=graph, else_branch=onnx.GraphProto()
        )
        node.attribute[1].g.CopyFrom(graph) if depth == 2 else None
        graph = helper.make_graph(
            [node], outer, [], [helper.make_tensor_value_info(outer, 1, None)]
        )
    model.graph.node.extend(graph.node)
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "condition"))
    return f"graphs {depth} deep"
