"""The check of a cut: silencing the same channels in the original must give the same outputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.errors import ModelError
from snapq.graph.shapes import input_specs
from snapq.pruning.groups import Structure
from snapq.pruning.surgery import silence

TOLERANCE = 1e-3
"""Error energy over output energy that rounding may leave in float."""
TOLERANCE_QUANTIZED = 1e-2
"""The same where a sum that is rounded the other way moves a code by one."""


def check(
    structure: Structure,
    cut: ir.Model,
    removed: npt.ArrayLike,
    feeds: Mapping[str, npt.NDArray[np.generic]],
) -> float:
    """Compares a cut model, before any repair, with the silenced original on one sample.

    Returns:
        The largest difference of an output, as the root of error energy over output energy.

    Raises:
        ModelError: they differ; the output is named.
    """
    expected = CpuModel(silence(structure, removed), optimize=False).run(feeds)
    found = CpuModel(cut, optimize=False).run(feeds, list(expected))
    quantized = any(node.op_type == "QuantizeLinear" for node in cut.graph)
    limit = TOLERANCE_QUANTIZED if quantized else TOLERANCE
    worst = 0.0
    for name, left in expected.items():
        difference = relative_error(left, found[name])
        worst = max(worst, difference)
        if not difference <= limit:
            raise ModelError(
                f"The cut model differs from the original with the same channels silenced by "
                f"{difference:.1e} of the output's size.",
                where=name,
                hint="Name the layers in front of this output under prune.keep and report the "
                "model: its channels were followed wrongly.",
            )
    return worst


def relative_error(left: npt.NDArray[np.generic], right: npt.NDArray[np.generic]) -> float:
    """Root of the energy of the difference over the energy of `left`; infinite for other shapes."""
    if left.shape != right.shape:
        return float("inf")
    first, second = left.astype(np.float64), right.astype(np.float64)
    energy = float(np.square(first).sum())
    return float(np.sqrt(np.square(first - second).sum() / (energy or 1.0)))


def some_input(model: ir.Model) -> dict[str, npt.NDArray[np.generic]]:
    """Inputs of the right shapes, always the same: for a check where there are no samples."""
    rng = np.random.default_rng(0)
    return {
        spec.name: rng.standard_normal(spec.shape).astype(spec.dtype)
        if spec.dtype.kind == "f"
        else np.zeros(spec.shape, spec.dtype)
        for spec in input_specs(model)
    }
