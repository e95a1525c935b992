"""Operators that the NPU lacks, in integers and in float: they run on the CPU.

Source: single-node float32 models refused by onnxruntime-qnn 2.7.0 for HTP. The prepare stage
rewrites those that it can.
"""

from __future__ import annotations

__all__ = ["REFUSED"]

REFUSED = frozenset(
    "Acos Acosh Asinh Atanh Celu Cosh DFT Det Erf GlobalLpPool GroupNormalization Hardmax IsInf Loop "
    "MeanVarianceNormalization Mod NonMaxSuppression NonZero RNN ReduceL1 ReduceLogSum ReduceProd "
    "ReduceSumSquare Scan Shape Shrink Sinh Size Softsign TreeEnsemble TreeEnsembleClassifier "
    "TreeEnsembleRegressor SVMClassifier SVMRegressor Trilu".split()
)
