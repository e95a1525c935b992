"""A float model brought into the form that the quantizer and the NPU want."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.cpu import CpuModel
from snapq.errors import ModelError, SnapqError
from snapq.graph import shapes
from snapq.graph.completion import complete_shapes
from snapq.graph.dynamic_quantization import remove_dynamic_quantization
from snapq.graph.float32 import float32_at_the_boundary
from snapq.graph.integer_notes import integer_notes
from snapq.graph.ml_operators import expand_ml_operators
from snapq.graph.opset import TARGET, settle_opset, upgrade_opset
from snapq.graph.passes.base import SkippedNode
from snapq.graph.passes.run import apply_passes, clean, skipped_names
from snapq.graph.runtime_operators import expand_runtime_operators
from snapq.graph.weights import check_weights

IR_VERSION = 10
"""The IR version of opset 21: what ONNX Runtime since 1.18 reads."""

_DYNAMIC = (
    "The model came quantized dynamically ({count} products of integers); this is its float form "
    "with the weights that it has. The float model that it was made of gives better results."
)


@dataclass(frozen=True)
class Prepared:
    """The prepared model, and how it came about.

    Attributes:
        model: equal to the given one, but for rounding.
        applied: how often each pass applied.
        notes: what the user should know.
        skipped: nodes that a pass nearly matched, and why it left them alone.
    """

    model: ir.Model
    applied: dict[str, int]
    notes: tuple[str, ...]
    skipped: tuple[SkippedNode, ...]


def prepare(
    model: ir.Model, input_shapes: shapes.InputShapes, skip: Sequence[str] = ()
) -> Prepared:
    """Returns an equal model that the quantizer and the NPU can take; `model` stays as it is.

    1. Functions are inlined, and all shapes fixed.
    2. The opset is 21 or later; floats are 32-bit.
    3. Passes apply until nothing changes, but for those named in `skip`.
    4. Every node has a name, no two values or nodes have the same, and every value has a type and
       a fixed shape.

    Args:
        model: a float model.
        input_shapes: by input name the shape, which overrides what the model declares, or the
            number that the input always is.
        skip: names of passes (see `passes.order`) to leave out.

    Raises:
        ModelError: the model cannot be frozen or run; the input or node is named.
        ConfigError: `skip` names a pass that does not exist.
    """
    without = skipped_names(skip)
    try:
        return _prepare(model, input_shapes, without)
    except SnapqError:
        raise
    except Exception:
        # A model that ONNX Runtime refuses is at fault itself; of any other, the fault is ours.
        CpuModel(model, optimize=False)
        raise


def _prepare(
    model: ir.Model, input_shapes: shapes.InputShapes, without: frozenset[str]
) -> Prepared:
    notes: list[str] = []
    applied: Counter[str] = Counter()
    prepared = model.clone()
    _normalize(prepared, applied, notes)
    shapes.fix_inputs(prepared, input_shapes)
    clean(prepared, applied)
    if upgrade_opset(prepared):
        applied["upgrade_opset"] = 1
        clean(prepared, applied)
    if count := expand_runtime_operators(prepared):
        applied["expand_runtime_operators"] = count
        clean(prepared, applied)
    if count := expand_ml_operators(prepared):
        applied["expand_ml_operators"] = count
        clean(prepared, applied)
    notes.extend(integer_notes(prepared.graph))
    changes, skipped = apply_passes(prepared, without)
    applied.update(changes)
    _finish(prepared, notes)
    return Prepared(prepared, dict(sorted(applied.items())), tuple(notes), skipped)


def _normalize(model: ir.Model, applied: Counter[str], notes: list[str]) -> None:
    """Inlines functions, lifts constants, names nodes and makes floats 32-bit."""
    if model.functions:
        applied["inline_functions"] = len(model.functions)
        with shapes.quiet("onnx_ir"):
            common.InlinePass()(model)
    _check_inputs(model)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    check_weights(model)
    converted, told = float32_at_the_boundary(model)
    if converted:
        applied["convert_to_float32"] = converted
    notes.extend(told)
    name_nodes(model)
    if count := remove_dynamic_quantization(model):
        applied["remove_dynamic_quantization"] = count
        notes.append(_DYNAMIC.format(count=count))


def _check_inputs(model: ir.Model) -> None:
    """Refuses a node that lacks inputs of its operator: whatever reads the graph counts on them."""
    version = model.opset_imports.get("", TARGET)
    for node in (node for graph in model.graphs() for node in graph if node.domain == ""):
        try:
            needed = onnx.defs.get_schema(node.op_type, version).min_input
        except onnx.defs.SchemaError:
            continue
        if len(node.inputs) < needed:
            raise ModelError(
                f"{node.op_type} has {len(node.inputs)} of the {needed} inputs that it needs.",
                where=str(node.name),
                hint="The file is damaged, or what wrote it: export the model again.",
            )


def name_nodes(model: ir.Model) -> None:
    """Gives every node and value a name that no other has."""
    for graph in model.graphs():
        for node in graph:
            if not node.name:
                node.name = "_".join((node.op_type, *(str(v.name) for v in node.outputs[:1])))
    common.NameFixPass()(model)


def _finish(model: ir.Model, notes: list[str]) -> None:
    common.RemoveUnusedOpsetsPass()(model)
    common.TopologicalSortPass()(model)
    settle_opset(model)
    name_nodes(model)
    notes.extend(complete_shapes(model))
    model.ir_version = IR_VERSION
