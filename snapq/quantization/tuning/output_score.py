"""The form of a model in which candidates are compared: with logits in the place of probabilities.

A Softmax makes one decision that flips worth more than a thousand that are a little off. On a few
samples chance decides which candidate flips fewer, so what goes into the Softmax is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from snapq.cpu import CpuModel
from snapq.quantization.calibration.calibrate import is_large
from snapq.quantization.qdq.wide_bias import as_added
from snapq.quantization.tuning.score import Outputs, Reference, Score

__all__ = ["LastOpened", "OutputScorer", "Runner", "before_softmax", "names_before_softmax"]

Runner = Callable[[ir.Model, Sequence[Outputs]], Iterable[Outputs]]
"""Runs a Q/DQ model on samples, one after another: on the CPU, on the simulator."""

_AROUND = ("QuantizeLinear", "DequantizeLinear")


class OutputScorer:
    """How near a quantized model's outputs are to the float model's, on samples of its own."""

    def __init__(
        self,
        model: ir.Model,
        samples: Sequence[Mapping[str, npt.NDArray[np.generic]]],
        opened: LastOpened | None = None,
    ):
        self.samples = samples
        self._opened = opened or LastOpened()
        # Sums in another order are far below any noise of a quantized model.
        small = not is_large(model)
        floats = CpuModel(before_softmax(model), optimize=small, prepack=small)
        self._reference = Reference(list(map(floats.run, samples)))

    def score(self, model: ir.Model, runner: Runner | None = None) -> Score:
        """The score of a model, run by the CPU where no runner is given."""
        if runner is None:
            return self._reference.score(list(map(self._opened.of(model).run, self.samples)))
        return self._reference.score(list(runner(before_softmax(model), self.samples)))


class LastOpened:
    """Opens models on the CPU to be scored, and keeps the last one open."""

    def __init__(self) -> None:
        self._last: tuple[ir.Model, CpuModel] | None = None

    def close(self) -> None:
        """Lets go of the last model, with the memory that it took to run."""
        self._last = None

    def of(self, model: ir.Model) -> CpuModel:
        """A model, each node as written: fused integer kernels of some CPUs saturate."""
        if self._last is None or self._last[0] is not model:
            self.close()  # or two would take memory at once
            written = as_added(before_softmax(model))
            opened = CpuModel(written, optimize=False, prepack=not is_large(model))
            self._last = (model, opened)
        return self._last[1]


def before_softmax(model: ir.Model) -> ir.Model:
    """The model with the input of each Softmax that gives an output in that output's place.

    The output keeps its name. Works on float and on Q/DQ models. The same model where there is no
    such Softmax.
    """
    if not any(_logits(output) for output in model.graph.outputs):
        return model
    copy = model.clone()
    for position, output in enumerate(tuple(copy.graph.outputs)):
        logits = _logits(output)
        if logits is None or logits.is_graph_output():
            continue
        name = output.name
        output.name = f"{name}_of_softmax"
        logits.name = name
        copy.graph.outputs[position] = logits
    RemoveUnusedNodesPass()(copy)
    return copy


def names_before_softmax(model: ir.Model) -> dict[str, str]:
    """What `before_softmax` calls the values that it gives another name, by their own."""
    names: dict[str, str] = {}
    for output in model.graph.outputs:
        logits = _logits(output)
        if logits is not None and not logits.is_graph_output():
            names |= {
                str(logits.name): str(output.name),
                str(output.name): f"{output.name}_of_softmax",
            }
    return names


def _logits(output: ir.Value) -> ir.Value | None:
    """What the Softmax behind an output reads, through Q and DQ."""
    node = output.producer()
    while node is not None and node.op_type in _AROUND and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    if node is None or node.op_type != "Softmax":
        return None
    value = node.inputs[0]
    return value if value is not None and value.producer() is not None else None
