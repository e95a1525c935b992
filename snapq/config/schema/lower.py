"""Options of the lower stage."""

from __future__ import annotations

from typing import Literal

from snapq.config.schema.base import StageConfig


class LowerConfig(StageConfig):
    """Split a tree ensemble, SVM or linear model (ONNX-ML) into a head, a part for the NPU, a tail.

    It runs by itself where the model is one and the stage is not named.
    """

    encoding: Literal["auto", "limbs", "ranks", "integers"] = "auto"
    """How the rows of tree ensembles enter: `limbs`, the bytes of each number; `ranks`, its place
    among the thresholds, with more work for the CPU and less for the NPU; `integers`, for features
    that are whole numbers from 0 to 255. `auto` is what takes the least time together."""
    exact: bool = True
    """Every leaf value to the precision of float32; `false` keeps 14 bits of it, which is faster
    for some models."""
