"""Folds a depthwise or grouped Conv into the Conv of one tap behind it.

1. `Conv(Conv(x, d), p)` with p of one tap is one Conv with the taps of d from all channels to all,
   where nothing else reads the middle. Behind it nothing is padded, so borders stay as they are.
2. d has one channel a group, of 32 channels and nine taps at most, and p 64 results at most; or the
   one Conv has no more than 1.1 times the weights of the two, as of few groups that widen.

So networks for faces and hands are built (BlazeFace and those after it): the NPU takes 32 channels
at once, and nine taps of a dense kernel cost it less than a depthwise layer of few channels and the
one behind it. Estimated in us on QCS9075, SA8797P and SoC114 (QAIRT 2.51): MediaPipe's palm
detector in fp16 1,518, 667 and 372 against 1,425, 666 and 360, at w8a8 on QCS9075 300 against 262;
its face landmarks in fp16 299, 125 and 92 against 274, 111 and 83. A network of face attributes
with groups of 32 channels at w8a8 on QCS9075 and SA8797P 441 and 226 against 428 and 223 with three
layers folded by their weights; all of its layers folded take 612.
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
_MOST_WEIGHTS = 1.1
"""Times those of the two layers that other groups are folded for."""
_MOVED = ("auto_pad", "dilations", "kernel_shape", "pads", "strides")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Folds the depthwise or grouped Conv that feeds one Conv of one tap."""
    weight, bias = constant(node.inputs[1]), constant(input_at(node, 2))
    first = layer_before(node.inputs[0], OPERATORS)
    if weight is None or first is None or not _is_pointwise(node, weight):
        return False
    if input_at(node, 2) is not None and bias is None:
        return False
    taps, shift = constant(first.inputs[1]), constant(input_at(first, 2))
    groups = first.attributes.get_int("group", 1)
    if taps is None or groups == 1:
        return False
    narrow = _is_narrow(first, taps) and len(weight) <= _OUTPUTS
    count = len(weight) * groups * prod(taps.shape[1:])
    if not narrow and count > _MOST_WEIGHTS * (taps.size + weight.size):
        return False
    mixed = weight.reshape(len(weight), -1).astype(np.float64)
    edit.set_constant(node, 1, _folded(mixed, taps, groups).astype(weight.dtype))
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


def _folded(mixed: np.ndarray, taps: np.ndarray, groups: int) -> np.ndarray:
    """Weights `[results, channels, …]` of one Conv, of `[results, middle]` and those of groups."""
    parts = zip(np.split(mixed, groups, 1), np.split(taps, groups), strict=True)
    return np.concatenate([np.tensordot(one, own, 1) for one, own in parts], 1)


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
