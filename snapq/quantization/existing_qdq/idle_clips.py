"""Takes out the Clips that stand for a Q beside readers in float, where the Q saturates nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import constant, input_at, remove_unused_constants
from snapq.quantization.calibration.calibrate import Samples, calibrate
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.encodings import Encoding

__all__ = ["drop_idle_clips"]


def drop_idle_clips(
    model: ir.Model, encodings: Mapping[str, Encoding], samples: Samples | None
) -> dict[str, Encoding]:
    """Lets readers of a tensor share an encoding that holds all that the samples show, in place.

    1. A Clip whose limits are those of its output's encoding, and whose input has none and other
       readers too, is watched.
    2. Where nothing exceeds the limits, it goes, and the input has the encoding: readers that had
       the tensor in float read it with the same rounding, and nothing is rounded twice. So does
       each where there are no samples.

    Returns:
        The encodings, with those of the inputs.

    Raises:
        DataError: a sample does not fit or is not finite.
    """
    clips = {
        node: encodings[str(node.outputs[0].name)]
        for node in model.graph
        if node.op_type == "Clip" and _only_saturates(node, encodings)
    }
    if not clips:
        return dict(encodings)
    names = [str(value.name) for node in clips if (value := node.inputs[0]) is not None]
    seen = calibrate(model, samples, list(dict.fromkeys(names))) if samples is not None else {}
    found = dict(encodings)
    for node, encoding in clips.items():
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        if found.get(str(source.name), encoding) is not encoding:
            continue  # one with another encoding was taken out before
        if samples is None or _holds(encoding, seen[str(source.name)]):
            result.replace_all_uses_with(source)
            model.graph.remove(node, safe=True)
            del found[str(result.name)]
            found[str(source.name)] = encoding
    remove_unused_constants(model.graph)
    return found


def _holds(encoding: Encoding, seen: Collector) -> bool:
    """Whether an encoding holds all values that were seen, but for a step."""
    step = float(encoding.scale)
    low, high = float(encoding.minimum) - step, float(encoding.maximum) + step
    return low <= seen.minimum and seen.maximum <= high


def _only_saturates(node: ir.Node, encodings: Mapping[str, Encoding]) -> bool:
    """Whether a Clip does what its output's encoding does, for one of several readers."""
    source, encoding = node.inputs[0], encodings.get(str(node.outputs[0].name))
    if source is None or encoding is None or encoding.axis is not None:
        return False
    if len(source.uses()) < 2 and not source.is_graph_output():
        return False
    if str(source.name) in encodings or node.outputs[0].is_graph_output():
        return False
    step = float(encoding.scale)
    limits = (constant(input_at(node, 1)), constant(input_at(node, 2)))
    ends = (float(encoding.minimum), float(encoding.maximum))
    return all(
        limit is not None and np.isclose(float(limit), end, rtol=0, atol=step)
        for limit, end in zip(limits, ends, strict=True)
    )
