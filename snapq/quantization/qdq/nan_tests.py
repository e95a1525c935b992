"""Tests for NaN behind a Softmax, which mean nothing once the Softmax is quantized.

PyTorch writes `Where(IsNaN(s), 0, s)` into attention, for rows that are wholly masked by -inf. The
prepare stage takes it away where no row can be. Where a mask is computed from an input, the test
has to stay while ranges are observed; but no integer is NaN, so that in the quantized model it is
always false, and costs conversions to fp16 and back (a ViT of 2 layers, w8a8 on QCS9075: 230 us
rather than 145 by Qualcomm's estimate).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx_ir as ir

from snapq.graph.passes.simplify.remove_nan_check_after_softmax import tested
from snapq.quantization.qdq.decisions import Decision
from snapq.quantization.qdq.ties import Groups

__all__ = ["always_false", "left_out", "take_away"]


def always_false(decisions: Mapping[ir.Node, Decision], groups: Groups) -> tuple[ir.Node, ...]:
    """The Where nodes that test a quantized Softmax; their tensors share its encoding from now."""
    found = []
    for node in decisions:
        softmax = tested(node)
        result = node.outputs[0]
        if softmax is None or decisions[softmax].dtype is None or result.is_graph_output():
            continue
        if result in groups and groups.tie(softmax.outputs[0], result):
            groups.forget_source(result)
            found.append(node)
    return tuple(found)


def take_away(
    graph: ir.Graph, decisions: Mapping[ir.Node, Decision], tests: Iterable[ir.Node]
) -> dict[ir.Node, Decision]:
    """Lets what follows each test read the Softmax itself; the decisions for what is left."""
    left = dict(decisions)
    for node in tests:
        test, softmax = node.inputs[0], node.inputs[2]
        assert test is not None
        assert softmax is not None
        node.outputs[0].replace_all_uses_with(softmax)
        del left[node]
        graph.remove(node, safe=True)
        maker = test.producer()
        if maker is not None and not test.uses() and not test.is_graph_output():
            del left[maker]
            graph.remove(maker, safe=True)
    return left


def left_out(tests: Iterable[ir.Node]) -> tuple[str, ...]:
    """What to tell the reader."""
    names = ", ".join(str(node.name) for node in tests)
    if not names:
        return ()
    return (
        f"{names}: no integer is NaN, so this test of a Softmax is left out. Where a mask hides a "
        "whole row, the NPU gives equal shares, and the float model what the test puts there.",
    )
