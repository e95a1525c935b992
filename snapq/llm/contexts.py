"""A quantized decode graph for another size of the context, to be estimated and not to be run."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import constant_ints, new_constant
from snapq.graph.shapes import freeze
from snapq.llm.cache import ATTENTION_MASK
from snapq.llm.files import Facts

__all__ = ["cache_bytes", "decode_at"]


def decode_at(model: ir.Model, facts: Facts, context: int) -> ir.Model:
    """A copy of a decode graph whose cache and mask are of another size.

    Its tables of RoPE stay as long as they were, so beyond them its values are none.

    Args:
        model: the graph of one token, as `llm init` or `llm quantize` writes it.
        facts: of the pair.
        context: positions that attention shall see.
    """
    copy = model.clone()
    graph = copy.graph
    for node in graph:
        if node.op_type != "Reshape":
            continue
        if constant_ints(node.inputs[1]) == (1, 1, 1, facts.context):
            target = np.array([1, 1, 1, context], np.int64)
            node.replace_input_with(1, new_constant(graph, "mask_shape", target))
    layout = replace(facts.layout, context=context)
    return freeze(copy, {ATTENTION_MASK: (1, context), **layout.inputs(1)})


def cache_bytes(facts: Facts, context: int) -> int:
    """What keys and values of a context take at 8 bits each."""
    layout = replace(facts.layout, context=context)
    return sum(prod(shape) for shape in layout.inputs(0).values())
