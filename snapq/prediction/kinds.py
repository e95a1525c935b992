"""What kind of network a model is, where boards take other times for it than estimates say."""

from __future__ import annotations

import onnx_ir as ir

from snapq.operators import Family, Trait, spec_of
from snapq.prediction.network import Kind

__all__ = ["Kind", "kind_of"]


def kind_of(model: ir.Model) -> Kind:
    """The kind of a network, float or with Q/DQ."""
    families = {spec_of(node).family for node in model.graph}
    if Family.RECURRENT in families:
        return Kind.RECURRENT
    if Family.ATTENTION in families or any(map(_weighs_values, model.graph)):
        return Kind.TRANSFORMER
    return Kind.CONVOLUTIONAL if Family.CONV in families else Kind.ANY


def _weighs_values(node: ir.Node) -> bool:
    """Whether a Softmax's output reaches a product of matrices, moved and quantized at most."""
    if spec_of(node).family is not Family.SOFTMAX:
        return False
    seen: set[ir.Node] = set()
    left = [node]
    while left:
        for value in left.pop().outputs:
            for user in value.consumers():
                found = spec_of(user)
                if found.family is Family.GEMM:
                    return True
                if user not in seen and (found.has(Trait.MOVES) or found.family is Family.QDQ):
                    seen.add(user)
                    left.append(user)
    return False
