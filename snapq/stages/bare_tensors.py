"""How many bits tensors get that came without an encoding: 8 where that does no harm, else 16.

Other tools leave in float what their own hardware computes in float: a sum behind a convolution, a
gate, what is joined. The NPU computes it in integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.evaluation.fidelity import sqnr_db
from snapq.precision import ActivationType
from snapq.quantization.existing_qdq.requantize import Requantized
from snapq.quantization.notes import Note, NoteKind
from snapq.stages.base import Context

__all__ = ["with_enough_bits"]

_SAMPLES = 4
_LOST_DB = 0.25
"""What 8 bits may cost an output against the model as given."""
_ENOUGH_DB = 60.0
"""An output that is so near to float has enough bits, however near it was as given."""

Outputs = list[dict[str, np.ndarray]]


@dataclass(frozen=True)
class _Truth:
    """Outputs of the float form, the SQNR in dB that the model as given has, and the samples."""

    outputs: Outputs
    given: dict[str, float]
    feeds: list[Mapping[str, np.ndarray]]


def with_enough_bits(
    quantized: Callable[[ActivationType], Requantized],
    given: ir.Model,
    prepared: ir.Model,
    context: Context,
) -> Requantized:
    """Quantizes with 8 bits for bare tensors, and with 16 where outputs lose accuracy by it.

    Args:
        quantized: quantizes with a type for what came without an encoding.
        given: the model as it came, with Q and DQ.
        prepared: its prepared float form, which `quantized` quantizes.
        context: has the calibration samples; where there are none, 8 bits are taken.

    Raises:
        ModelError: ONNX Runtime does not run one of the models.
    """
    narrow = quantized(ActivationType.UINT8)
    if not narrow.bare or context.calibration is None:
        return narrow
    truth = _truth(given, prepared, context)
    eight = _sqnr(narrow.quantized.model, truth)
    if _loss(eight, truth) <= _LOST_DB:
        return narrow
    wide = quantized(ActivationType.UINT16)
    sixteen = _sqnr(wide.quantized.model, truth)
    if _loss(sixteen, truth) >= _loss(eight, truth) - _LOST_DB:
        return narrow
    output = max(eight, key=lambda name: truth.given[name] - eight[name])
    text = (
        f"{len(wide.bare)} nodes came without an encoding of what they give; they have 16 bits: "
        f"'{output}' has {sixteen[output]:.1f} dB so, {eight[output]:.1f} dB with 8 bits, and "
        f"{truth.given[output]:.1f} dB as given (on the CPU, against the float form)."
    )
    note = Note(NoteKind.ENCODINGS, wide.bare, text)
    whole = replace(wide.quantized, notes=(note, *wide.quantized.notes))
    return replace(wide, quantized=whole)


def _truth(given: ir.Model, prepared: ir.Model, context: Context) -> _Truth:
    plan = context.boundary
    samples = list(islice(iter(context.calibration or ()), _SAMPLES))
    feeds = [sample.feeds if plan is None else plan.model_feeds(sample) for sample in samples]
    floats = CpuModel(prepared)
    outputs = [floats.run(feed) for feed in feeds]
    cpu = CpuModel(given, optimize=False)
    found = [cpu.run(sample.feeds) for sample in samples]
    return _Truth(outputs, _compared(outputs, found), feeds)


def _sqnr(model: ir.Model, truth: _Truth) -> dict[str, float]:
    cpu = CpuModel(model, optimize=False)
    return _compared(truth.outputs, [cpu.run(feed) for feed in truth.feeds])


def _compared(truth: Outputs, found: Outputs) -> dict[str, float]:
    """SQNR in dB over all samples, of each output of real numbers that both have."""
    names = (
        name
        for name, array in truth[0].items()
        if np.issubdtype(array.dtype, np.floating) and name in found[0]
    )

    def stacked(outputs: Outputs, name: str) -> np.ndarray:
        return np.stack([one[name] for one in outputs])

    return {name: sqnr_db(stacked(truth, name), stacked(found, name)) for name in names}


def _loss(found: Mapping[str, float], truth: _Truth) -> float:
    """What the worst output has lost against the model as given, in dB."""
    losses = (min(truth.given[name], _ENOUGH_DB) - found[name] for name in found)
    return max(losses, default=0.0)
