"""The part of a model that computes some of its tensors, run sample by sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from snapq.cpu import CpuModel
from snapq.runtime import processors

__all__ = ["Part", "upto"]

Array = npt.NDArray[np.generic]


class Part:
    """Computes tensors of a model on the CPU, and nothing that they do not need.

    ONNX Runtime may rewrite it (`optimize`) where it has no Q/DQ: these have to run as written, as
    fused integer kernels of some CPUs saturate where the NPU does not.
    """

    def __init__(self, model: ir.Model, tensors: Sequence[str], *, optimize: bool) -> None:
        self._names = list(dict.fromkeys(tensors))
        part = upto(model, self._names)
        self._runnable = CpuModel(part, threads=processors(), optimize=optimize)

    def __call__(self, sample: Mapping[str, Array]) -> dict[str, Array]:
        """The tensors of one sample, by name."""
        feeds = {name: sample[name] for name in self._runnable.inputs}
        return dict(self._runnable.run(feeds, self._names))


def upto(model: ir.Model, tensors: Sequence[str]) -> ir.Model:
    """A copy of a model that gives these tensors, without the nodes that they do not need."""
    copy = model.clone()
    values = {value.name: value for node in copy.graph for value in node.outputs}
    copy.graph.outputs.clear()
    copy.graph.outputs.extend(values[name] for name in dict.fromkeys(tensors))
    RemoveUnusedNodesPass()(copy)
    return copy
