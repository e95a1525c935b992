"""What one or more estimators became: a model for the NPU, and the host's steps around it."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from snapq.classical.program import Step


@dataclass(frozen=True)
class Lowered:
    """An ordinary ONNX model for the NPU, what the host feeds it and what it makes of the outputs.

    Attributes:
        model: the part on the NPU, of a fixed batch B.
        inputs: names of the model's inputs.
        outputs: names of the model's outputs.
        encode: steps from the rows float32 [B, F] of each estimator (a value with the name of
            `Estimator.rows`) to the model's inputs.
        decode: steps from the model's outputs to the sums float [B, targets] of each estimator (a
            value with the name of `Estimator.sums`).
        exact: whether the sums are the estimators' own but for the last digit kept of leaf values.
        note: how it was done, for the reader: `100 trees in 10 blocks of 256x256, limbs, grouped
            Conv`.
    """

    model: ir.Model
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    encode: tuple[Step, ...]
    decode: tuple[Step, ...]
    exact: bool
    note: str
