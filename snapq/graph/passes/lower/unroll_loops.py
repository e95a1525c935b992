"""Writes loops whose number of turns is known as what they compute, turn behind turn.

1. A `Loop` whose condition and limit follow from constants gives way to its body, once a turn;
   what it gathers turn by turn is joined by a Concat.
2. So does a `Scan`, which takes a turn for each element along an axis of known size.
3. What would be more than 20,000 nodes is left alone, as are a Loop that data ends and what one
   gathers that never turns.

Source: the ONNX operators Loop-13 and Scan-9; TensorFlow's recurrent layers come as such a Loop.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, adopt_copy, constant, input_at, integers, is_used, scalar
from snapq.graph.folding import compute
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import static_shape

OPERATORS = ("Loop", "Scan")

_MOST_NODES = 20_000
_MOST_TURNS = 4096


def apply(node: ir.Node, edit: Editor) -> Result:
    """Unrolls one loop."""
    body = node.attributes["body"].as_graph()
    if node.op_type == "Scan" and len(body.inputs) != len(node.inputs):
        return False  # Scan-8, which has a batch and lengths
    turns = _turns(node, edit.graph) if node.op_type == "Loop" else _elements(node)
    if turns is None:
        return Skipped("how often it turns depends on the data")
    if not turns and any(map(is_used, node.outputs[_states(node) :])):
        return False
    nodes = turns * len(body)
    if nodes > _MOST_NODES:
        return Skipped(f"its {turns} turns are {nodes} nodes, and up to {_MOST_NODES} are written")
    found = _loop(node, turns, edit) if node.op_type == "Loop" else _scan(node, turns, edit)
    for output, value in zip(node.outputs, found, strict=True):
        if value is not None:
            edit.replace(output, value)
    return True


def _states(node: ir.Node) -> int:
    """How many values go from turn to turn; what is gathered follows them among the outputs."""
    given = 2 if node.op_type == "Loop" else node.attributes.get_int("num_scan_inputs", 0)
    return len(node.inputs) - given


def _loop(node: ir.Node, turns: int, edit: Editor) -> list[ir.Value | None]:
    """What each output of a Loop is; None of one that nothing uses."""
    body = node.attributes["body"].as_graph()
    states = [value for value in node.inputs[2:] if value is not None]
    count = len(states)
    gathered: list[list[ir.Value]] = [[] for _ in node.outputs[count:]]
    for turn in range(turns):
        place = edit.constant(np.array(turn, np.int64), f"{node.name}_turn")
        goes_on = edit.constant(np.array(True), f"{node.name}_goes_on")
        _, *found = adopt_copy(body, (place, goes_on, *states), edit)
        states = found[:count]
        for parts, value in zip(gathered, found[count:], strict=True):
            parts.append(value)
    joined = [
        _joined(parts, 0, edit) if is_used(output) else None
        for output, parts in zip(node.outputs[count:], gathered, strict=True)
    ]
    return [*states, *joined]


def _scan(node: ir.Node, turns: int, edit: Editor) -> list[ir.Value | None]:
    """What each output of a Scan is; None of one that nothing uses."""
    body, given = node.attributes["body"].as_graph(), _scanned(node)
    states = [value for value in node.inputs[: -len(given)] if value is not None]
    count = len(states)
    axes = _ints(node, "scan_input_axes", len(given))
    backwards = _ints(node, "scan_input_directions", len(given))
    gathered: list[list[ir.Value]] = [[] for _ in node.outputs[count:]]
    for turn in range(turns):
        slices = [
            edit.op("Gather", value, np.array(turns - 1 - turn if back else turn), axis=axis)
            for value, axis, back in zip(given, axes, backwards, strict=True)
        ]
        found = adopt_copy(body, (*states, *slices), edit)
        states = found[:count]
        for parts, value in zip(gathered, found[count:], strict=True):
            parts.append(value)
    out_axes = _ints(node, "scan_output_axes", len(gathered))
    reverse = _ints(node, "scan_output_directions", len(gathered))
    joined = [
        _joined(parts[::-1] if back else parts, axis, edit) if is_used(output) else None
        for output, parts, axis, back in zip(
            node.outputs[count:], gathered, out_axes, reverse, strict=True
        )
    ]
    return [*states, *joined]


def _joined(parts: Sequence[ir.Value], axis: int, edit: Editor) -> ir.Value:
    """The parts as slices of a tensor along a new axis."""
    slices = [edit.op("Unsqueeze", part, integers(axis)) for part in parts]
    return edit.op("Concat", *slices, axis=axis) if len(slices) > 1 else slices[0]


def _scanned(node: ir.Node) -> list[ir.Value]:
    """The inputs of a Scan of which each turn takes a slice."""
    count = node.attributes.get_int("num_scan_inputs", 0)
    return [value for value in node.inputs[len(node.inputs) - count :] if value is not None]


def _ints(node: ir.Node, name: str, count: int) -> Sequence[int]:
    attribute = node.attributes.get(name)
    return attribute.as_ints() if attribute is not None else (0,) * count


def _elements(node: ir.Node) -> int | None:
    """The turns of a Scan."""
    given = _scanned(node)
    shape = static_shape(given[0]) if given else None
    return shape[_ints(node, "scan_input_axes", len(given))[0]] if shape is not None else None


def _turns(node: ir.Node, graph: ir.Graph) -> int | None:
    """The turns of a Loop; None where they do not follow from constants."""
    limit, begins = input_at(node, 0), input_at(node, 1)
    most = scalar(limit) if limit is not None else _MOST_TURNS + 1
    first = scalar(begins) if begins is not None else 1.0
    if most is None or first is None:
        return None
    if not first:
        return 0
    body = node.attributes["body"].as_graph()
    goes_on = body.outputs[0]
    if goes_on is body.inputs[1] or scalar(goes_on):
        return int(most) if limit is not None else None
    return _counted(node, int(most), graph)


def _counted(node: ir.Node, most: int, graph: ir.Graph) -> int | None:
    """The turns of a Loop whose condition is computed; None where data is computed with for it."""
    body = node.attributes["body"].as_graph().clone(allow_outer_scope_values=True)
    nodes, states = _deciding(body)
    known = {place: constant(input_at(node, place)) for place in states}
    outer = {value for one in nodes for value in one.inputs if value is not None}
    outer -= {output for one in nodes for output in one.outputs} | {*body.inputs}
    if any(array is None for array in known.values()) or not all(map(_is_constant, outer)):
        return None
    fed = {place: ir.Value(name=f"{body.inputs[place].name}_turn") for place in (0, 1, *states)}
    for place, value in fed.items():
        body.inputs[place].replace_all_uses_with(value, replace_graph_outputs=True)
    targets = {0: body.outputs[0]} | {place: body.outputs[place - 1] for place in states}
    fed[1].const_value = ir.tensor(np.array(True))
    for turn in range(min(most, _MOST_TURNS + 1)):
        fed[0].const_value = ir.tensor(np.array(turn, np.int64))
        for place, array in known.items():
            assert array is not None
            fed[place].const_value = ir.tensor(array)
        found = _values(nodes, targets, graph)
        if found is None:
            return None
        if not found.pop(0).reshape(()):
            return turn + 1
        known = dict(found)
    return most if most <= _MOST_TURNS else None


def _deciding(body: ir.Graph) -> tuple[list[ir.Node], set[int]]:
    """The nodes of a body that its condition needs, and the places of the states among its inputs.

    A state that is needed is needed in the turn before, too.
    """
    states: set[int] = set()
    while True:
        wanted = [body.outputs[0], *(body.outputs[place - 1] for place in states)]
        nodes = _computing(body, wanted)
        used = {value for one in nodes for value in one.inputs} | {*wanted}
        more = {place for place, value in enumerate(body.inputs) if place > 1 and value in used}
        if more <= states:
            return nodes, states
        states |= more


def _is_constant(value: ir.Value) -> bool:
    return constant(value) is not None


def _values(
    needed: Sequence[ir.Node], targets: dict[int, ir.Value], graph: ir.Graph
) -> dict[int, np.ndarray] | None:
    """Outputs of a body of which every input is constant."""
    computed = {index: value for index, value in targets.items() if value.producer() in set(needed)}
    found = compute(needed, list(computed.values()), graph.opset_imports) if computed else {}
    if found is None:
        return None
    values = {index: found[value] for index, value in computed.items()}
    for index, value in targets.items():
        if index not in values:
            array = constant(value)
            if array is None:
                return None
            values[index] = array
    return values


def _computing(body: ir.Graph, values: Sequence[ir.Value]) -> list[ir.Node]:
    """The nodes of a body that compute some values, in their order."""
    found: set[ir.Node] = set()
    waiting = [value.producer() for value in values]
    while waiting:
        node = waiting.pop()
        if node is None or node in found or node.graph is not body:
            continue
        found.add(node)
        waiting.extend(value.producer() for value in node.inputs if value is not None)
    return [node for node in body if node in found]
