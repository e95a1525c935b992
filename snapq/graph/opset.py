"""The upgrade of a model's opset to the one that 16-bit quantization needs.

ONNX's own converter (1.23.2) keeps all names of eight models, and serves for most of them. It stays
out for what it makes of others without a word: `Hardmax` over several axes and linear `Upsample`
compute other values, `GroupNormalization` of opset 18 keeps a scale for each group, which ONNX
Runtime refuses, and one operator without a schema ends the conversion of the whole model. The
operators that changed their form since opset 7 are few, and stand in `opset_changes`.
"""

from __future__ import annotations

import onnx
import onnx_ir as ir

from snapq.graph.edit import Editor
from snapq.graph.opset_changes import CHANGES

TARGET = 21
"""First opset whose QuantizeLinear and DequantizeLinear know 16 and 4 bits."""


def upgrade_opset(model: ir.Model, minimum: int = TARGET) -> bool:
    """Brings the standard operators of the model, in place, to opset `minimum` or later.

    Raises:
        ModelError: a node uses a form that later opsets no longer have.
    """
    version = model.opset_imports.get("", minimum)
    if version >= minimum:
        model.graph.opset_imports[""] = version
        return False
    for graph in (model.graph, *model.graph.subgraphs()):
        edit = Editor(graph)
        for node in tuple(graph):
            if node.domain != "":
                continue
            edit.begin(node)
            for change in CHANGES:
                if version < change.since <= minimum and node.op_type in change.operators:
                    change.adapt(node, edit)
                    if node.graph is None:
                        break
            node.version = None
    model.graph.opset_imports[""] = minimum
    return True


def settle_opset(model: ir.Model) -> int:
    """Lowers or raises the declared opset, in place, to the first from 21 on that has every node.

    Opset 22 and later add types and operators, and change no form that earlier ones have: a model
    of opset 24 that uses nothing new is as well a model of opset 21, which more runtimes know.
    """
    newest = onnx.defs.onnx_opset_version()
    nodes = [node for node in model.graph.all_nodes() if node.domain == ""]
    for version in range(TARGET, newest + 1):
        if all(_exists_in(node, version) for node in nodes):
            model.graph.opset_imports[""] = version
            break
    return model.graph.opset_imports[""]


def _exists_in(node: ir.Node, version: int) -> bool:
    try:
        schema = onnx.defs.get_schema(node.op_type, version)
    except onnx.defs.SchemaError:
        return False
    if schema.deprecated or not set(node.attributes) <= set(schema.attributes):
        return False
    if len(node.inputs) > schema.max_input:
        return False
    allowed = {item.type_param_str: item.allowed_type_strs for item in schema.type_constraints}
    for value, formal in zip(node.inputs, schema.inputs, strict=False):
        if value is None or not isinstance(value.type, ir.TensorType):
            continue
        kind = f"tensor({value.type.dtype.name.lower()})"
        if kind not in allowed.get(formal.type_str, [formal.type_str]):
            return False
    return True
