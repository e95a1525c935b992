"""The quick way: ranges from one pass over the samples, and a look at what came of it.

A few samples are kept while they stream past. Two of them tell how far the outputs are from those
of the float model. With 16-bit activations most of the noise is a constant that the rounding of
weights adds to each channel, so the others give the biases that take it away (see
`algorithms.bias_correction`), where the two samples agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.cost import total_macs
from snapq.quantization.analysis.advice import advice
from snapq.quantization.calibration.calibrate import Samples
from snapq.quantization.encodings import Encoding
from snapq.quantization.notes import Note, NoteKind
from snapq.quantization.qdq.lowering.order import lower
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import Quantized, quantize
from snapq.quantization.tuning.algorithms.base import Study, algorithm
from snapq.quantization.tuning.output_score import OutputScorer

__all__ = ["quantize_fast"]

_KEPT = 8
_SCORED_ON = 2
_LARGEST = 1 << 29
"""Bytes of weights above which nothing is looked at: two more sessions would take too much."""

_MANY = 64
_LITTLE_WORK = 10_000_000
"""Multiply-accumulates; a model of fewer runs on fewer samples in less time than two sessions of it
take to start."""

Feeds = Mapping[str, npt.NDArray[np.generic]]


def quantize_fast(
    model: ir.Model,
    samples: Samples,
    scheme: Scheme,
    *,
    fixed: Mapping[str, Encoding] | None = None,
    correct: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Quantized:
    """Quantizes in one pass, and says so where the model is far from float.

    Small models are looked at with 64 samples or more only, large ones of 512 MB not at all. Takes
    what `quantize` does; samples are read once. With 16-bit activations, biases are corrected where
    they may be (`correct`).

    Raises:
        DataError, ModelError: as `quantize`.
    """
    some = _Some(samples)
    result = quantize(model, some, scheme, fixed=fixed, progress=progress)
    constants = (value.const_value for value in model.graph.initializers.values())
    size = sum(tensor.nbytes for tensor in constants if tensor is not None)
    little = some.count < _MANY and total_macs(model) < _LITTLE_WORK
    if not some.kept or size > _LARGEST or little:
        return result
    training, held = some.kept[:-_SCORED_ON], some.kept[-_SCORED_ON:]
    scorer = OutputScorer(model, held)
    score, notes = scorer.score(result.model), result.notes
    if correct and training and scheme.activations.bits > 8:
        found = _corrected(model, training, scheme, fixed or {}, result)
        better = scorer.score(found.model) if found is not None else score
        if found is not None and better.over(score).decibels > 0:
            told = f"Biases corrected: {score.decibels:.1f} to {better.decibels:.1f} dB at the "
            text = f"{told}outputs on {len(held)} calibration samples, on the CPU."
            notes += (Note(NoteKind.TUNING, (), text),)
            result, score = found, better
    on = f" on {len(held)} calibration samples"
    return replace(result, notes=(*notes, *advice(score.decibels, scheme, on)))


def _corrected(
    model: ir.Model,
    samples: Sequence[Feeds],
    scheme: Scheme,
    fixed: Mapping[str, Encoding],
    plain: Quantized,
) -> Quantized | None:
    lowered = lower(model, scheme)
    study = Study(lowered.model, lowered.scheme, fixed, samples, plain.seen)
    changed = algorithm("bias-correction")(study)
    return changed.built if changed is not None else None


class _Some:
    """Samples as they stream past; they are counted, and the first few are kept."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self.kept: list[Feeds] = []
        self.count = 0

    def __iter__(self) -> Iterator[Feeds]:
        for sample in self._samples:
            self.count += 1
            if len(self.kept) < _KEPT:
                self.kept.append(sample)
            yield sample
