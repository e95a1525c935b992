"""Every ONNX operator that training can run: one small function each, in tables by kind."""

from __future__ import annotations

from snapq.training.operators.base import Attributes, Operator, Unsupported
from snapq.training.operators.elementwise import ELEMENTWISE
from snapq.training.operators.linear import LINEAR
from snapq.training.operators.movement import MOVEMENT
from snapq.training.operators.normalization import NORMALIZATION
from snapq.training.operators.pooling import POOLING
from snapq.training.operators.recurrent import RECURRENT
from snapq.training.operators.reduction import REDUCTION

__all__ = ["OPERATORS", "Attributes", "Operator", "Unsupported"]

OPERATORS: dict[str, Operator] = {
    **ELEMENTWISE,
    **LINEAR,
    **MOVEMENT,
    **NORMALIZATION,
    **POOLING,
    **RECURRENT,
    **REDUCTION,
}
