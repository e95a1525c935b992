"""Finds the node at which a model takes too much or ends a library: one node at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.cpu import CpuModel
from snapq.errors import ModelError
from snapq.graph import shapes
from snapq.graph.inference import infer_shapes
from snapq.graph.opset import upgrade_opset
from snapq.limits import Limits
from snapq.workers import forked
from snapq.workers.forked import EndedError, Ending

__all__ = ["find_culprit", "named"]

_SECONDS = 5.0


def find_culprit(model: ir.Model, inputs: shapes.InputShapes, limits: Limits) -> str | None:
    """Names the node that ends work on the model; None where none is found.

    1. Where shape inference alone ends it, the first node up to which it does, by bisection.
    2. Else the first that ends a walk, which runs each node on what those before it made of ones.
    """
    if not forked.available():
        return None
    limits = Limits(limits.memory, min(_SECONDS, limits.seconds))
    normal = partial(_normal, model, inputs)
    try:
        names = forked.call(lambda: [named(node) for node in normal().graph], limits)
    except EndedError as ended:
        return ended.at or None
    except Exception:
        return None
    inferring = _ends(lambda: infer_shapes(normal()), limits)
    if inferring is not None and inferring.how is not Ending.TIME:  # each try would take as long
        fine, broken = 0, len(names)
        while broken - fine > 1:
            middle = (fine + broken) // 2
            well = _ends(partial(_infer_first, normal, middle), limits) is None
            fine, broken = (middle, broken) if well else (fine, middle)
        return names[broken - 1] if names else None
    walked = _ends(lambda: _walk(normal()), limits)
    return walked.at or None if walked is not None else None


def named(node: ir.Node) -> str:
    """Operator and name of a node; of what it makes, where it has no name."""
    name = node.name or next((value.name for value in node.outputs if value.name), None)
    return f"{node.op_type} '{name}'" if name else node.op_type


def _ends(work: Callable[[], None], limits: Limits) -> EndedError | None:
    """How the work is ended; None where it comes to its end, or to an error."""
    try:
        forked.call(work, limits)
    except EndedError as ended:
        return ended
    except Exception:
        return None
    return None


def _normal(model: ir.Model, inputs: shapes.InputShapes) -> ir.Model:
    """A copy in the form in which models are prepared: without functions, of a late opset."""
    copy = model.clone()
    forked.note("its functions are written out")
    with shapes.quiet("onnx_ir"):
        common.InlinePass()(copy)
    forked.note("")
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(copy)
    shapes.fix_inputs(copy, inputs)
    upgrade_opset(copy)
    return copy


def _infer_first(normal: Callable[[], ir.Model], count: int) -> None:
    """Infers the shapes of the first nodes alone."""
    part = normal()
    part.graph.outputs.clear()
    for node in reversed(list(part.graph)[count:]):
        part.graph.remove(node)
    infer_shapes(part)


def _walk(model: ir.Model) -> None:
    known: dict[str, np.ndarray] = {
        spec.name: np.ones(spec.shape, spec.dtype) for spec in shapes.input_specs(model)
    }
    for value in model.graph.initializers.values():
        if value.const_value is not None and value.name:
            with suppress(Exception):  # what cannot be read is told elsewhere
                known[value.name] = np.asarray(value.const_value.numpy())
    for node in model.graph:
        forked.note(named(node))
        with suppress(ModelError, ValueError, TypeError, KeyError, RuntimeError):
            known.update(_run(node, known, model.opset_imports))


def _run(
    node: ir.Node, known: Mapping[str, np.ndarray], opsets: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """What one node makes of known values; memory that runs out is raised as such."""
    proto = ir.serde.serialize_node(node)
    read = {str(value.name) for value in _reads(node)}
    graph = onnx.GraphProto(
        name="one",
        node=[proto],
        initializer=[
            onnx.numpy_helper.from_array(known[name], name) for name in sorted(read & set(known))
        ],
        output=[onnx.ValueInfoProto(name=name) for name in proto.output if name],
    )
    imports = [onnx.helper.make_opsetid(*item) for item in opsets.items()]
    whole = onnx.helper.make_model(graph, opset_imports=imports, ir_version=10)
    with suppress(onnx.shape_inference.InferenceError, RuntimeError, ValueError, TypeError):
        onnx.shape_inference.infer_shapes(whole, data_prop=True)
    try:
        return CpuModel(whole.SerializeToString(), optimize=False).run({})
    except ModelError as error:
        if forked.out_of_memory(error):
            raise MemoryError from error
        raise


def _reads(node: ir.Node) -> list[ir.Value]:
    """What a node and the graphs that it holds read."""
    found = [value for value in node.inputs if value is not None]
    for attribute in node.attributes.values():
        graphs = (
            [attribute.as_graph()]
            if attribute.type is ir.AttributeType.GRAPH
            else list(attribute.as_graphs())
            if attribute.type is ir.AttributeType.GRAPHS
            else []
        )
        for graph in graphs:
            for inner in graph.all_nodes():
                found += [value for value in inner.inputs if value is not None]
    return found
