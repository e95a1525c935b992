"""Which encoding a float tensor has where several Q nodes read it, and the clamps that they make.

A tensor of a model for the NPU has one encoding; a Q/DQ model may hold one tensor in several ways,
one behind the other or side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Names, add_constant, prepend, rank
from snapq.quantization.encodings import Encoding, QuantType, asymmetric, broadcast

__all__ = ["Pairs", "alike", "clip_node", "covering"]

_SAME_SCALE = 1e-5
"""Scales are the same where they differ by less than this share: less than a step over all codes
of 16 bits."""
_FINER = 1.25
"""An encoding whose steps are larger than another's by more than this factor does not replace it:
it would cost 2 dB."""
_CLIP_WITH_INPUTS = 11
"""The opset since which limits of Clip are inputs."""


class Pairs:
    """The encodings of the float tensors of a graph that is being freed of Q and DQ.

    Attributes:
        held: encoding of each tensor that has one.
        several: names of tensors that had several encodings, of which not all could be kept.
    """

    def __init__(self, model: ir.Model, names: Names) -> None:
        self._model, self._names = model, names
        self.held: dict[ir.Value, Encoding] = {}
        self.several: list[str] = []
        self._clamped: dict[tuple[ir.Value, Encoding], ir.Value] = {}

    def beside(self, value: ir.Value, encoding: Encoding) -> ir.Value:
        """What stands behind a Q for a tensor that others read in float: its clamped form.

        Those others see what the Q saturates, so the tensor does not get its encoding.
        """
        return value if value.const_value is not None else self._clamp(value, encoding)

    def through(self, value: ir.Value, encoding: Encoding, others: Iterable[Encoding]) -> ir.Value:
        """What stands for a tensor behind a Q and its DQ: the tensor, or its clamped form.

        1. The first time, the tensor gets an encoding that holds what all its Q nodes hold.
        2. Where this Q has a narrower range, a Clip with its encoding stands for its saturation.
        3. Where one in front of it was narrower, so does a Clip for that one's: the wider range of
           this Q says that more was expected to come.

        Args:
            value: the float tensor.
            encoding: of the Q.
            others: of all Q nodes that read the tensor.
        """
        if value not in self.held:
            known = tuple(dict.fromkeys((encoding, *others)))
            constant = value.const_value is not None
            self.held[value] = encoding if constant else covering(known)
        held = self.held[value]
        if alike(held, encoding):
            return value
        if value.const_value is None and _is_narrower(encoding, held):
            return self._clamp(value, encoding)
        if value.const_value is None and _is_narrower(held, encoding):
            return self._clamp(value, held)
        if value.const_value is not None or not _is_finer(held, encoding):
            self.several.append(str(value.name))
        return value

    def _clamp(self, value: ir.Value, encoding: Encoding) -> ir.Value:
        found = self._clamped.get((value, encoding))
        if found is None:
            nodes, found = _clamp(self._model, self._names, value, encoding)
            _insert_behind(self._model.graph, value, nodes)
            self._clamped[value, encoding] = found
            self.held[found] = encoding
        return found


def clip_node(
    model: ir.Model, value: ir.Value, result: ir.Value, encoding: Encoding, name: str, stem: str
) -> ir.Node:
    """A Clip, not in the graph yet, that saturates a tensor as its encoding of one scale does.

    `STEM_low` and `STEM_high` are the names of its limits, where the opset has them as inputs.
    """
    ends = {"low": encoding.minimum, "high": encoding.maximum}
    if model.opset_imports.get("", _CLIP_WITH_INPUTS) < _CLIP_WITH_INPUTS:
        limits = {"min": float(ends["low"]), "max": float(ends["high"])}
        return ir.node("Clip", [value], attributes=limits, outputs=[result], name=name)
    held = [
        add_constant(model.graph, f"{stem}_{end}", np.asarray(limit, np.float32).reshape(()))
        for end, limit in ends.items()
    ]
    return ir.node("Clip", [value, *held], outputs=[result], name=name)


def _clamp(
    model: ir.Model, names: Names, value: ir.Value, encoding: Encoding
) -> tuple[list[ir.Node], ir.Value]:
    """Nodes that saturate a tensor as its encoding does, and what they give.

    One Clip, or a Max and a Min where there is a scale for each channel.
    """
    name = names.unique(f"{value.name}_clamped")
    result = ir.Value(name=name, shape=value.shape, type=ir.TensorType(ir.DataType.FLOAT))
    if encoding.axis is None:
        return [clip_node(model, value, result, encoding, name, name)], result
    shape = broadcast(encoding, rank(value) or 0)[0].shape
    low, high = (
        add_constant(
            model.graph, names.unique(f"{name}_{end}"), np.asarray(limit, np.float32).reshape(shape)
        )
        for end, limit in (("low", encoding.minimum), ("high", encoding.maximum))
    )
    above = ir.node("Max", [value, low], name=names.unique(f"{name}_max"))
    above.outputs[0].name = names.unique(f"{name}_above")
    return [above, ir.node("Min", [above.outputs[0], high], outputs=[result], name=name)], result


def alike(first: Encoding, second: Encoding) -> bool:
    """Whether two encodings give the same numbers, but for the last bits of a scale."""
    return (
        first.dtype is second.dtype
        and first.granularity == second.granularity
        and first.scale.shape == second.scale.shape
        and np.array_equal(first.zero_point, second.zero_point)
        and np.allclose(first.scale, second.scale, rtol=_SAME_SCALE, atol=0)
    )


def covering(encodings: Sequence[Encoding]) -> Encoding:
    """The encoding that holds what each of several holds, as finely.

    One of them where one does; else 16 bits over all of their ranges.
    """
    first = encodings[0]
    if len(encodings) == 1 or any(item.dtype is QuantType.INT32 for item in encodings):
        return first
    for item in encodings:
        if item.axis is None and not any(
            _is_narrower(item, other) or not _is_finer(item, other) for other in encodings
        ):
            return item
    low = min(float(item.minimum.min()) for item in encodings)
    high = max(float(item.maximum.max()) for item in encodings)
    return asymmetric(low, high, QuantType.UINT16)


def _is_finer(first: Encoding, second: Encoding) -> bool:
    """Whether the steps of the first are as small as those of the second, or nearly."""
    return float(np.max(first.scale)) <= _FINER * float(np.min(second.scale))


def _is_narrower(first: Encoding, second: Encoding) -> bool:
    """Whether the first saturates, by more than a step, what the second holds."""
    if first.axis is not None and second.axis is not None and first.axis != second.axis:
        return True
    step = np.maximum(first.scale, second.scale)
    above = first.minimum > second.minimum + step
    below = first.maximum < second.maximum - step
    return bool(np.any(above | below))


def _insert_behind(graph: ir.Graph, value: ir.Value, nodes: Sequence[ir.Node]) -> None:
    maker = value.producer()
    if maker is not None and maker.graph is graph:
        graph.insert_after(maker, nodes)
    else:
        prepend(graph, nodes)
