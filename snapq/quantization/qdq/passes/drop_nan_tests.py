"""Tests for NaN behind a Softmax, which mean nothing once the Softmax is quantized.

PyTorch writes `Where(IsNaN(s), 0, s)` into attention, for rows that are wholly masked by -inf. The
prepare stage takes it away where no row can be. Where a mask is computed from an input, the test
has to stay while ranges are observed; but no integer is NaN, so that in the quantized model it is
always false, and costs conversions to fp16 and back (a ViT of 2 layers, w8a8 on QCS9075: 230 us
rather than 145 by Qualcomm's estimate).
"""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from snapq.graph.passes.simplify.remove_nan_check_after_softmax import tested
from snapq.quantization.notes import Note, NoteKind
from snapq.quantization.qdq.groups import within
from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["drop_nan_tests"]


def drop_nan_tests(plan: QdqPlan) -> QdqPlan:
    """Lets what follows each test of a quantized Softmax read the Softmax itself."""
    tests = [node for node in plan.decisions if _always_false(node, plan)]
    if not tests:
        return plan
    left = dict(plan.decisions)
    for node in tests:
        test, softmax = node.inputs[0], node.inputs[2]
        assert test is not None
        assert softmax is not None
        node.outputs[0].replace_all_uses_with(softmax)
        del left[node]
        plan.graph.remove(node, safe=True)
        maker = test.producer()
        if maker is not None and not test.uses() and not test.is_graph_output():
            del left[maker]
            plan.graph.remove(maker, safe=True)
    return replace(plan, decisions=left, notes=(*plan.notes, _note([str(n.name) for n in tests])))


def _always_false(node: ir.Node, plan: QdqPlan) -> bool:
    """Whether a Where tests a quantized Softmax; its tensors share its encoding from now on."""
    softmax, result = tested(node), node.outputs[0]
    if softmax is None or plan.decisions[softmax].dtype is None or result.is_graph_output():
        return False
    groups, held = plan.groups, plan.groups.fixed(softmax.outputs[0])
    if result not in groups or (held and not within(groups.range(result, plan.ranges), held)):
        return False
    if not groups.tie(softmax.outputs[0], result):
        return False
    groups.forget_source(result)
    return True


def _note(names: list[str]) -> Note:
    return Note(
        NoteKind.REMOVED,
        tuple(names),
        f"{', '.join(names)}: no integer is NaN, so this test of a Softmax is left out. Where a "
        "mask hides a whole row, the NPU gives equal shares, and the float model what the test "
        "puts there.",
    )
