"""Gives each tensor that will be quantized its type, and the encoding that is known beforehand.

An encoding is known where it is imposed, or where the operator has a fixed range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import onnx_ir as ir

from snapq.operators import Trait, spec_of
from snapq.quantization.encodings import QuantType
from snapq.quantization.notes import Note, NoteKind
from snapq.quantization.precision_rules.ranges import computed_right, fixed_output, given_out
from snapq.quantization.qdq.decisions import Decision, is_float
from snapq.quantization.qdq.groups import Groups
from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["group_tensors"]


def group_tensors(plan: QdqPlan) -> QdqPlan:
    """Puts each tensor into a group of its own.

    An imposed encoding in which the NPU computes an operator of a fixed range wrongly gives way to
    the operator's own.
    """
    groups, wrong = Groups(), list[str]()
    for value in plan.graph.inputs:
        imposed = plan.imposed.get(str(value.name))
        dtype = imposed.dtype if imposed else _wanted_type(value, plan.decisions)
        if dtype and is_float(value):
            groups.add(value, dtype, imposed)
    for node, decision in plan.decisions.items():
        for value in node.outputs:
            if not is_float(value) or not (value.uses() or value.is_graph_output()):
                continue
            dtype = decision.dtype or _wanted_type(value, plan.decisions)
            given = plan.imposed.get(str(value.name))
            known = given_out if _leaves(value) else fixed_output
            own = known(node.op_type, decision.dtype) if decision.dtype else None
            if given is not None and own is not None and not computed_right(node.op_type, given):
                wrong.append(str(node.name))
                given = None
            if dtype:
                groups.add(value, dtype, given or own)
    notes = (*plan.notes, _note(wrong)) if wrong else plan.notes
    return replace(plan, groups=groups, notes=notes)


def _leaves(value: ir.Value) -> bool:
    """Whether a tensor, maybe in another shape, is an output of the model and nothing else."""
    while not value.is_graph_output():
        readers = value.consumers()
        if len(readers) != 1 or not spec_of(readers[0]).has(Trait.RESHAPES):
            return False
        value = readers[0].outputs[0]
    return not value.uses()


def _note(names: Sequence[str]) -> Note:
    text = (
        f"{', '.join(names)}: in the given output encodings the NPU computes wrong values, so the "
        "outputs have the encodings that it wants."
    )
    return Note(NoteKind.ENCODINGS, tuple(names), text)


def _wanted_type(value: ir.Value, decisions: Mapping[ir.Node, Decision]) -> QuantType | None:
    """The type in which the first quantized reader takes a tensor that comes in float."""
    for consumer, index in value.uses():
        decision = decisions.get(consumer, Decision())
        if decision.dtype is not None and decision.role(index).quantized:
            return decision.dtype
    return None
