"""Constant folding: what does not depend on the inputs is computed once, by ONNX Runtime.

`onnxscript.optimizer` (0.7.2) folds too. It is 8 MB more to install, takes twice as long, and four
of eight models come out otherwise, as it computes with ONNX's reference implementation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.errors import ModelError
from snapq.graph.edit import Editor, adopt_graph, is_op, scalar
from snapq.graph.shapes import static_shape
from snapq.operators import Family, in_families

MAX_GROWTH = 64 * 1024 * 1024
"""Bytes that a folded constant may have more than the constants that it comes from."""

_NEVER = in_families(Family.QDQ, Family.RANDOM, Family.CONTROL, Family.SEQUENCE)
_DOMAINS = ("", "com.microsoft")
_NUMBERS = frozenset(
    {
        *(ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BOOL),
        *(ir.DataType.INT8, ir.DataType.INT16, ir.DataType.INT32, ir.DataType.INT64),
        *(ir.DataType.UINT8, ir.DataType.UINT16, ir.DataType.UINT32, ir.DataType.UINT64),
    }
)


def fold_constants(model: ir.Model) -> int:
    """Puts constants in the place of what follows from constants and from known shapes.

    1. `Shape` and `Size` of a value with a fixed shape become constants.
    2. A node of which every input is constant becomes a constant, with all that follows from it,
       except quantizers (their place in the graph is their meaning), random generators and
       control flow.
    3. A result that is over 64 MB larger than what it comes from stays computed.
    4. An `If` whose condition is constant gives way to the branch that is taken.

    Returns:
        The number of nodes that went.
    """
    edit = Editor(model.graph)
    count = _fold_shapes(model.graph, edit)
    count += _fold_nodes(model, edit)
    return count + _inline_branches(model.graph, edit)


def take_known_branches(model: ir.Model) -> int:
    """Puts the branch that is taken in the place of every If that constants decide, in place.

    Returns:
        How many.
    """
    edit, count = Editor(model.graph), 0
    while True:
        taken = [
            (node, branch) for node in model.graph if (branch := _taken(node, model)) is not None
        ]
        for node, branch in taken:
            _move_into(branch, node, edit)
        if not taken:
            return count
        count += len(taken)


def _taken(node: ir.Node, model: ir.Model) -> ir.Graph | None:
    """The branch of an If whose condition follows from constants."""
    condition = node.inputs[0] if is_op(node, "If") else None
    if condition is None:
        return None
    known = scalar(condition)
    if known is None:
        above = _constants_only(condition)
        makers = [one for one in model.graph if one in above]
        found = compute(makers, [condition], model.opset_imports) if makers else None
        if found is None:
            return None
        known = float(found[condition].reshape(()))
    return node.attributes["then_branch" if known else "else_branch"].as_graph()


def _constants_only(value: ir.Value) -> set[ir.Node]:
    """The nodes that compute a value; none where they need more than constants."""
    above: set[ir.Node] = set()
    waiting = [value]
    while waiting:
        maker = waiting.pop().producer()
        if maker is None or maker.op_type in _NEVER or maker.domain not in _DOMAINS:
            return set()
        if maker not in above:
            above.add(maker)
            waiting += [v for v in maker.inputs if v is not None and v.const_value is None]
    return above


def compute(
    nodes: Sequence[ir.Node], wanted: Sequence[ir.Value], opsets: Mapping[str, int]
) -> dict[ir.Value, np.ndarray] | None:
    """The values that `nodes` make of constants; None where ONNX Runtime cannot compute them."""
    made = {output for node in nodes for output in node.outputs}
    constants: dict[str, onnx.TensorProto] = {}
    for value in (item for node in nodes for item in node.inputs):
        if value is not None and value not in made and value.const_value is not None:
            tensor = ir.Tensor(value.const_value.numpy(), value.const_value.dtype, name=value.name)
            constants[str(value.name)] = ir.serde.serialize_tensor(tensor)
    graph = onnx.GraphProto(
        name="constants",
        node=[ir.serde.serialize_node(node) for node in nodes],
        initializer=constants.values(),
        output=[onnx.ValueInfoProto(name=value.name) for value in wanted],
    )
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    proto = onnx.helper.make_model(graph, opset_imports=imports, ir_version=10)
    try:
        found = CpuModel(proto.SerializeToString(), optimize=False).run({})
    except ModelError:  # an operator without a kernel, or arguments that do not fit: not folded
        return None
    return {value: np.asarray(found[str(value.name)]) for value in wanted}


def _fold_shapes(graph: ir.Graph, edit: Editor) -> int:
    count = 0
    for node in graph:
        shape = static_shape(node.inputs[0]) if is_op(node, "Shape", "Size") else None
        if shape is None:
            continue
        if node.op_type == "Size":
            result = np.array(int(np.prod(shape, dtype=np.int64)), np.int64)
        else:
            start = node.attributes.get_int("start", 0)
            result = np.array(shape[start : node.attributes.get_int("end", len(shape))], np.int64)
        _become_constant(node, {node.outputs[0]: result}, edit)
        count += 1
    return count


def _fold_nodes(model: ir.Model, edit: Editor) -> int:
    foldable: dict[ir.Node, None] = {}
    for node in model.graph:
        if _is_foldable(node, foldable):
            foldable[node] = None
    if not foldable:
        return 0
    wanted = [
        output
        for node in foldable
        for output in node.outputs
        if output.is_graph_output() or any(user not in foldable for user in output.consumers())
    ]
    results = compute(tuple(foldable), wanted, model.opset_imports)
    if results is not None:
        for node in reversed(foldable):
            _become_constant(node, results, edit)
        return len(foldable)
    count = 0
    for node in foldable:
        if all(value is None or value.const_value is not None for value in node.inputs):
            alone = compute((node,), node.outputs, model.opset_imports)
            if alone is not None:
                _become_constant(node, alone, edit)
                count += 1
    return count


def _is_foldable(node: ir.Node, foldable: Mapping[ir.Node, None]) -> bool:
    if node.domain not in _DOMAINS or node.op_type in _NEVER:
        return False
    if node.op_type == "Identity" and node.outputs[0].is_graph_output():
        return False
    growth = 0
    for value in node.inputs:
        if value is None:
            continue
        if value.const_value is None or value.is_graph_input():
            if value.producer() not in foldable:
                return False
        elif value.const_value.dtype not in _NUMBERS:
            return False
        else:
            growth -= value.const_value.nbytes
    for output in node.outputs:
        if output.dtype is not None and output.dtype not in _NUMBERS:
            return False
        shape = static_shape(output)
        growth += 4 * int(np.prod(shape, dtype=np.int64)) if shape is not None else 0
    return growth <= MAX_GROWTH


def _become_constant(node: ir.Node, results: Mapping[ir.Value, np.ndarray], edit: Editor) -> None:
    edit.begin(node)
    for output in node.outputs:
        if output in results:
            edit.replace(output, edit.constant(results[output], f"{output.name}_folded"))
    edit.remove_if_dead(node)


def _inline_branches(graph: ir.Graph, edit: Editor) -> int:
    count = 0
    for node in tuple(graph):
        condition = scalar(node.inputs[0]) if is_op(node, "If") else None
        if condition is None:
            continue
        branch = node.attributes["then_branch" if condition else "else_branch"].as_graph()
        _move_into(branch, node, edit)
        count += 1
    return count


def _move_into(branch: ir.Graph, node: ir.Node, edit: Editor) -> None:
    """Puts the nodes and constants of `branch` in the place of the If `node`."""
    edit.begin(node)
    for output, result in zip(node.outputs, adopt_graph(branch, edit), strict=True):
        edit.replace(output, result)
    edit.remove_if_dead(node)
