"""Folds a depthwise Conv into the Conv of one tap behind it.

1. `Conv(Conv(x, d), p)` with d of one channel to one, of 32 channels and nine taps at most, and p
   of one tap to 64 channels at most, is one Conv with the taps of d from all channels to all, where
   nothing else reads the middle. Behind it nothing is padded, so borders stay as they are.

So networks for faces and hands are built (BlazeFace and those after it): the NPU takes 32 channels
at once, and nine taps of a dense kernel cost it less than a depthwise layer of few channels and the
one behind it. Estimated in us on QCS9075, SA8797P and SoC114 (QAIRT 2.51): MediaPipe's palm
detector in fp16 1,518, 667 and 372 against 1,425, 666 and 360, at w8a8 on QCS9075 300 against 262;
its face landmarks in fp16 299, 125 and 92 against 274, 111 and 83. With groups of 32 channels and
more the dense kernel is the slower one: a network of face attributes at w8a8 441 against 612.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, ints_attribute
from snapq.graph.edit.layers import layer_before
from snapq.graph.passes.base import Result

OPERATORS = ("Conv",)
_CHANNELS, _OUTPUTS, _TAPS = 32, 64, 9
"""Of the depthwise layer, of the one behind it, and of a kernel, at most."""
_MOVED = ("auto_pad", "dilations", "kernel_shape", "pads", "strides")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Folds the depthwise Conv that feeds one Conv of one tap."""
    weight, bias = constant(node.inputs[1]), constant(input_at(node, 2))
    first = layer_before(node.inputs[0], OPERATORS)
    if weight is None or first is None or not _is_pointwise(node, weight):
        return False
    if input_at(node, 2) is not None and bias is None:
        return False
    taps, shift = constant(first.inputs[1]), constant(input_at(first, 2))
    if taps is None or not _is_narrow(first, taps) or len(weight) > _OUTPUTS:
        return False
    mixed = weight.reshape(len(weight), -1).astype(np.float64)
    spread = (1,) * (taps.ndim - 2)
    edit.set_constant(
        node, 1, (mixed.reshape(*mixed.shape, *spread) * taps[:, 0]).astype(weight.dtype)
    )
    if shift is not None:
        moved = mixed @ shift
        edit.set_constant(node, 2, (moved if bias is None else bias + moved).astype(weight.dtype))
    for name in _MOVED:
        node.attributes.pop(name, None)
        if name in first.attributes:
            node.attributes[name] = first.attributes[name]
    node.replace_input_with(0, first.inputs[0])
    edit.remove_if_dead(first)
    return True


def _is_pointwise(node: ir.Node, weight: np.ndarray) -> bool:
    """Whether a Conv mixes the channels of each place by itself, and of all of them."""
    if node.attributes.get_int("group", 1) != 1 or prod(weight.shape[2:]) != 1:
        return False
    padded = any(ints_attribute(node, "pads") or ())
    return not padded and prod(ints_attribute(node, "strides") or ()) == 1


def _is_narrow(node: ir.Node, taps: np.ndarray) -> bool:
    """Whether a Conv takes each of few channels by itself, with few taps."""
    channels = node.attributes.get_int("group", 1)
    own = taps.shape[:2] == (channels, 1)
    return own and 1 < channels <= _CHANNELS and 1 < prod(taps.shape[2:]) <= _TAPS
