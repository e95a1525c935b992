"""Shapes and types that inference leaves open, filled in by running the model once."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.cpu import CpuModel
from snapq.errors import ModelError
from snapq.graph.edit import remove_dead_nodes
from snapq.graph.shapes import input_specs, static_shape
from snapq.operators import Role, Trait, spec

_CUT = "cut the model in front of it (`model.outputs`), and the CPU does its work."


def complete_shapes(model: ir.Model) -> tuple[str, ...]:
    """Gives every value a type and a fixed shape, in place, and checks that the model loads.

    1. Values whose shape is unknown get the one that they have in a run on inputs of zeros, where
       it depends on nothing but the shapes of the inputs.
    2. ONNX Runtime loads the model: it refuses what does not fit together.

    Returns:
        One sentence for each kind of operator whose output has no fixed shape.

    Raises:
        ModelError: ONNX Runtime does not accept or does not run the model.
    """
    record_shapes(model)
    _opened(model)
    groups: dict[tuple[str, str], list[str]] = {}
    for node in _analyse(model.graph)[1]:
        if not all(_is_known(output) for output in node.outputs if output.name):
            key = (node.op_type, way_out(model.graph, node))
            groups.setdefault(key, []).append(f"'{node.name}'")
    return tuple(
        f"The output shape of {op_type} {names[0]}{_others(len(names) - 1)} depends on the data; "
        f"the NPU needs fixed shapes: {way_out}"
        for (op_type, way_out), names in groups.items()
    )


def refuse_open_outputs(model: ir.Model) -> None:
    """Refuses a prepared model of which an output has no fixed shape, or no elements.

    Raises:
        ModelError: the output, the first node that is the reason, and what to do are named.
    """
    causes = _analyse(model.graph)[1]
    for output in model.graph.outputs:
        shape = static_shape(output)
        if shape is None and _is_known(output):
            continue
        above = _above(output, model.graph)
        if shape is None:
            found = [node for node in causes if node in above]
            node = next(iter(found or above), None)
            by = f", by {node.op_type} '{node.name}'" if node is not None else ""
            way = way_out(model.graph, node) if node is not None else _CUT
            raise ModelError(
                f"The shape of this output depends on the data{by}; the NPU needs fixed shapes.",
                where=str(output.name),
                hint=way[:1].upper() + way[1:],
            )
        if math.prod(shape) == 0:
            node = next(node for node in above if _is_empty(node.outputs[0]))
            raise ModelError(
                f"This output has no elements ({list(shape)}): nothing is left behind "
                f"{node.op_type} '{node.name}' at the sizes that the inputs have.",
                where=str(output.name),
                hint="Give larger sizes under `model.inputs`.",
            )


def _above(value: ir.Value, graph: ir.Graph) -> list[ir.Node]:
    """The nodes that a value is computed by, in the graph's order."""
    found: set[ir.Node] = set()
    waiting = [value.producer()]
    while waiting:
        node = waiting.pop()
        if node is None or node in found:
            continue
        found.add(node)
        waiting.extend(read.producer() for read in node.inputs if read is not None)
    return [node for node in graph if node in found]


def _is_empty(value: ir.Value) -> bool:
    return math.prod(static_shape(value) or (1,)) == 0


def _others(count: int) -> str:
    return f" and of {count} more" if count else ""


def way_out(graph: ir.Graph, node: ir.Node) -> str:
    """What to do about a node that cannot stay, such as an If that an input decides.

    A clause to stand behind a colon.
    """
    cut = _CUT
    if node.op_type != "If":
        return cut
    reached, open_values = set[ir.Value](), [node.inputs[0]]
    while open_values:
        value = open_values.pop()
        if value is None or value in reached:
            continue
        reached.add(value)
        producer = value.producer()
        open_values.extend(producer.inputs if producer is not None else ())
    numbers = [
        str(v.name)
        for v in graph.inputs
        if v in reached and not v.is_initializer() and math.prod(static_shape(v) or ()) <= 1
    ]
    if not numbers:
        return cut
    fixed = ", ".join(f"{name}: NUMBER" for name in numbers)
    given = " ".join(f"--input {name}=NUMBER" for name in numbers)
    chosen = ", ".join(f"`{name}`" for name in numbers)
    return (
        f"it chooses by input {chosen}. Where that never changes, fix it with `{given}`, in "
        f"deploy.yaml `inputs: {{{fixed}}}`; else {cut}"
    )


def record_shapes(model: ir.Model) -> int:
    """Runs the model on zeros, in place of inference that knows no further.

    Returns:
        The number of values whose type and shape became known.

    Raises:
        ModelError: ONNX Runtime does not accept or does not run the model.
    """
    loose, _ = _analyse(model.graph)
    open_values = [
        output
        for node in model.graph
        for output in node.outputs
        if output.name and output not in loose and not _is_known(output)
    ]
    for value, array in zip(open_values, _run(model, open_values), strict=True):
        value.shape = ir.Shape(array.shape)
        value.type = ir.TensorType(ir.DataType.from_numpy(array.dtype))
    return len(open_values)


def _is_known(value: ir.Value) -> bool:
    """Whether the type is known and, of a tensor, the shape; a sequence of tensors has none."""
    if isinstance(value.type, ir.SequenceType | ir.OptionalType):
        return True
    return value.dtype is not None and static_shape(value) is not None


def _analyse(graph: ir.Graph) -> tuple[set[ir.Value], list[ir.Node]]:
    """Values without a fixed shape because of the data, and the operators that begin them."""
    varying = {value for value in graph.inputs if not value.is_initializer()}
    loose: set[ir.Value] = set()
    causes = []
    for node in graph:
        row = spec(node.op_type)
        decided = any(
            row.role(index) in (Role.SHAPE, Role.AXES) and value in varying
            for index, value in enumerate(node.inputs)
        )
        begins = row.has(Trait.DATA_DEPENDENT_SHAPE) or decided
        follows = any(value in loose for value in node.inputs)
        if begins:
            causes.append(node)
        if begins or follows:
            loose.update(output for output in node.outputs if not _is_known(output))
        depends = follows if node.op_type in ("Shape", "Size") else True
        if depends and (begins or follows or any(value in varying for value in node.inputs)):
            varying.update(node.outputs)
    return loose, causes


def _run(model: ir.Model, wanted: list[ir.Value]) -> list[np.ndarray]:
    """Computes values by the nodes that they need, on inputs of zeros."""
    if not wanted:
        return []
    part = model.clone()
    values = {str(value.name): value for node in part.graph for value in node.outputs}
    part.graph.outputs.clear()
    part.graph.outputs.extend(values[str(value.name)] for value in wanted)
    remove_dead_nodes(part.graph)
    common.RemoveUnusedNodesPass()(part)
    runnable = _opened(part)
    feeds = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in input_specs(model)}
    try:
        found = runnable.run(feeds)
    except ModelError as error:
        raise ModelError(
            error.what,
            hint="Check that the shapes under `model.inputs` are ones that the model takes.",
        ) from error
    return [np.asarray(found[str(value.name)]) for value in wanted]


def _opened(model: ir.Model) -> CpuModel:
    try:
        return CpuModel(model, optimize=False, prepack=False)
    except ModelError as error:
        raise ModelError(
            error.what,
            hint="It lacks this operator for the types that it is given: cast them to float32 or "
            "int32 in the model."
            if "Could not find an implementation" in error.what
            else "Check the model, and that the shapes under `model.inputs` fit it.",
        ) from error
